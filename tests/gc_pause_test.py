"""What is kept from Python's garbage collector."""

import contextlib
import gc

import pytest

from tfds_imagecsv import gc_pause


@pytest.fixture(autouse=True)
def _unfrozen():
    yield
    gc.unfreeze()
    gc.enable()


def test_what_is_there_is_frozen_until_the_end_whatever_happens():
    """Freezing is for a while."""
    with contextlib.suppress(ZeroDivisionError), gc_pause.frozen_gc():
        assert gc.get_freeze_count() > 0
        assert gc.isenabled()
        _ = 1 / 0
    assert gc.get_freeze_count() == 0


def test_who_has_frozen_objects_keeps_them_so():
    """As servers do before they fork."""
    gc.freeze()
    count = gc.get_freeze_count()
    with gc_pause.frozen_gc():
        assert gc.get_freeze_count() >= count - 100
    assert gc.get_freeze_count() > 0


@pytest.mark.parametrize("was_enabled", [True, False])
def test_a_pause_leaves_the_collector_as_it_was(was_enabled):
    """Users may do without it altogether."""
    if not was_enabled:
        gc.disable()
    with gc_pause.paused_gc():
        assert not gc.isenabled()
    assert gc.isenabled() == was_enabled
