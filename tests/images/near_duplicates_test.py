"""Near duplicates, found by what pictures show."""

import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont
from sklearn.datasets import load_sample_images

from tfds_imagecsv import arrays
from tfds_imagecsv.images import (
    fingerprint,
    hash_search,
    larger_pictures,
    near_duplicates,
)
from tfds_imagecsv.images.small_pictures import SmallPictures, reduced

CHINA, FLOWER = map(Image.fromarray, load_sample_images().images)  # 640 x 427

# Parts of the photographs that don't overlap.
PARTS = [
    photo.crop((left, top, left + 210, top + 210))
    for photo in (CHINA, FLOWER)
    for left in (0, 213, 426)
    for top in (0, 215)
]


def measured(*images):
    """Returns the fingerprints of images, and what looks at these again."""
    small = SmallPictures(reduced(one.convert("RGB")) for one in images)
    keys = arrays.texts([str(at) for at in range(len(images))])
    column = arrays.as_column(larger_pictures.measure(small)[larger_pictures.COLUMN])
    rows = pa.record_batch({"key": keys, larger_pictures.COLUMN: column})

    def look_again(at):
        return larger_pictures.of_rows(rows, keys.take(arrays.as_column(at)))

    return fingerprint.measure(small)[fingerprint.COLUMN], look_again


def sets_of(*images):
    """Returns the sets of near duplicates of images, as lists of their positions."""
    found = near_duplicates.find(*measured(*images))
    return [
        np.flatnonzero(found == one).tolist() for one in np.unique(found[found >= 0])
    ]


# A quarter of an icon's height.
FONT = ImageFont.load_default(size=32)


