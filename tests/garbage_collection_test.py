"""Objects that are kept from Python's garbage collector."""

import contextlib
import gc

import pytest

from tfds_imagecsv import garbage_collection


@pytest.fixture(autouse=True)
def _unfrozen():
    yield
    gc.unfreeze()
    gc.enable()


def test_what_is_there_is_frozen_until_the_end_whatever_happens():
    """Freezing is temporary."""
    with contextlib.suppress(ZeroDivisionError), garbage_collection.frozen():
        assert gc.get_freeze_count() > 0
        assert gc.isenabled()
        _ = 1 / 0
    assert gc.get_freeze_count() == 0


def test_who_has_frozen_objects_keeps_them_so():
    """Servers freeze objects before they fork."""
    gc.freeze()
    count = gc.get_freeze_count()
    with garbage_collection.frozen():
        assert gc.get_freeze_count() >= count - 100
    assert gc.get_freeze_count() > 0


@pytest.mark.parametrize("was_enabled", [True, False])
def test_a_pause_leaves_the_collector_as_it_was(was_enabled):
    """Users may have turned it off."""
    if not was_enabled:
        gc.disable()
    with garbage_collection.paused():
        assert not gc.isenabled()
    assert gc.isenabled() == was_enabled
