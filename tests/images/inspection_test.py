"""What is there: the rows of a CSV and their images."""

import pytest
from etils import epath

from tfds_imagecsv.engines import local
from tfds_imagecsv.images import inspection


class Recorded(local.LocalEngine):
    """An engine that tells whether it was told to expect work."""

    expects_work = False

    def expect_work(self):
        """Notes it, and starts nothing."""
        self.expects_work = True


@pytest.mark.parametrize(("rows", "is_much"), [(20, False), (12_000, True)])
def test_workers_start_early_only_if_there_is_much_to_do(
    make_dataset, tmp_path, write_csv, rows, is_much
):
    """A small dataset doesn't pay for processes that it doesn't need."""
    config = make_dataset()
    write_csv(tmp_path / "labels.csv", [(f"{at:06}.png", "a") for at in range(rows)])
    with Recorded(workers=1) as engine:
        found = inspection.inspect(
            config,
            label_csv=epath.Path(config.label_csv),
            image_dir=epath.Path(config.image_dir),
            engine=engine,
        )
    assert found.total_rows == rows
    assert engine.expects_work == is_much