def as_jpeg(image, quality):
    """Returns an image that was a JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def icon(mark, color="#4080c0"):
    """Returns an icon of one style: a folder with a mark."""
    image = Image.new("RGB", (128, 128), "white")
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((8, 24, 120, 112), 8, fill=color)
    draw.rectangle((8, 16, 60, 40), fill=color)
    mark(draw)
    return image


@pytest.mark.parametrize(
    "alter",
    [
        lambda image: as_jpeg(image, 30),
        lambda image: image.resize((70, 70)),
        lambda image: image.resize((420, 400)),
        lambda image: ImageEnhance.Brightness(image).enhance(0.8),
        lambda image: ImageEnhance.Contrast(image).enhance(1.2),
        lambda image: image.crop((10, 10, 200, 200)),
        lambda image: image.crop((0, 0, 203, 205)),
        lambda image: image.rotate(2).crop((4, 4, 206, 206)),
        lambda image: image.convert("L"),
    ],
)
def test_finds_an_altered_copy_of_each_photograph(alter):
    """Each part of a photograph is in a set with its copy, and with nothing else."""
    count = len(PARTS)
    found = sets_of(*PARTS, *map(alter, PARTS))
    assert found == [[at, count + at] for at in range(count)]


def test_finds_no_set_among_different_pictures():
    """Neither parts of one photograph nor photographs belong together."""
    assert sets_of(*PARTS, CHINA, FLOWER) == []


def test_a_chain_of_pairs_is_one_set():
    """A crop of a crop belongs to both, though it differs much from the first."""
    chain = [CHINA]
    for _ in range(3):
        width, height = chain[-1].size
        cut = width // 20, height // 20
        chain.append(chain[-1].crop((*cut, width - cut[0], height - cut[1])))
    assert sets_of(chain[0], chain[-1]) == []
    assert sets_of(*chain) == [[0, 1, 2, 3]]


def test_icons_of_one_style_are_not_joined():
    """A mark or a colour makes another icon of the same folder."""
    icons = [
        icon(lambda draw: draw.ellipse((40, 48, 88, 96), fill="white")),
        icon(lambda draw: draw.rectangle((40, 48, 88, 96), fill="black")),
        icon(lambda draw: draw.polygon([(40, 96), (64, 48), (88, 96)], fill="white")),
        icon(lambda draw: draw.line((30, 50, 98, 100), fill="black", width=14)),
        icon(lambda draw: draw.ellipse((40, 48, 88, 96), fill="white"), "#b04040"),
    ]
    assert sets_of(*icons) == []
    copies = [as_jpeg(one, 60) for one in icons]
    assert sets_of(*icons, *copies) == [[at, at + 5] for at in range(5)]


def test_icons_with_small_marks_are_not_joined():
    """All else is the same, so that they correlate as copies do."""
    place = (62, 70, 74, 82)
    icons = [
        icon(lambda draw: draw.ellipse(place, fill="white")),
        icon(lambda draw: draw.ellipse(place, fill="black")),
        icon(lambda draw: None),
    ]
    assert sets_of(*icons) == []


def flower(colors):
    """Returns a drawing of light colours on white."""
    image = Image.new("RGB", (200, 200), "white")
    draw = ImageDraw.Draw(image)
    for at, color in enumerate(colors):
        left, top = 20 + at % 2 * 80, 20 + at // 2 * 80
        draw.ellipse((left, top, left + 80, top + 80), fill=color)
    draw.line((20, 190, 180, 170), fill="#207040", width=10)
    return image


def test_finds_a_drawing_whose_light_colours_are_cut():
    """Brightening leaves red at 255 as it is, and makes dark colours lighter."""
    drawings = [
        flower(("#ffe040", "#ff9060", "#a0c0ff", "#f0b0b0")),
        flower(("#ffd0ff", "#ff4040", "#60ffb0", "#b0b000")),
        flower(("#40c0ff", "#ffc000", "#ffb0e0", "#c0ff40")),
    ]
    brightened = [ImageEnhance.Brightness(one).enhance(1.2) for one in drawings]
    assert sets_of(*drawings, *brightened) == [[0, 3], [1, 4], [2, 5]]


def test_a_gray_icon_does_not_join_those_in_colour():
    """It is a copy of what it is the gray form of, and of no other."""
    icons = [
        icon(lambda draw: draw.ellipse((40, 48, 88, 96), fill="white"), color)
        for color in ("#e09040", "#4080c0", "#303030")
    ]
    assert sets_of(*icons) == []
    assert sets_of(*icons, icons[0].convert("L")) == [[0, 3]]


def lettered(text):
    """Returns what draws text on an icon."""
    return lambda draw: draw.text((44, 60), text, font=FONT, fill="white")


def test_icons_with_other_letters_are_not_joined():
    """As those of formats of archives; small copies are still found."""
    icons = [icon(lettered(one)) for one in (".tgz", ".deb", ".rpm", ".jar")]
    assert sets_of(*icons) == []
    copies = [as_jpeg(one.resize((90, 90)), 60) for one in icons]
    assert sets_of(*icons, *copies) == [[at, at + 4] for at in range(4)]


def test_icons_with_faint_additions_are_not_joined():
    """Brightening would hide them, but it would change the rest, too."""
    icons = [
        icon(lambda draw, color=color: draw.arc((66, 0, 126, 56), 180, 0, color, 7))
        for color in ("white", "#c0e0a0", "#ffd890")
    ]
    assert sets_of(*icons) == []


def test_finds_a_brightened_flag():
    """Of pure colours, brightening changes some only, and edges hardly tell by what."""
    flags = []
    for colors in (("#ff0000", "#008000"), ("#0000ff", "#00a060")):
        flag = Image.new("RGB", (280, 200), colors[0])
        draw = ImageDraw.Draw(flag)
        for edges in ((0, 0, 280, 200), (0, 200, 280, 0)):
            draw.line(edges, fill=colors[1], width=30)
        for edges in ((140, 0, 140, 200), (0, 100, 280, 100)):
            draw.line(edges, fill="white", width=30)
        flags.append(flag)
    brightened = [ImageEnhance.Brightness(one).enhance(1.2) for one in flags]
    assert sets_of(*flags, *brightened) == [[0, 2], [1, 3]]


def marked(image, opacity=80):
    """Returns an image with a transparent text across its middle."""
    mark = Image.new("L", image.size)
    draw = ImageDraw.Draw(mark)
    place = image.width / 2, image.height / 2
    draw.text(place, "SAMPLE", font=FONT, anchor="mm", fill=opacity)
    return Image.composite(Image.new("RGB", image.size, "white"), image, mark)


def test_a_marked_photograph_is_found_and_an_icon_is_not():
    """Photographs hardly agree in all but a text; icons of one style often do."""
    marks = [marked(one) for one in PARTS]
    assert sets_of(*PARTS, *marks) == [[at, at + 12] for at in range(12)]
    assert sets_of(icon(lambda draw: None), marked(icon(lambda draw: None))) == []


def on_white(image):
    """Returns an image on a plain ground."""
    ground = Image.new("RGB", (image.width + 100, image.height + 100), "white")
    ground.paste(image, (50, 50))
    return ground


def test_a_marked_picture_on_a_plain_ground_is_found_if_it_shines_through():
    """Else it is another icon of one style."""
    pictures = [on_white(one) for one in PARTS[:4]]
    marks = [marked(one, opacity=100) for one in pictures]
    assert sets_of(*pictures, *marks) == [[at, at + 4] for at in range(4)]
    hidden = on_white(PARTS[0])
    place = (hidden.width / 2, hidden.height / 2)
    draw = ImageDraw.Draw(hidden)
    draw.text(place, "SAMPLE", font=FONT, anchor="mm", fill="white", stroke_width=4)
    assert sets_of(pictures[0], hidden) == []


def test_a_picture_with_fewer_pixels_is_compared_as_such():
    """What it doesn't show is no difference."""
    (china,) = measured(CHINA)[1](np.array([0])).pixels
    small = CHINA.resize((20, 13))
    assert sets_of(CHINA, small, FLOWER) == [[0, 1]]
    (shown,) = measured(small)[1](np.array([0])).pixels
    assert np.abs(china.astype(int) - shown).max() > 60


