"""The files that the README and its pages speak of, in a home directory."""

import re

import readme
import samples
from PIL import Image

# Blocks that say which file they are.
FILES = [
    found
    for page in readme.PAGES
    for found in re.findall(
        r"^```\w+ ~/(\S+)\n(.*?)^```", page.read_text(), re.M | re.S
    )
]


def make_home(home):
    """Makes images, their tables, and a model repository."""
    _write_pets(home / "pets", 60)
    _write_other_layouts(home / "pets")
    for path, content in FILES:
        file = home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    _write_street(home / "street")
    _write_stereo(home / "stereo")
    cells = [f"{at:03}.png" for at in range(1, 31)]
    samples.write_masked(home / "cells", zip(cells, cells, strict=True))
    package = home / "my_repo" / "my_model"
    (package / "__init__.py").touch()
    (package / "pets" / "README.md").write_text("Cats, dogs and rabbits.\n")
    (package / "pets" / "CITATIONS.bib").write_text("@misc{pets}\n")
    (package / "pets" / "TAGS.txt").write_text("content.data-type.image # Images.\n")
    _write_pets(package / "pets" / "dummy_data", 20)


def _write_other_layouts(directory):
    """Writes the images into folders of classes, and of splits with tables."""
    for line in (directory / "labels.csv").read_text().splitlines()[1:]:
        name, label = line.split(",")
        content = (directory / "images" / name).read_bytes()
        split = "test" if name.endswith("0.png") else "train"
        for folder in (f"by_class/{label}", split):
            (directory / folder).mkdir(parents=True, exist_ok=True)
            (directory / folder / name).write_bytes(content)
        table = directory / f"{split}.csv"
        is_new = not table.exists()
        with table.open("a") as file:
            file.write("filename,label\n" * is_new + f"{line}\n")


def _write_pets(directory, count):
    """Writes images that all differ, and CSVs of labels, boxes and captions."""
    images = directory / "images"
    images.mkdir(parents=True)
    rows = ["filename,label"]
    boxes = ["filename,class,xmin,ymin,xmax,ymax"]
    captions = ["filename,caption"]
    for at in range(count):
        name, label = f"{at}.png", ("cat", "dog", "rabbit")[at % 3]
        Image.new("RGB", (40 + at, 50), (at, 2 * at, 3 * at)).save(images / name)
        rows.append(f"{name},{label}")
        boxes.append(f"{name},{label},4,{at % 9},30,40" if at % 5 else f"{name},,,,,")
        captions.append(f"{name},a {label} on a sofa")
    (directory / "labels.csv").write_text("\n".join(rows))
    (directory / "boxes.csv").write_text("\n".join(boxes))
    (directory / "captions.csv").write_text("\n".join(captions))


def _write_street(directory):
    """Writes images and masks; their table begins with the rows of the page."""
    table = directory / "masks.csv"
    rows = _add_rows(table, [f"{at:03}.jpg,{at:03}_mask.png" for at in range(3, 31)])
    samples.write_masked(directory, rows)


def _write_stereo(directory):
    """Writes pairs of images; their table begins with the rows of the page."""
    table = directory / "labels.csv"
    names = [(f"{at:03}.png", ("far", "near")[at % 2]) for at in range(3, 31)]
    rows = _add_rows(table, [f"left/{name},right/{name},{to}" for name, to in names])
    for at, row in enumerate(rows):
        for is_right, name in enumerate(row[:2]):
            file = directory / "images" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 30), (8 * at, 200 * is_right, 90)).save(file)


def _add_rows(table, lines):
    """Adds lines to a CSV with a header, and returns all of its rows."""
    with table.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)
    return [line.split(",") for line in table.read_text().splitlines()[1:]]
