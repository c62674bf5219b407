"""The input of a dataset: the rows of a table and their images."""

import pytest
import walk

from tfds_imagecsv.engines import local


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
    engine = Recorded(workers=1)
    found = walk.inspect(config, engine)
    assert found.table.total_rows == rows
    assert engine.expects_work == is_much
