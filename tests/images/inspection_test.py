"""The input of a dataset: the rows of a table and their images."""

import pytest
import walk

from tfds_imagecsv import arrays
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
    engine = Recorded(workers=1)
    found = walk.inspect(config, engine)
    assert found.table.total_rows == rows
    assert engine.expects_work == is_much


@pytest.mark.parametrize("broken", [0, 1])
def test_rows_beyond_memory_are_in_files_of_the_build(
    make_dataset, make_builder, tmp_path, monkeypatch, broken
):
    """And the dataset is the same, also if some rows are left out."""
    rows = [(f"{at:03}.png", f"class{at % 3}") for at in range(60)]
    config = make_dataset(rows, on_error="skip", max_rejected=0.5)
    for at in range(broken):
        (tmp_path / "images" / f"{at:03}.png").write_bytes(b"no image")
    written, on_disk = [], arrays.on_disk

    def noted(rows, path):
        written.append(path)
        return on_disk(rows, path)

    monkeypatch.setattr(arrays, "on_disk", noted)
    contents = []
    for least in (1 << 24, 1):
        monkeypatch.setattr(inspection, "_MOST_IN_MEMORY", least)
        builder = make_builder(config, data_dir=tmp_path / f"data{least}")
        builder.download_and_prepare()
        files = sorted(builder.data_path.iterdir())
        contents.append(
            {
                path.name: path.read_bytes()
                for path in files
                if path.suffix != ".json"  # which have times
            }
        )
        assert len(written) == (0 if least > 1 else 1 + broken)
    assert contents[0] == contents[1]
    assert len(contents[0]) >= 4
