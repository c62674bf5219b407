"""A dataset can be looked at, as in the README."""

import pytest
import readme
import tensorflow_datasets as tfds
import walk
from PIL import Image

import tfds_imagecsv


def test_a_table_and_pictures(digits, run_example):
    """Rows are examples, with thumbnails in HTML; pictures have their class below."""
    lines = run_example(
        readme.find_code("tfds.as_dataframe("),
        digits.data_dir,
        """
        for filename, label in zip(table["image/filename"], table["label"]):
            print(filename.decode(), info.features["label"].int2str(label))
        html = table._repr_html_()  # what a notebook asks for
        print(html.count('<img src="data:image/png;base64,'), html.count("digit "))
        for axes in figure.axes:
            [image] = axes.get_images()
            print(image.get_array().shape, axes.get_xlabel())
        """,
        with_tensorflow=True,
    )
    examples = list(digits.source("train"))[:10]
    assert len(lines) == 10 + 1 + 8
    for line, example in zip(lines[:10], examples, strict=True):
        filename = example["image/filename"].decode()
        assert line == f"{filename} {digits.labels[filename]}"
    assert lines[10] == "10 10"
    for line, example in zip(lines[11:], examples[:8], strict=True):
        label = digits.labels[example["image/filename"].decode()]
        assert line == f"{example['image'].shape} {label} ({example['label']})"


def test_boxes(tmp_path, write_png, write_csv, run_example):
    """The table draws an image's boxes; the grid has images alone."""
    rows = []
    for at in range(12):
        write_png(
            tmp_path / "images" / f"{at:02}.png", width=40 + at, height=30, seed=at
        )
        boxes = [("cat", 4, 3, 20, 15), ("dog", 10, 6, 40, 30)][: at % 3]
        rows += [(f"{at:02}.png", *box) for box in boxes or [("", "", "", "", "")]]
    write_csv(
        tmp_path / "labels.csv",
        rows,
        header=("filename", "class", "xmin", "ymin", "xmax", "ymax"),
    )
    config = tfds_imagecsv.ImageCsvConfig(
        name="pets",
        image_dir=tmp_path / "images",
        label_csv=tmp_path / "labels.csv",
        label_type="boxes",
        val_size=0,
        test_size=0,
    )
    builder = walk.built(config, tmp_path / "data")
    lines = run_example(
        readme.find_code("tfds.as_dataframe("),
        tmp_path / "data",
        """
        import base64, io, re
        from PIL import Image, ImageChops

        page = table._repr_html_()
        sources = re.findall(r'src="data:image/png;base64,([^"]*)"', page)
        for source in sources[1::2]:  # behind that of the image
            drawn = Image.open(io.BytesIO(base64.b64decode(source)))
            blank = Image.new("RGB", drawn.size, "white")
            print(drawn.size, ImageChops.difference(drawn, blank).getbbox())
        for axes in figure.axes:
            [image] = axes.get_images()
            print(image.get_array().shape, len(axes.patches), repr(axes.get_xlabel()))
        supervised = tfds.load("image_csv/pets", split="train", as_supervised=True)
        figure = tfds.show_examples(supervised, info, rows=1, cols=2)
        print(len(figure.axes))
        """,
        with_tensorflow=True,
    )
    dataset = tfds.builder_from_directory(builder.data_path).as_dataset(split="train")
    examples = list(tfds.as_numpy(dataset))
    assert len(lines) == 10 + 8 + 1
    side = int(lines[0].partition(",")[0].strip("("))
    for line, example in zip(lines[:10], examples, strict=False):
        boxes = (example["objects"]["bbox"] * side).astype(int)
        edges = None
        if len(boxes):
            upper, left = boxes[:, :2].min(axis=0).tolist()
            lower, right = boxes[:, 2:].max(axis=0).tolist()
            edges = left, upper, min(right + 1, side), min(lower + 1, side)
        assert line == f"({side}, {side}) {edges}"
    for line, example in zip(lines[10:18], examples, strict=False):
        assert line == f"{example['image'].shape} 0 ''"
    assert lines[18] == "2"


@pytest.mark.parametrize(
    "fields",
    [{}, {"label_type": "none", "classes": [f"value {at}" for at in range(10)]}],
)
def test_several_images_and_masks(tmp_path, write_png, write_csv, run_example, fields):
    """The table has all of them; the grid has the named one."""
    rows = []
    for at in range(10):
        names = [f"{name}{at}.png" for name in ("left", "right", "mask")]
        for number, name in enumerate(names):
            write_png(
                tmp_path / "images" / name,
                width=20 + at,
                height=30,
                seed=3 * at + number,
            )
        Image.new("L", (20 + at, 30), at).save(tmp_path / "images" / names[2])
        rows.append((*names, ("cat", "dog")[at % 2]))
    header = ("left", "right", "mask", "label")
    write_csv(tmp_path / "labels.csv", rows, header=header)
    config = tfds_imagecsv.ImageCsvConfig(
        name="pets",
        image_dir=tmp_path / "images",
        label_csv=tmp_path / "labels.csv",
        filename_column="left",
        image_columns={"right": "right"},
        mask_column="mask",
        val_size=0,
        test_size=0,
        **fields,
    )
    walk.built(config, tmp_path / "data")
    lines = run_example(
        readme.find_code("tfds.as_dataframe(").partition("table =")[0],
        tmp_path / "data",
        """
        table = tfds.as_dataframe(dataset.take(3), info)
        print([name for name in table.columns if "/" not in name])
        print(table._repr_html_().count('<img src="data:image/png;base64,'))
        for name in ("image", "right", "segmentation_mask"):
            figure = tfds.show_examples(dataset, info, rows=1, cols=2, image_key=name)
            [image] = figure.axes[0].get_images()
            print(image.get_array().shape, figure.axes[0].get_xlabel()[:3])
        try:
            tfds.show_examples(dataset, info)
        except ValueError as error:
            print(str(error).partition(". Images")[0])
        """,
        with_tensorflow=True,
    )
    labels = [] if fields else ["label"]
    assert lines[0] == str(["image", *labels, "right", "segmentation_mask"])
    assert lines[1] == "9"
    shapes = [line.partition(") ") for line in lines[2:5]]
    assert {label for _, _, label in shapes} <= ({""} if fields else {"cat", "dog"})
    assert [shape.count(",") for shape, _, _ in shapes] == [2, 2, 1]
    assert lines[5] == (
        "Multiple image features detected in the dataset. Use `image_key` argument to"
        " override"
    )
