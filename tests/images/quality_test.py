"""Quality issues, beside cleanvision, whose names and definitions they have."""

import numpy as np
import pytest
import walk
from cleanvision import Imagelab
from etils import epath
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter
from samples import encoded
from sklearn.datasets import load_sample_images

from tfds_imagecsv.engines import local
from tfds_imagecsv.images import image_table, quality, small_pictures
from tfds_imagecsv.options import ImageOptions

PHOTOS = [Image.fromarray(one) for one in load_sample_images().images]


def inspected(folder):
    """Returns the rows of the images of a folder, sorted by name."""
    names = sorted(path.name for path in folder.iterdir())
    table = image_table.inspect_images(
        epath.Path(folder),
        walk.batch(row=range(len(names)), key=names, label="cat"),
        ImageOptions(),
        engine=local.LocalEngine(workers=1),
        measures=[quality.measure],
    )
    assert table.problems == ()
    return table.rows


def issues_of(folder):
    """Returns the issues of the images of a folder, by name."""
    rows = inspected(folder)
    found = quality.issues(quality.scores(rows))
    return {
        key: {name for name, has_it in found.items() if has_it[at]}
        for at, key in enumerate(rows["key"].to_pylist())
    }


def oracle(folder):
    """Returns cleanvision's issues of the images of a folder, by name."""
    lab = Imagelab(data_path=str(folder), verbose=False)
    lab.find_issues({name: {} for name in quality.THRESHOLDS}, n_jobs=1, verbose=False)
    return {
        path.rpartition("/")[2]: {
            name for name in quality.THRESHOLDS if row[f"is_{name}_issue"]
        }
        for path, row in lab.issues.iterrows()
    }


def photograph(rng, low=200, high=400):
    """Returns a part of a photograph."""
    width, height = rng.integers(low, high, 2).tolist()
    photo = PHOTOS[rng.integers(2)]
    left = int(rng.integers(photo.width - width + 1))
    top = int(rng.integers(photo.height - height + 1))
    return photo.crop((left, top, left + width, top + height))


def darker(rng):
    """Returns a photograph of a night."""
    share = rng.uniform(0.02, 0.5)
    return photograph(rng).point(lambda level: level * share)


def lighter(rng):
    """Returns a photograph that was exposed for too long."""
    share = rng.uniform(0.001, 0.15)
    return photograph(rng).point(lambda level: 255 - (255 - level) * share)


def blurred(rng):
    """Returns a photograph out of focus."""
    return photograph(rng).filter(ImageFilter.GaussianBlur(rng.uniform(1, 25)))