def test_pictures_that_cannot_be_read_again_are_in_no_set():
    """Their files are gone since they were inspected."""
    prints, look_again = measured(CHINA, as_jpeg(CHINA, 60), as_jpeg(CHINA, 70))

    def without_second(at):
        pictures = look_again(at)
        pictures.sizes[at == 1] = 0
        return pictures

    assert near_duplicates.find(prints, without_second).tolist() == [0, -1, 0]


@pytest.mark.parametrize(
    "images",
    [
        [Image.new("RGB", (200, 100), color) for color in ("white", "#fffffe", "gray")],
        [Image.linear_gradient("L"), Image.linear_gradient("L").resize((80, 90))],
        [CHINA.resize((1, 1)), CHINA.resize((1, 200)), CHINA.resize((1, 190))],
        [CHINA.resize((600, 2)), CHINA.resize((500, 2))],
    ],
    ids=["empty", "slope", "a pixel wide", "two pixels high"],
)
def test_pictures_that_show_next_to_nothing_are_not_joined(images):
    """Who would say that two blank pages are copies?"""
    assert sets_of(*images, *images) == []


def test_no_picture_and_one_picture():
    """Both have no near duplicates."""
    assert near_duplicates.find(*measured()).tolist() == []
    assert near_duplicates.find(*measured(CHINA)).tolist() == [-1]


def test_gray_and_transparent_files_have_the_same_form():
    """A fingerprint of a gray picture has no colours."""
    (color,), _ = measured(CHINA)
    (gray,), _ = measured(CHINA.convert("L"))
    assert gray.shape == color.shape == (fingerprint.SIZE,)
    in_mode = SmallPictures([reduced(CHINA.convert("L"))])
    (plain,) = fingerprint.measure(in_mode)[fingerprint.COLUMN]
    assert (plain[fingerprint.SIDE**2 :] == 128).all()
    np.testing.assert_allclose(plain.astype(int), gray, atol=1)


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(3 * len(PARTS))))
def test_sets_do_not_depend_on_the_order(order):
    """The same pictures are in one set, wherever they are."""
    crops = [one.crop((5, 0, 205, 205)) for one in PARTS]
    blurred = [one.filter(ImageFilter.GaussianBlur(1)) for one in PARTS]
    prints, look_again = measured(*PARTS, *crops, *blurred)
    positions = np.array(order)
    found = near_duplicates.find(prints[order], lambda at: look_again(positions[at]))
    for one in np.unique(found):
        members = np.sort(positions[found == one])
        first = members[0]
        assert members.tolist() == [first + at * len(PARTS) for at in range(3)]


