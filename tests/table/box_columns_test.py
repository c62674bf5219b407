"""Which columns have boxes, by their names."""

import pytest

from tfds_imagecsv.table import box_columns


@pytest.mark.parametrize(
    ("header", "positions", "formats"),
    [
        ("id xmin ymin xmax ymax", (1, 2, 3, 4), ("xyxy",)),
        ("XMin XMax YMin YMax", (0, 2, 1, 3), ("xyxy",)),
        ("f width height class xmin ymin xmax ymax", (4, 5, 6, 7), ("xyxy",)),
        ("f bbox_x1 bbox_y1 bbox_x2 bbox_y2", (1, 2, 3, 4), ("xyxy",)),
        ("x0 y0 x1 y1", (0, 1, 2, 3), ("xyxy",)),
        ("f left top width height", (1, 2, 3, 4), ("xywh",)),
        ("f x y w h", (1, 2, 3, 4), ("xywh", "cxcywh")),
        ("f x_center y_center width height", (1, 2, 3, 4), ("cxcywh",)),
        ("f cx cy w h", (1, 2, 3, 4), ("cxcywh",)),
        ("f bbox", (1,), ("xyxy", "xywh", "cxcywh")),
        ("f BoundingBox", (1,), ("xyxy", "xywh", "cxcywh")),
    ],
)
def test_usual_names(header, positions, formats):
    """In any order, case and spelling; names say the format if they can."""
    assert box_columns.found(header.split()) == (positions, formats)


@pytest.mark.parametrize(
    "header", ["f a b c d", "f xmin ymin xmax", "bbox bbox", "x y", "boxes", "width"]
)
def test_no_boxes(header):
    """Missing or repeated names aren't guessed."""
    assert box_columns.found(header.split()) is None


def test_columns_that_are_named():
    """Usual names are sorted; others keep their order, and may have any format."""
    header = ["f", "xmin", "xmax", "ymin", "ymax", "a", "b", "c", "d"]
    in_order = ((1, 3, 2, 4), ("xyxy",))
    assert box_columns.formats_of(header, [1, 2, 3, 4]) == in_order
    others = box_columns.formats_of(header, [5, 6, 7, 8])
    assert others == ((5, 6, 7, 8), ("xyxy", "xywh", "cxcywh"))


def test_sizes_and_classes():
    """The sizes of the box aren't those of the image."""
    header = ["image_width", "image_height", "width", "height", "Category", "name"]
    assert box_columns.sizes(header, {}) == (2, 3)
    assert box_columns.sizes(header, {2, 3}) == (0, 1)
    assert box_columns.sizes(header, {0, 2, 3}) == ()
    assert box_columns.classes(header, {}) == 4
    assert box_columns.classes(header, {4}) is None
