"""Boxes and masks on the pictures of a report are where the objects are."""

import base64
import html
import io
import re
from typing import NamedTuple

import numpy as np
import pytest
import walk
from PIL import Image, ImageColor
from samples import TURNS, encoded, exif, noise

import tfds_imagecsv
from tfds_imagecsv.options import ImageOptions
from tfds_imagecsv.reports import drawings, thumbnails
from tfds_imagecsv.storage import files

HEADER = ("filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax")

# Two rectangles on an image as shown; all turns and mirror images of it differ.
HEIGHT, WIDTH = 90, 140
BOXES = {"red": (10, 8, 70, 30), "blue": (90, 40, 130, 86)}
COLORS = {"red": (255, 0, 0), "blue": (0, 0, 255)}

COLOR_OF = drawings.colors_of(["blue", "red"])

# The turns that undo turns.
INVERSE = {6: 8, 8: 6}

SCRIPT = "<script>alert(1)</script>"


class Shown(NamedTuple):
    """A picture of a page.

    Attributes:
      alt: what is said to those who don't see it.
      pixels: height x width x 3.
      view: width and height of what is drawn on it; None if nothing is.
      shapes: what is drawn: the path and the colour of each.
    """

    alt: str
    pixels: np.ndarray
    view: tuple[int, int] | None
    shapes: list[tuple[str, str]]

    def edges(self, color):
        """Returns left, upper, right and lower edge of a colour's boxes, in pixels."""
        scale = self.pixels.shape[1] / self.view[0]
        [path] = [path for path, stroke in self.shapes if stroke == color]
        boxes = re.findall(r"M(\d+) (\d+)H(\d+)V(\d+)H\1z", path)
        assert "".join("M{} {}H{}V{}H{}z".format(*b, b[0]) for b in boxes) == path
        return [[int(edge) * scale for edge in box] for box in boxes]


def examples_of(page):
    """Returns the pictures of the examples of a page, by the heading above them."""
    section = re.search(r'<section id="examples".*?</section>', page, re.DOTALL)[0]
    found = {}
    for part in section.split("<h3>")[1:]:
        heading, _, rest = part.partition("</h3>")
        pictures = []
        for src, alt, svg in re.findall(
            r'<img src="([^"]*)" alt="([^"]*)"[^>]*>(<svg.*?</svg>)?', rest
        ):
            data = base64.b64decode(src.partition(",")[2])
            with Image.open(io.BytesIO(data)) as opened:
                pixels = np.asarray(opened.convert("RGB"))
            view = re.search(r'viewBox="0 0 (\d+) (\d+)"', svg)
            shapes = re.findall(r'<path d="([^"]*)" stroke="([^"]*)"/>', svg)
            assert svg.count("<path") == len(shapes)
            pictures.append(
                Shown(
                    html.unescape(alt),
                    pixels,
                    tuple(map(int, view.groups())) if view else None,
                    shapes,
                )
            )
        found[heading] = pictures
    return found


def heading(name, color):
    """Returns the heading of a class, as HTML."""
    return f'<span class="key" style="background:{color}"></span>{name}'


@pytest.fixture
def make(tmp_path, write_csv):
    """Returns a function that writes a table of boxes, and returns its config."""
    (tmp_path / "images").mkdir()

    def make(rows, header=HEADER, **fields):
        write_csv(tmp_path / "labels.csv", rows, header=header)
        return tfds_imagecsv.ImageCsvConfig(
            name="rectangles",
            image_dir=tmp_path / "images",
            label_csv=tmp_path / "labels.csv",
            label_type="boxes",
            **{"val_size": 0, "test_size": 0, **fields},
        )

    return make


@pytest.fixture
def write(tmp_path):
    """Returns a function that writes an image of both rectangles, and returns rows."""

    def write(orientation, scale=1):
        pixels = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
        pixels[0, :8] = orientation * 20  # else the files would be the same
        for name, (left, upper, right, lower) in BOXES.items():
            pixels[upper:lower, left:right] = COLORS[name]
        pixels = pixels.repeat(scale, 0).repeat(scale, 1)
        in_file = TURNS[INVERSE.get(orientation, orientation)](pixels)
        image = Image.fromarray(np.ascontiguousarray(in_file))
        name = f"{orientation}.png"
        image.save(tmp_path / "images" / name, exif=exif(orientation))
        return [
            (name, WIDTH * scale, HEIGHT * scale, one, *(at * scale for at in box))
            for one, box in BOXES.items()
        ]

    return write


