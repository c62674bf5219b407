"""What the files show about a table's columns."""

import pytest
from etils import epath

from tfds_imagecsv.sources import listing
from tfds_imagecsv.table.evidence import Evidence
from tfds_imagecsv.table.resolve import Finder


@pytest.mark.parametrize("there", ["", "others/"])
def test_files_of_another_directory_are_found(tmp_path, there):
    """It is the parent of the image directory, or one beside it."""
    for key in ("images/z.png", f"{there}a.png", f"{there}b.png"):
        (tmp_path / key).parent.mkdir(exist_ok=True)
        (tmp_path / key).touch()
    directory = epath.Path(tmp_path / "images")
    finder = Finder(directory, listing.list_files(directory))

    def looked_for(*names):
        rows = [[name, "cat"] for name in names]
        return Evidence(["file", "label"], rows, finder).against(0, "l.csv")

    right = str(tmp_path / there).rstrip("/")
    ending = f"They are in {right!r}: set image_dir to that."
    assert looked_for("a.png", "b.png").endswith(ending)
    assert "set image_dir" not in looked_for("a.png", "c.png")
