"""The files that the README and its pages speak of, in a home directory."""

import re

import readme
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
    """Makes the images of pets, their CSV, and a model repository."""
    _write_pets(home / "pets", 60)
    _write_other_layouts(home / "pets")
    for path, content in FILES:
        file = home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
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