def assert_covers(shown, name):
    """Checks that what has a colour is in a box, and nothing else is.

    Half a pixel is blurred by the small picture, and one and a half by its encoding.
    """
    [edges] = shown.edges(COLOR_OF[name])
    is_color = np.abs(shown.pixels.astype(int) - COLORS[name]).sum(axis=2) < 250
    rows, columns = np.flatnonzero(is_color.any(1)), np.flatnonzero(is_color.any(0))
    found = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    assert np.abs(np.subtract(edges, found)).max() <= 2


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"apply_exif": False},
        {"resize": (60, 60)},
        {"max_side": 50},
        {"channels": 1},
    ],
)
@pytest.mark.parametrize("scale", [1, 3])
def test_boxes_are_where_the_objects_are(make, write, fields, scale):
    """On the picture as shown: upright, or as in the file; at any size."""
    rows = [row for orientation in TURNS for row in write(orientation, scale)]
    config = make(rows, **fields)
    examples = examples_of(walk.report(config))
    assert len(examples) == 2
    for pictures in examples.values():
        assert len(pictures) == 8
        for one in pictures:
            height, width = one.pixels.shape[:2]
            assert abs(one.view[0] / one.view[1] - width / height) < 0.02
            for name in BOXES:
                assert_covers(one, name)


def test_classes_have_colours(make, write):
    """A box has the colour beside the heading of its class."""
    page = walk.report(make(write(1)))
    colors = drawings.colors_of(["blue", "red"])
    examples = examples_of(page)
    assert list(examples) == [heading(name, colors[name]) for name in ("blue", "red")]
    for pictures in examples.values():
        [one] = pictures
        assert {color for _, color in one.shapes} == {*colors.values()}
    assert "A box has the colour shown beside its class." in page


def test_boxes_are_said(make, write):
    """The text counts those of each class, sorted by name."""
    rows = [*write(1), (*write(2)[0][:4], 0, 0, 9, 9), *write(2)]
    examples = examples_of(walk.report(make(rows)))
    assert {one.alt for pictures in examples.values() for one in pictures} == {
        "1.png: 1 blue, 1 red",
        "2.png: 1 blue, 2 red",
    }
    counts = {len(one.edges(COLOR_OF["red"])) for one in next(iter(examples.values()))}
    assert counts == {1, 2}


def test_it_is_the_same_twice(make, write):
    """Byte for byte, in any order of the images."""
    rows = [row for orientation in TURNS for row in write(orientation)]
    assert walk.report(make(rows)) == walk.report(make(rows))
    backwards = [
        row for at in range(0, len(rows), 2)[::-1] for row in rows[at : at + 2]
    ]
    assert examples_of(walk.report(make(rows))).keys() == (
        examples_of(walk.report(make(backwards))).keys()
    )


def test_names_of_classes_are_texts(make, write):
    """They neither become elements nor fill the page."""
    long = "x" * 500
    rows = [(*row[:3], name, *row[4:]) for name in (SCRIPT, long) for row in write(1)]
    rows[3] = (*rows[3][:4], 1, 2, 5, 6)
    rows[2] = (*rows[2][:4], 1, 2, 7, 6)
    page = walk.report(make(rows, delimiter=","))
    assert SCRIPT not in page
    examples = [one for pictures in examples_of(page).values() for one in pictures]
    assert len(examples) == 2
    for one in examples:
        assert len(one.alt) < 150
        assert SCRIPT in one.alt
        assert "xxx…xxx" in one.alt
        assert len(one.shapes) == 2