def plain(rng):
    """Returns a drawing of few colours."""
    image = Image.new("RGB", (300, 240), tuple(rng.integers(256, size=3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(4)):
        corners = sorted(rng.integers(240, size=2).tolist())
        color = tuple(rng.integers(256, size=3).tolist())
        draw.rectangle((corners[0], corners[0], *corners[1:] * 2), fill=color)
    return image


def long(rng):
    """Returns a part of a photograph that is much longer than wide."""
    image = photograph(rng, 300, 400)
    size = image.width, int(image.width * rng.uniform(0.05, 0.6))
    image = image.crop((0, 0, *size))
    return image.transpose(Image.Transpose.TRANSPOSE) if rng.integers(2) else image


def of_odd_size(rng):
    """Returns a photograph that is far larger than others, or an icon."""
    side = int(rng.choice([4, 20, 800, 900]))
    return photograph(rng).resize((side, side))


def gray(rng):
    """Returns a photograph without colours."""
    return photograph(rng).convert("L")


KINDS = {
    "normal": photograph,
    "dark": darker,
    "light": lighter,
    "blurry": blurred,
    "low_information": plain,
    "odd_aspect_ratio": long,
    "odd_size": of_odd_size,
    "grayscale": gray,
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A folder of images with planted issues, which their names begin with."""
    folder = tmp_path_factory.mktemp("corpus")
    for number, (kind, make) in enumerate(KINDS.items()):
        for at in range(40):
            image = make(np.random.default_rng((number, at)))
            image_format = "PNG" if at % 2 else "JPEG"
            name = f"{kind}_{at:02}.{image_format.lower()}"
            (folder / name).write_bytes(encoded(image, image_format))
    return folder


@pytest.fixture(scope="module")
def both(corpus):
    """Our issues of the corpus, and those of cleanvision."""
    return issues_of(corpus), oracle(corpus)


@pytest.mark.parametrize("issue", quality.THRESHOLDS)
def test_what_cleanvision_finds_is_found(both, issue):
    """Of those that either finds, both find 95 %."""
    ours, theirs = (
        {name for name, found in one.items() if issue in found} for one in both
    )
    assert len(theirs) >= 15
    assert len(ours & theirs) >= 0.95 * len(ours | theirs), (
        sorted(ours - theirs),
        sorted(theirs - ours),
    )


@pytest.mark.parametrize(
    ("size", "mode"),
    [((1, 1), "RGB"), ((1, 900), "L"), ((2, 2), "RGB"), ((70, 1), "L")],
)
def test_the_smallest_images(tmp_path, size, mode):
    """They have scores as any others, and are of the usual size if they are alone."""
    (tmp_path / "a.png").write_bytes(encoded(Image.new(mode, size, "white")))
    rows = inspected(tmp_path)
    scores = quality.scores(rows)
    for name, values in scores.items():
        assert 0 <= values[0] <= quality.PARTS, name
    expected = {"light", "low_information"}
    if mode == "L":
        expected |= {"grayscale", "odd_aspect_ratio"}
    assert issues_of(tmp_path)["a.png"] - {"blurry"} == expected


def test_the_edges_are_those_of_pillow():
    """Also if pictures of other sizes are in the same array."""
    rng = np.random.default_rng(0)
    shapes = [(9, 7), (3, 3), (2, 7), (1, 1), (9, 2), (5, 9)]
    pictures = [
        Image.fromarray(rng.integers(256, size=one).astype(np.uint8)) for one in shapes
    ]
    gray = small_pictures.SmallPictures(pictures).gray
    spread = quality._spread_of_edges(gray, small_pictures.sizes_of(pictures))
    expected = [
        np.asarray(one.filter(ImageFilter.FIND_EDGES)).std() for one in pictures
    ]
    np.testing.assert_allclose(spread, expected)


def test_scores_do_not_depend_on_what_is_inspected_together(corpus, tmp_path):
    """But for the odd size, which is odd among the others."""
    rows = inspected(corpus)
    for at in (3, 100, 201):
        folder = tmp_path / str(at)
        folder.mkdir()
        name = rows["key"][at].as_py()
        (folder / name).write_bytes((corpus / name).read_bytes())
        alone = inspected(folder)
        for column in quality.MEASURED:
            column = f"quality/{column}"
            assert alone[column][0] == rows[column][at]


@pytest.mark.parametrize(
    ("sizes", "odd"),
    [
        ([10], []),
        ([10, 10, 10, 10, 11], [4]),
        ([10, 11, 12, 13, 14, 21], []),
        ([10, 11, 12, 13, 14, 24, 1], [5, 6]),
        ([], []),
    ],
)
def test_odd_sizes(sizes, odd):
    """More than three interquartile ranges away from the quartiles."""
    different, numbers = np.unique(np.array(sizes, float), return_inverse=True)
    scores = quality._scores_of_size(different, np.bincount(numbers))[numbers]
    assert np.flatnonzero(scores < quality.THRESHOLDS["odd_size"]).tolist() == odd


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=20),
    st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
)
def test_quantiles_of_values_that_occur_several_times(values, share):
    """They are NumPy's of the values themselves."""
    different, counts = np.unique(np.array(values, float), return_counts=True)
    found = quality._quantile(different[::-1], counts[::-1], share)
    assert found == pytest.approx(np.quantile(values, share))