def alike(hashes, max_bits, flips):
    """Returns the pairs that a search must find, by comparing all."""
    bands = [np.uint64(((1 << 21) - 1) << at) for at in (43, 22, 1)]
    found = {}
    for window, of_window in enumerate(hashes):
        differ = hashes[0][:, None] ^ of_window[None]
        bits = hash_search.count_bits(differ)
        is_near = [hash_search.count_bits(differ & band) <= flips for band in bands]
        for whole, container in np.argwhere((bits <= max_bits) & np.any(is_near, 0)):
            if whole != container:
                best = int(bits[whole, container]), window
                pair = int(whole), int(container)
                found[pair] = min(best, found.get(pair, best))
    return found


@st.composite
def some_hashes(draw):
    """Draws hashes of which many differ in a few bits."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    shape = draw(st.integers(1, 3)), draw(st.integers(0, 40))
    bases = rng.integers(1 << 64, size=4, dtype=np.uint64, endpoint=False)
    hashes = bases[rng.integers(len(bases), size=shape)]
    for _ in range(draw(st.integers(0, 9))):
        hashes ^= np.uint64(1) << rng.integers(64, size=shape, dtype=np.uint64)
    return hashes


@settings(deadline=None)
@given(hashes=some_hashes(), max_bits=st.integers(0, 12))
def test_a_search_finds_what_a_comparison_of_all_pairs_finds(hashes, max_bits):
    """No pair is missed, none is found twice, and each has its best window."""
    limits = hash_search.Limits(max_bits=max_bits)
    pairs = hash_search.likely_pairs(hashes, limits)
    wanted = alike(hashes, max_bits, flips=1)
    found = list(zip(pairs.whole.tolist(), pairs.container.tolist(), strict=True))
    by_bits = sorted(wanted, key=lambda one: (one[0], wanted[one][0], one[1]))
    assert found == by_bits
    assert pairs.window.tolist() == [wanted[one][1] for one in found]


@settings(deadline=None)
@given(hashes=some_hashes(), most=st.integers(0, 60))
def test_a_search_of_too_many_pairs_keeps_the_closest(hashes, most):
    """It keeps those up to a number of bits, so that there aren't too many."""
    limits = hash_search.Limits(each=0, least=most)
    pairs = hash_search.likely_pairs(hashes, limits)
    wanted = sorted(bits for bits, _ in alike(hashes, limits.max_bits, 1).values())
    kept = [bits for bits in wanted if sum(one <= bits for one in wanted) <= most]
    assert len(pairs.whole) == len(kept)


def test_a_search_of_many_hashes_uses_a_table(monkeypatch):
    """It finds the same as by searching the sorted keys."""
    rng = np.random.default_rng(0)
    hashes = rng.integers(1 << 64, size=(2, 300), dtype=np.uint64, endpoint=False)
    hashes[:, :100] = hashes[:, 100:200] ^ np.uint64(1 << 40 | 1 << 20 | 1 << 3)
    wanted = hash_search.likely_pairs(hashes)
    monkeypatch.setattr(hash_search, "_LEAST_FOR_TABLE", 0)
    found = hash_search.likely_pairs(hashes)
    assert len(found.whole) >= 200
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_search_that_compares_too_much_looks_at_less():
    """First it looks only for equal bands, then only at whole pictures."""
    hashes = np.zeros((2, 50), np.uint64)
    hashes[0, ::2] = 1 << 30 | 1 << 50 | 1 << 10
    sizes = [
        len(hash_search.likely_pairs(hashes, hash_search.Limits(compared=most)).whole)
        for most in (100_000, 13_000, 5_000, 0)
    ]
    assert sizes[0] == 50 * 49
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) > 2
    assert sizes[-1] == 0


def test_bits_are_counted_by_a_table_as_numpy_2_counts_them():
    """NumPy 1 has no function for it."""
    numbers = np.array([0, 1, (1 << 64) - 1, 1 << 63, 0x123456789ABCDEF0], np.uint64)
    assert hash_search.count_by_table(numbers).tolist() == [0, 1, 64, 1, 32]