def test_very_many_boxes(make, write):
    """It draws the first, and counts all."""
    file = write(1)[0][:3]
    rows = [(*file, "red", at % 50, at // 50, 130, 80) for at in range(700)]
    [[one]] = examples_of(walk.report(make(rows))).values()
    assert one.alt == "1.png: 700 red"
    assert len(one.edges(drawings.color_of(0))) == 50


def test_a_page_of_boxes_is_small(make, write_png, tmp_path):
    """Even with many classes with long names in each image."""
    rows = []
    for at in range(250):
        write_png(tmp_path / "images" / f"{at}.png", width=60, height=65, seed=at)
        for number in range(60):
            name = f"{(at + number) % 250:03}{'<' * 200}"
            rows.append((f"{at}.png", 60, 65, name, 1, number, 59, 64))
    page = walk.report(make(rows))
    pictures = sum(map(len, re.findall('src="data:[^"]*"', page)))
    assert page.count("<path d=") > 100 * 50
    # As if the pictures had used up their room.
    assert len(page) - pictures + thumbnails._MOST_ENCODED < 5_000_000


def test_datasets_without_boxes_have_no_drawings(make_dataset):
    """Nor do they have colours beside their classes."""
    page = walk.report(make_dataset())
    assert "<svg viewBox" not in re.search(r'id="examples".*', page, re.DOTALL)[0]
    assert list(examples_of(page)) == ["cat", "dog"]
    assert "has the colour" not in page


@pytest.mark.parametrize("count", [1, 8, 24, 120])
def test_colours_differ(count):
    """For any number of classes."""
    found = drawings.colors_of([str(at) for at in range(count)])
    assert len(set(found.values())) == count
    assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in found.values())


def test_an_image_without_objects(make, tmp_path):
    """The text says so; nothing is drawn on the picture."""
    Image.new("RGB", (200, 200)).save(tmp_path / "images" / "dark.png")
    Image.new("RGB", (200, 200), "white").save(tmp_path / "images" / "bright.png")
    box = (200, 200, "cat", 1, 2, 30, 40)
    config = make([("dark.png", 200, 200, *[""] * 5), ("bright.png", *box)])
    found = re.findall(r"<figcaption>([a-z].*?)</figcaption>", walk.report(config))
    captions = {re.sub("<br>score [0-9.]*", "", one) for one in found}
    assert captions == {"dark.png<br>train", "bright.png<br>cat · train"}
    drawing = drawings.Boxes((), ()).drawn({}, 10, 20, as_shown=str)
    assert drawing == drawings.Drawing("no objects", 500, 1000, ())


@pytest.mark.parametrize(("height", "width"), [(1, 3000), (3000, 1), (1, 1)])
def test_images_one_pixel_wide(height, width):
    """A drawing has a side of at least one unit."""
    boxes = drawings.Boxes(("a",), ((0.0, 0.0, 1.0, 1.0),))
    drawing = boxes.drawn({"a": "#000000"}, height, width, as_shown=str)
    assert min(drawing.height, drawing.width) >= 1
    [shape] = drawing.shapes
    assert shape.path == f"M0 0H{drawing.width}V{drawing.height}H0z"


# Masks


def test_a_mask_lies_over_its_picture():
    """Each level is half the picture's, half the value's; 0 changes nothing."""
    pixels = noise(5, 7, 3)
    values = noise(5, 7, dtype=np.uint16) % 4 * 300
    found = drawings.overlaid(Image.fromarray(pixels), values)
    for y, x in np.ndindex(5, 7):
        value = int(values[y, x])
        color = ImageColor.getrgb(drawings.color_of(value))
        mixed = [(int(a) + b) // 2 for a, b in zip(pixels[y, x], color, strict=True)]
        assert found.getpixel((x, y)) == tuple(mixed if value else pixels[y, x])


@pytest.fixture
def small(tmp_path):
    """Returns a function that writes an image and its mask, and makes thumbnails."""

    def small(image, mask, options=None, **kwargs):
        for name, content in (("images/a.png", image), ("masks/b.png", mask)):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)
        return thumbnails.make_thumbnails(
            tmp_path / "images",
            {"a.png": 1},
            [],
            options or ImageOptions(),
            thumbnails.Masks(
                folder=tmp_path / "masks", key_of={"a.png": "b.png"}, **kwargs
            ),
        )

    return small


def opened(thumbnail):
    """Returns the pixels of a thumbnail."""
    data = base64.b64decode(thumbnail.source.partition(",")[2])
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def masked_edges(made):
    """Returns left, upper, right and lower edge of a mask's changes, in pixels."""
    before, after = opened(made.of["a.png"]), opened(made.masked["a.png"])
    assert before.shape == after.shape
    is_changed = np.abs(before - after).sum(axis=2) > 60
    rows, columns = np.flatnonzero(is_changed.any(1)), np.flatnonzero(is_changed.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


GRAY = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
VALUES = np.zeros((HEIGHT, WIDTH), np.uint8)
VALUES[8:30, 10:70] = 1


def in_file(pixels, orientation):
    """Returns a file of pixels that EXIF turns, given the pixels as shown."""
    turned = TURNS[INVERSE.get(orientation, orientation)](pixels)
    image = Image.fromarray(np.ascontiguousarray(turned))
    return encoded(image, exif=exif(orientation)), encoded(image)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("options", [{}, {"resize": (60, 60)}])
def test_masks_are_where_the_objects_are(small, orientation, options):
    """In any frame, and for any way to store their images."""
    options = ImageOptions(**options)
    image, _ = in_file(GRAY, orientation)
    _, as_file = in_file(VALUES, orientation)
    as_shown = encoded(Image.fromarray(VALUES))
    for mask, are_upright in ((as_file, False), (as_shown, True), (as_shown, None)):
        made = small(image, mask, options, are_upright=are_upright)
        assert np.abs(np.subtract(masked_edges(made), BOXES["red"])).max() <= 2
        thumbnail = made.masked["a.png"]
        assert (thumbnail.height, thumbnail.width) == (HEIGHT, WIDTH)


def test_masks_as_images_that_are_not_turned(small):
    """They are turned back, to fit their images as shown."""
    image, _ = in_file(GRAY, 6)
    mask = encoded(Image.fromarray(VALUES))
    made = small(image, mask, ImageOptions(apply_exif=False))
    left, upper, right, lower = BOXES["red"]
    edges = upper, WIDTH - right, lower, WIDTH - left
    assert np.abs(np.subtract(masked_edges(made), edges)).max() <= 2


def test_masks_of_large_images(small):
    """They are reduced like their images."""
    image = Image.fromarray(GRAY).resize((5 * WIDTH, 5 * HEIGHT))
    mask = Image.fromarray(VALUES).resize(image.size, Image.Resampling.NEAREST)
    made = small(encoded(image), encoded(mask))
    scale = 160 / WIDTH
    assert opened(made.masked["a.png"]).shape == (round(HEIGHT * scale), 160, 3)
    edges = np.array(BOXES["red"]) * scale
    assert np.abs(np.subtract(masked_edges(made), edges)).max() <= 2


def test_masks_of_colours_and_of_16_bits(small):
    """They have the values of the records."""
    color = np.where(VALUES[..., None] == 1, [255, 0, 0], [0, 0, 0]).astype(np.uint8)
    image = encoded(Image.fromarray(GRAY))
    by_color = small(
        image,
        encoded(Image.fromarray(color)),
        colors={(255, 0, 0): 700, (0, 0, 0): 0},
    )
    deep = small(image, encoded(Image.fromarray(VALUES.astype(np.uint16) * 700)))
    assert by_color.masked == deep.masked
    assert by_color.masked["a.png"] != by_color.of["a.png"]


def test_masks_that_cannot_be_read(small):
    """There is no picture of the mask, only of the image."""
    image = encoded(Image.fromarray(GRAY))
    made = small(image, encoded(Image.fromarray(VALUES), "JPEG"))
    assert list(made.of) == ["a.png"]
    assert made.masked == {}


def test_images_without_room_have_no_masks(small, monkeypatch):
    """Pictures and masks share the room."""
    image, mask = encoded(Image.fromarray(GRAY)), encoded(Image.fromarray(VALUES))
    source = small(image, mask).of["a.png"].source
    monkeypatch.setattr(thumbnails, "_MOST_ENCODED", len(source))
    made = small(image, mask)
    assert list(made.of) == ["a.png"]
    assert made.masked == {}


CLASSES = ("ground", "cat", SCRIPT)


@pytest.fixture
def masked(tmp_path):
    """Returns a function that writes images of all orientations; returns a config."""

    def masked(upright=True, colors=None, **fields):
        for folder in ("images", "masks"):
            (tmp_path / folder).mkdir(exist_ok=True)
        for orientation in TURNS:
            pixels = GRAY.copy()
            pixels[0, :8] = orientation * 20
            image, _ = in_file(pixels, orientation)
            values = VALUES * (1 + orientation % 2)
            if colors is not None:
                values = np.array([ImageColor.getrgb(one) for one in colors], np.uint8)[
                    values
                ]
                fields["mask_colors"] = dict(zip(colors, CLASSES, strict=True))
            _, mask = in_file(values, 1 if upright else orientation)
            (tmp_path / "images" / f"{orientation}.png").write_bytes(image)
            (tmp_path / "masks" / f"{orientation}.png").write_bytes(mask)
        values = {"label_type": "none", "classes": CLASSES, **fields}
        return tfds_imagecsv.ImageCsvConfig(
            name="masks",
            image_dir=tmp_path / "images",
            mask_dir=tmp_path / "masks",
            val_size=2,
            test_size=0,
            **values,
        )

    return masked


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("colors", [None, ("black", "#f00", "#00ff00")])
def test_masks_are_beside_their_images(masked, upright, colors):
    """In the frame that the masks of all images show, with the classes' values."""
    config = masked(upright, colors)
    page = walk.report(config)
    assert walk.report(config) == page
    [section] = re.findall(r'<section id="examples".*?</section>', page, re.DOTALL)
    pictures = examples_of(section.replace("</h2>", "</h2><h3></h3>"))[""]
    assert len(pictures) == 2 * 8
    for image, mask in zip(pictures[::2], pictures[1::2], strict=True):
        orientation = int(image.alt[0])
        value = 1 + orientation % 2
        share = (70 - 10) * (30 - 8) / (HEIGHT * WIDTH)
        assert mask.alt == (
            f"segmentation_mask: ground {1 - share:.1%}, {CLASSES[value]} {share:.1%}"
        )
        before, after = image.pixels.astype(int), mask.pixels.astype(int)
        is_changed = np.abs(before - after).sum(axis=2) > 60
        rows = np.flatnonzero(is_changed.any(1))
        columns = np.flatnonzero(is_changed.any(0))
        edges = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
        assert np.abs(np.subtract(edges, BOXES["red"])).max() <= 2
        color = np.array(ImageColor.getrgb(drawings.color_of(value)))
        center = after[(8 + 30) // 2, (10 + 70) // 2]
        assert np.abs(center - (128 + color) / 2).max() < 12


def test_each_mask_is_read_once(masked, monkeypatch):
    """Even if few files are read ahead."""
    overlaid = drawings.overlaid
    seen = []

    def noted(picture, values):
        seen.append(picture)
        return overlaid(picture, values)

    monkeypatch.setattr(drawings, "overlaid", noted)
    monkeypatch.setattr(files, "READ_AHEAD", 3)
    walk.report(masked())
    assert len(seen) == 8


def test_the_colours_of_masks_are_explained(masked):
    """A legend has them beside the names of their classes."""
    page = walk.report(masked())
    keys = [
        f'<span class="key" style="background:{drawings.color_of(value)}"></span>'
        f"{html.escape(CLASSES[value])}"
        for value in (1, 2)
    ]
    for key in keys:
        assert f"<li>{key}</li>" in page
    assert "0 has none" in page
    assert SCRIPT not in page


def test_masks_without_classes(masked):
    """Values have colours, but no legend."""
    page = walk.report(masked(classes=None))
    assert '<ul class="legend">' not in page
    assert "segmentation_mask: 0 89.5%, 1 10.5%" in page


def test_many_classes_of_masks(masked):
    """The legend has the first; a hundred are counted."""
    classes = [f"class {at}" for at in range(300)]
    page = walk.report(masked(classes=classes))
    [legend] = re.findall(r'<ul class="legend">.*?</ul>', page, re.DOTALL)
    assert legend.count("<li>") == 23
    assert "276 more" in legend
    [table] = re.findall(r'aria-label="Pixels of masks.*?</table>', page, re.DOTALL)
    assert table.count("<tr>") == 1 + 100
    assert "200 between them aren't shown" in page
