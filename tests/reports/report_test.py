"""What `report.html` says, and that no dataset can make it say anything else."""

import base64
import dataclasses
import html.parser
import io
import json
import re
import tomllib

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_datasets as tfds
import walk
from etils import epath
from PIL import Image
from sklearn.datasets import load_sample_images

import tfds_imagecsv
from tfds_imagecsv import arrays
from tfds_imagecsv.images import quality
from tfds_imagecsv.prepared import compare
from tfds_imagecsv.reports import content, leaks, page, plots, report, samples
from tfds_imagecsv.reports import thumbnails as thumbnails_lib
from tfds_imagecsv.table import manifest

MOST_BYTES = 5_000_000

NO_SETS = leaks.NearSets(first=(), count=0, conflicts=0, across=0)

# A label that would run, and one that would reverse the text that follows.
SCRIPT = "<script>alert(1)</script>"
TURNED = "tac\u202egod\u0007"


class Parsed(html.parser.HTMLParser):
    """The elements and the texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.attributes = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Notes it."""
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data):
        """Notes it."""
        self.words.append(data)

    @property
    def text(self):
        """All texts, with single blanks."""
        return " ".join(" ".join(self.words).split())

    def sources(self):
        """The pictures, opened."""
        found = [value for _, name, value in self.attributes if name == "src"]
        for one in found:
            head, _, data = one.partition(",")
            assert head == "data:image/webp;base64"
            yield Image.open(io.BytesIO(base64.b64decode(data)))


def page_of(config, **kwargs):
    """Returns what the report of a config says; without pictures."""
    made, found, plan, error = walk.report_inputs(config)
    sets = leaks.sets_of_copies(found, plan)
    near = leaks.near_sets(found, plan, most=samples.SETS)
    return page.make_page(
        config,
        made,
        found,
        plan,
        sets=sets,
        near=near,
        chosen=page.choose_samples(config, made, found, plan, sets, near),
        thumbnails=thumbnails_lib.Thumbnails(of={}, before={}, after={}, masked={}),
        error=error,
        **kwargs,
    )


def rows_of(names, each=4):
    """Returns rows of some classes."""
    return [
        (f"{number}_{at}.png", name)
        for number, name in enumerate(names)
        for at in range(each)
    ]


def test_the_numbers_come_first(make_dataset):
    """They say what it is, how many images it has, and how these are divided."""
    found = page_of(make_dataset(), dataset="image_csv/pets")
    assert found.title == "image_csv/pets"
    assert found.sentence == "20 images of 2 classes, in 3 splits"
    assert [(one.value, one.words) for one in found.numbers][:2] == [
        ("20", "images"),
        ("2", "classes"),
    ]
    assert [(one.name, one.size, one.share) for one in found.splits] == [
        ("train", 16, 0.8),
        ("validation", 2, 0.1),
        ("test", 2, 0.1),
    ]
    assert found.classes.columns == ("train", "validation", "test")
    assert found.classes.rows == (
        content.ClassRow("cat", (8, 1, 1), 10, 1.0),
        content.ClassRow("dog", (8, 1, 1), 10, 1.0),
    )


def test_it_is_the_same_twice(make_dataset):
    """Byte for byte, including pictures."""
    config = make_dataset()
    first = walk.report(config)
    assert first.count("<img") >= 16
    assert walk.report(config) == first


def test_the_order_of_the_table_shows_in_row_numbers_only(make_dataset):
    """Examples are drawn by their contents."""
    rows = [(f"{at:02}.png", ("cat", "dog")[at % 2]) for at in range(40)]
    assert walk.report(make_dataset(rows)) == walk.report(make_dataset(rows[::-1]))


def test_one_file_that_asks_for_nothing(make_dataset):
    """It has no addresses except those within it, and its own pictures."""
    found = Parsed(walk.report(make_dataset()))
    links = [value for _, name, value in found.attributes if name in ("href", "src")]
    assert links
    assert all(one.startswith(("#", "data:")) for one in links)
    assert not {"iframe", "object", "embed", "base"} & set(found.tags)
    assert "url(" not in walk.report(make_dataset())


def test_texts_of_others_are_texts(make_dataset, tmp_path, write_png):
    """Names and labels neither become elements nor reorder the page."""
    rows = [
        *((f"{at}.png", SCRIPT) for at in range(4)),
        *((f"<b onclick=x>{at}.png", '"><img src=x>') for at in range(4)),
        *((f"t{at}.png", TURNED) for at in range(4)),
    ]
    config = make_dataset(
        rows,
        description=f"{SCRIPT} & more",
        citation=TURNED + SCRIPT,
        license=SCRIPT,
        homepage="https://a.org/<script>",
        delimiter=",",
    )
    made = walk.report(config)
    found = Parsed(made)
    assert found.tags.count("script") == 1
    assert "b" not in found.tags
    assert not [one for one in found.attributes if one[1].startswith("on")]
    assert "alert(1)" in found.text
    assert '"><img src=x>' in found.text
    assert "tac\\u202egod\\x07" in found.text
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069\x00-\x08]", made)
    assert SCRIPT not in made


def test_problems_with_scripts(make_dataset, tmp_path):
    """Even in problems, in rejected rows, and in the error."""
    rows = [*rows_of(["a", "b"]), (f"{SCRIPT}.png".replace("/", ""), SCRIPT)]
    config = make_dataset(rows_of(["a", "b"]))
    (tmp_path / "labels.csv").write_text(
        "filename,label\n" + "".join(f'{one},"{label}"\n' for one, label in rows)
    )
    for fields in ({}, {"on_error": "skip", "max_rejected": 1.0}):
        values = {"name": "x", "image_dir": config.image_dir, **fields}
        one = tfds_imagecsv.ImageCsvConfig(label_csv=config.label_csv, **values)
        found = Parsed(walk.report(one))
        assert found.tags.count("script") == 1
        assert "<script>alert(1)<script>.png" in found.text


def test_problems_have_remedies_and_pictures(make_dataset, tmp_path):
    """Each kind has its rows, what to do, and its images, if there are any."""
    rows = rows_of(["cat", "dog"])
    rows[1] = (rows[1][0], "")
    config = make_dataset(rows)
    (tmp_path / "images" / "0_3.png").unlink()
    made = page_of(config)
    assert [(one.heading, one.count, one.lines) for one in made.problems] == [
        ("Empty label", 1, ("row 3: '0_1.png'",)),
        ("Image not found", 1, ("row 5: '0_3.png'",)),
    ]
    assert made.problems[0].remedy.startswith("Fill in the label")
    assert made.error
    found = Parsed(walk.report(config))
    assert "A build would fail" in found.text
    assert ("img", "alt", "0_1.png") in found.attributes


@pytest.mark.parametrize(
    ("fields", "sentence", "noun"),
    [
        ({"label_type": "none"}, "20 images without labels, in 3 splits", None),
        ({"folds": 4, "test_size": 0}, "20 images of 2 classes, in 4 splits", "class"),
        (
            {"val_size": 0, "test_size": 0},
            "20 images of 2 classes, in 1 split",
            "class",
        ),
    ],
)
def test_other_datasets(make_dataset, fields, sentence, noun):
    """The same page, without the missing parts."""
    config = make_dataset(**fields)
    found = page_of(config)
    assert found.sentence == sentence
    assert (found.classes and found.classes.noun) == noun
    assert Parsed(walk.report(config)).tags.count("section") >= 5


def test_numbers_as_labels(make_dataset):
    """Quantiles in the order of the numbers, their distribution, and examples."""
    rows = [(f"{at:02}.png", str(at / 2)) for at in range(40)]
    found = page_of(make_dataset(rows, label_type="regression"))
    assert found.sentence == "40 images labelled with numbers, in 3 splits"
    assert found.classes.noun == "quantile"
    assert sum(row.total for row in found.classes.rows) == 40
    assert found.plots[0].words == "From 0 to 19.5, mean 9.75, median 9.75."
    (gallery,) = found.examples
    shown = [float(one.words.split(" ")[0]) for one in gallery.pictures]
    assert shown == sorted(shown)
    assert (shown[0], shown[-1], len(shown)) == (0, 19.5, 24)


def test_several_classes_of_an_image(make_dataset):
    """Each class has its own examples, even of rare combinations."""
    rows = [(f"{at:02}.png", "a|b" if at % 10 == 0 else "a") for at in range(40)]
    config = make_dataset(
        [*rows, ("none.png", "|")], label_type="multilabel", label_delimiter="|"
    )
    found = page_of(config)
    assert [one.name for one in found.classes.rows] == ["a", "b"]
    assert [one.total for one in found.classes.rows] == [40, 4]
    by_class = {one.heading: one.pictures for one in found.examples}
    assert len(by_class["a"]) == samples.OF_CLASS
    assert sorted(one.name for one in by_class["b"]) == [
        *("00.png", "10.png", "20.png", "30.png")
    ]


def test_identical_images_and_what_would_have_leaked(make_dataset, tmp_path):
    """Each set occurs once, with the split that each image would have gone to."""
    rows = rows_of(["cat", "dog"], each=60)
    config = make_dataset(rows)
    images = tmp_path / "images"
    for at in range(1, 20):
        (images / f"0_{at}.png").write_bytes((images / "0_0.png").read_bytes())
    (images / "1_1.png").write_bytes((images / "1_0.png").read_bytes())
    found = page_of(config)
    assert [len(one.names) + one.more for one in found.copies] == [20, 2]
    assert found.copies[0].is_spread
    assert {split for _, split in found.copies[0].names} <= {
        *("train", "validation", "test")
    }
    values = dict(found.guarantees)
    assert values["Sets of identical images, each kept in one split"] == (
        "2 (22 images)"
    )
    spread = sum(one.is_spread for one in found.copies)
    assert values["Of these, would have leaked if each image had been drawn alone"] == (
        str(spread)
    )


def test_images_drawn_alone_are_divided_by_the_sizes():
    """Each split gets its share, as in a random draw."""
    sizes = {"train": 80, "validation": 15, "test": 5}
    drawn = [leaks._alone(f"{at}.png", sizes) for at in range(20_000)]
    for name, size in sizes.items():
        assert drawn.count(name) / 200 == pytest.approx(size, abs=1)


def test_groups_that_would_have_leaked(make_dataset, tmp_path, write_csv):
    """They are counted; a group of one image can't leak."""
    config = make_dataset([(f"{at:02}.png", "cat") for at in range(40)])
    rows = [(f"{at:02}.png", "cat", "big" if at < 30 else f"g{at}") for at in range(40)]
    write_csv(tmp_path / "labels.csv", rows, header=("filename", "label", "patient"))
    config = tfds_imagecsv.ImageCsvConfig(
        name="pets",
        image_dir=config.image_dir,
        label_csv=config.label_csv,
        group_column="patient",
    )
    values = page_of(config).guarantees
    at = values.index(("Groups, each kept in one split", "11"))
    assert values[at + 1][1] == "1"


def test_conversions_before_and_after(make_dataset, tmp_path):
    """Both are pictures: as in the file, and as stored."""
    config = make_dataset(background="red")
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = Image.new("RGB", (200, 100), "blue")
    wide.save(tmp_path / "images" / "00.png", "JPEG", exif=exif)
    clear = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    clear.save(tmp_path / "images" / "01.png")
    made, found, plan, _ = walk.report_inputs(config)
    chosen = page.choose_samples(config, made, found, plan, [], NO_SETS)
    assert chosen.conversions == {"alpha": ("01.png",), "orientation": ("00.png",)}
    pictures = thumbnails_lib.make_thumbnails(
        config.image_dir, {"00.png": 1}, ["00.png", "01.png"], config.image_options
    )

    def opened(thumbnail):
        data = base64.b64decode(thumbnail.source.partition(",")[2])
        return Image.open(io.BytesIO(data))

    was, becomes = pictures.before["00.png"], pictures.after["00.png"]
    assert (was.width, was.height, opened(was).size) == (200, 100, (160, 80))
    assert (becomes.width, becomes.height, opened(becomes).size) == (
        100,
        200,
        (80, 160),
    )
    assert pictures.of["00.png"] == becomes
    assert pictures.before["01.png"].has_alpha
    assert opened(pictures.before["01.png"]).convert("RGBA").getpixel((9, 9))[3] == 0
    red = opened(pictures.after["01.png"]).convert("RGB").getpixel((9, 9))
    assert red[0] > 240
    assert max(red[1:]) < 15


def test_an_image_that_has_gone_has_no_picture(make_dataset, tmp_path):
    """The page is made anyway, and says so."""
    config = make_dataset()
    *inputs, _ = walk.report_inputs(config)
    for path in (tmp_path / "images").iterdir():
        path.unlink()
    found = Parsed(report.make_report(config, *inputs))
    assert "img" not in found.tags
    assert found.text.count(".png: no picture") == 16


def test_pictures_stop_when_there_is_no_more_room(make_dataset, monkeypatch):
    """The most important ones come first."""
    config = make_dataset()
    keys = [f"{at:02}.png" for at in range(20)]
    monkeypatch.setattr(thumbnails_lib, "_MOST_ENCODED", 500)
    made = thumbnails_lib.make_thumbnails(
        config.image_dir, dict.fromkeys(keys, 1), [], config.image_options
    )
    assert 0 < len(made.of) < 10
    assert list(made.of) == keys[: len(made.of)]


@pytest.mark.parametrize("side", [(1, 300), (300, 1), (1, 1)])
def test_images_one_pixel_wide(make_dataset, tmp_path, side):
    """They have pictures and plots."""
    config = make_dataset()
    for path in (tmp_path / "images").iterdir():
        Image.new("RGB", side, path.name[:2] and (int(path.name[:2]), 9, 9)).save(path)
    found = Parsed(walk.report(config))
    sizes = {picture.size for picture in found.sources()}
    assert sizes == {tuple(min(one, 160) for one in side)}
    assert f"All images are {side[0]} by {side[1]} pixels" in found.text


def test_one_image(make_dataset):
    """It is in train; if it can't be divided, the page says so."""
    config = make_dataset([("a.png", "cat")], val_size=0, test_size=0)
    found = page_of(config)
    assert found.sentence == "1 image of 1 class, in 1 split"
    assert found.classes.rows == (content.ClassRow("cat", (1,), 1, 1.0),)
    assert "<img" in walk.report(config)
    found = page_of(make_dataset([("a.png", "cat")]))
    assert found.sentence == "1 image of 1 class"
    assert found.error


def test_no_image_can_be_used(make_dataset, tmp_path):
    """The page has the problems, and divides nothing by zero."""
    config = make_dataset()
    for path in (tmp_path / "images").iterdir():
        path.write_bytes(b"")
    found = page_of(config)
    assert found.classes is None
    assert found.plots == ()
    assert found.problems[0].count == 20
    assert "A build would fail" in Parsed(walk.report(config)).text


def many_classes(make_dataset, count, name="{}"):
    """Returns an input with rows of many classes, one image each."""
    config = make_dataset()
    made, found, plan, _ = walk.report_inputs(config)
    names = [name.format(at) for at in range(count)]
    at = np.arange(count) % len(plan.rows)
    rows = arrays.with_columns(
        plan.rows.take(pa.array(at)), {"label": arrays.encoded(names)}
    )
    counts = {"train": dict.fromkeys(names, 1), "test": dict.fromkeys(names, 0)}
    return config, made, found, plan, rows, counts


def test_very_many_classes(make_dataset):
    """The largest and the smallest are in the table, and the page stays small."""
    # The worst name: each character takes five bytes.
    config, made, found, plan, rows, counts = many_classes(
        make_dataset, 20_000, "{:05}" + "&" * 1500
    )
    plan = dataclasses.replace(
        plan, rows=rows, class_counts=counts, class_names=tuple(counts["train"])
    )
    made = dataclasses.replace(
        made,
        splits=counts,
        split_sizes={"train": 20_000, "test": 0},
        classes=counts["train"],
        notes=("&" * 100_000,) * 1000,
        duplicates=(("&" * 400,) * 100,) * 100,
        rejected_rows=({"row": 1, "key": "&" * 400, "label": "", "reason": "&" * 999},)
        * 5000,
    )
    text = report.make_report(config, made, found, plan)
    assert len(text.encode()) < MOST_BYTES
    words = Parsed(text).text
    assert "20,000 classes" in words
    assert "00000&" in words
    assert "19999&" in words
    assert "19,000 between them aren't shown" in words
    assert text.count("<tr>") < 1300


def test_very_many_splits(make_dataset):
    """The last of twelve columns stands for the others."""
    rows = [(f"{at:03}.png", "cat") for at in range(120)]
    found = page_of(make_dataset(rows, folds=60, test_size=0))
    assert found.classes.columns[:2] == ("fold0", "fold1")
    assert found.classes.columns[-1] == "49 others"
    assert found.classes.rows[0].counts == (*[2] * 11, 98)
    assert len(found.splits) == 60


def test_quality_issues_are_shown_the_worst_first(make_dataset, tmp_path):
    """They have their scores; issues without images are left out."""
    config = make_dataset()
    for at, level in ((4, 60), (9, 20), (11, 40), (12, 20)):
        path = tmp_path / "images" / f"{at:02}.png"
        Image.new("RGB", (5, 4), (level, level, at)).save(path)
    by_issue = {one.heading: one for one in page_of(config).quality}
    dark = by_issue["dark"]
    assert dark.words == "4"
    scores = [float(one.score.removeprefix("score ")) for one in dark.pictures]
    assert scores == sorted(scores)
    assert [one.name for one in dark.pictures] == [
        *("09.png", "12.png", "11.png", "04.png")
    ]
    assert re.fullmatch(r"score 0\.0\d{3}", dark.pictures[0].score)
    assert re.fullmatch(r"dog · \w+", dark.pictures[0].words)
    assert "light" not in by_issue
    text = Parsed(walk.report(config)).text
    assert "dark (4)" in text
    assert "Nothing is left out for these reasons" in text
    text = Parsed(walk.report(make_dataset(verify="header"))).text
    assert "Quality" not in text


def test_what_is_left_out_for_its_quality_is_shown(make_dataset, tmp_path):
    """It is marked as left out, and has no split."""
    config = make_dataset(drop_issues=["dark", "odd_size"])
    Image.new("RGB", (5, 4), (9, 9, 8)).save(tmp_path / "images" / "03.png")
    found = page_of(config)
    (dark,) = (one for one in found.quality if one.heading == "dark")
    assert [(one.name, one.score, one.words) for one in dark.pictures] == [
        ("03.png", "score 0.0351", "left out")
    ]
    assert [one[1:] for one in found.rejected] == [
        ("03.png", "dog", "quality issue: dark (0.0351)")
    ]
    made = walk.report(config)
    assert "Left out of the dataset for their quality: dark, odd size." in (
        Parsed(made).text
    )
    # Who hears the page can tell a section from the table in it.
    labels = re.findall('aria-label="([^"]*)"', made)
    assert {*labels}.isdisjoint(re.findall("<h2[^>]*>([^<]*)", made))


def test_images_that_are_left_out_are_not_counted(make_dataset, tmp_path):
    """Formats, sizes and conversions are those of the dataset, and so are classes."""
    config = make_dataset(drop_issues=["dark", "odd_size"])
    path = tmp_path / "images" / "03.png"
    Image.new("RGB", (5, 4), (9, 9, 8)).save(path, "GIF")
    made, _, plan, _ = walk.report_inputs(config)
    assert made.usable_images == 20
    assert made.formats == {"PNG": 19}
    assert made.byte_for_byte == 19
    assert made.conversions == {}
    assert made.sizes["size"]["min"] > path.stat().st_size
    assert made.classes == {
        name: sum(of_split[name] for of_split in plan.class_counts.values())
        for name in ("cat", "dog")
    }
    numbers = {one.words: one.value for one in page_of(config).numbers}
    assert (numbers["images"], numbers["converted"]) == ("19", "0")


def test_pictures_count_as_often_as_they_are_shown(make_dataset, monkeypatch):
    """Otherwise, an image with many issues would make the page large."""
    config = make_dataset()
    made, found, plan, _ = walk.report_inputs(config)
    keys = tuple(f"{one:02}.png" for one in range(6))
    made = dataclasses.replace(made, quality=dict.fromkeys(quality.THRESHOLDS, keys))
    monkeypatch.setattr(thumbnails_lib, "_MOST_ENCODED", 10_000)
    text = report.make_report(config, made, found, plan)
    shown = [len(one) for one in re.findall(r"data:image/webp;base64,[^\"]*", text)]
    assert len(shown) >= 20
    # The last picture may exceed it, with all its uses.
    assert sum(shown) < 10_000 + 8 * max(shown)


@pytest.fixture(scope="module")
def altered(tmp_path_factory, write_csv):
    """Returns a function that makes a config of photographs, each with a smaller copy.

    Its arguments are the labels of the copies that aren't `"photo"`, and fields.
    """
    folder = tmp_path_factory.mktemp("altered") / "images"
    folder.mkdir()
    photo = Image.fromarray(load_sample_images().images[0])
    for at in range(8):
        part = photo.crop((70 * at, 60, 70 * at + 100, 160 + 20 * at))
        part.save(folder / f"{at} <a>.png")
        part.resize((80, 80 + 16 * at)).save(folder / f"{at} <b>.png")

    def altered(labels=None, **fields):
        rows = [
            (f"{at} <{one}>.png", (labels or {}).get(f"{at}{one}", "photo"))
            for at in range(8)
            for one in "ab"
        ]
        write_csv(folder.parent / "labels.csv", rows)
        return tfds_imagecsv.ImageCsvConfig(
            name="pets",
            image_dir=folder,
            label_csv=folder.parent / "labels.csv",
            **{"val_size": 0.25, "test_size": 0.25, **fields},
        )

    return altered


def test_near_duplicates_across_splits_are_named(altered):
    """The page names the set and its splits; sets with different labels come first."""
    config = altered({"6b": "<i>"}, match="exact")
    made, _, plan, _ = walk.report_inputs(config)
    splits = walk_splits(plan)
    across = [
        at for at in range(8) if splits[f"{at} <a>.png"] != splits[f"{at} <b>.png"]
    ]
    assert 1 < len(across) < 8
    assert len(made.near_duplicates) == 8
    shown = page_of(config)
    first, *others = shown.near_duplicates
    assert first.heading == "6 <a>.png and 1 more"
    assert first.words.startswith("different labels: <i>, photo")
    named = {one.heading[0]: one.words for one in shown.near_duplicates}
    for at in range(8):
        both = sorted({splits[f"{at} <{one}>.png"] for one in "ab"})
        assert (f"in several splits: {', '.join(both)}" in named[str(at)]) == (
            at in across
        )
    # Next, those across splits; then the others.
    assert [bool(one.words) for one in others] == sorted(
        (bool(one.words) for one in others), reverse=True
    )
    assert [one.words.split(" · ")[1] for one in others[0].pictures] == [
        splits[one.name] for one in others[0].pictures
    ]
    said = f"{len(across)} lie in several splits, where tests flatter a model."
    assert said in " ".join(shown.about_near_duplicates)
    rows = dict(shown.guarantees)
    assert rows["Sets of near duplicates that lie in several splits"] == (
        f"{len(across)} of 8"
    )
    (note,) = (one for one in plan.notes if "across splits" in one)
    assert note.startswith(f"{len(across)} sets of near duplicates across splits: ")
    assert note.count(" ~ ") == len(across)
    parsed = Parsed(walk.report(config))
    assert said in parsed.text
    assert parsed.tags.count("i") == walk.report(config).count('<i class="c')
    for one in "ab":
        assert ("img", "alt", f"{across[0]} <{one}>.png") in parsed.attributes


@pytest.mark.parametrize("policy", ["together", "drop"])
def test_near_duplicates_that_are_in_one_split(altered, policy):
    """No set is across splits; images that are left out are marked so."""
    config = altered(near_duplicates=policy)
    shown = page_of(config)
    assert dict(shown.guarantees)[
        "Sets of near duplicates that lie in several splits"
    ] == ("0 of 8")
    assert not any(one.words for one in shown.near_duplicates)
    assert not any("across splits" in one for one in shown.notes)
    words = [one.words for of in shown.near_duplicates for one in of.pictures]
    assert words.count("left out") == (8 if policy == "drop" else 0)


def test_what_has_changed_since_an_earlier_build(make_dataset, make_builder, tmp_path):
    """A build with `pinned_splits` reports it, even if it replaces the earlier one.

    Images are new, gone, moved, relabelled; classes drift by number, size, brightness.
    """
    rows = [(f"{at:02}.png", ("cat", "dog")[at % 2]) for at in range(40)]
    walk.built(make_dataset(rows), tmp_path / "data")
    folder = tmp_path / "data" / "image_csv" / "pets" / "1.0.0"
    assert 'id="changes"' not in (folder / "report.html").read_text()
    new = [
        ("<b>.png", "<i>"),
        *rows[2:],
        *((f"new {at}.png", "dog") for at in range(9)),
    ]
    new[4] = (new[4][0], "cat")
    config = make_dataset(new, pinned_splits=folder / "split_manifest.csv")
    for at, (key, label) in enumerate(new):
        if label == "dog":
            Image.new("RGB", (9, 9), (9, 9, at)).save(tmp_path / "images" / key)
    mode = tfds.download.GenerateMode.REUSE_CACHE_IF_EXISTS
    tfds_imagecsv.ImageCsv(
        config=config, data_dir=tmp_path / "data"
    ).download_and_prepare(
        download_config=tfds.download.DownloadConfig(download_mode=mode)
    )
    made = (folder / "report.html").read_text()
    text = Parsed(made).text
    assert "38 images are in both." in text
    assert "New (10) '<b>.png', 'new 0.png', 'new 1.png'" in text
    assert "Gone (2) '00.png', '01.png'" in text
    assert f"Relabelled (1) dog -> cat (1): '{new[4][0]}'" in text
    drift = text.partition("Classes that have drifted")[2].partition("What is guar")[0]
    assert "<i> train 0" in drift
    assert "dog train 16" in drift
    assert "pixels a side 4 9" in drift
    assert re.search(r"brightness 0\.[3-6]\d 0\.05", drift)
    assert Parsed(made).tags.count("b") == 0


def test_images_that_move_and_manifests_that_cannot_be_compared(make_dataset, tmp_path):
    """The page ignores a manifest that isn't as a build writes it."""
    rows = [(f"{at:02}.png", ("cat", "dog")[at % 2]) for at in range(40)]
    config = make_dataset(rows)
    _, _, plan, _ = walk.report_inputs(config)
    path = tmp_path / "pinned.csv"
    manifest.write_manifest(epath.Path(path), plan.rows)
    other = make_dataset(rows, seed=1)
    made, found, moved, _ = walk.report_inputs(other)
    earlier = compare.read_earlier(epath.Path(path), label_type="class")
    text = Parsed(report.make_report(other, made, found, moved, earlier=earlier)).text
    assert "40 images are in both." in text
    assert "Moved to another split (" in text
    assert "train -> " in text
    assert "drifted" not in text
    same = report.make_report(config, made, found, plan, earlier=earlier)
    assert "They are in the same splits, with the same labels." in Parsed(same).text
    path.write_text("key,split\na,b\n")
    assert compare.read_earlier(epath.Path(path), label_type="class") is None


def walk_splits(plan):
    """Returns the split of each key."""
    keys, splits = plan.rows["key"].to_pylist(), plan.rows["split"].to_pylist()
    return dict(zip(keys, splits, strict=True))


@pytest.fixture
def make_pairs(tmp_path, write_csv):
    """Returns a function that writes rows of two further images; returns a config."""

    def make(**fields):
        rows = []
        for at in range(16):
            names = [f"{name}{at}.png" for name in ("a", "b", "c")]
            for number, name in enumerate(names):
                levels = (100 * number, at, 0)
                (tmp_path / "images").mkdir(exist_ok=True)
                Image.new("RGB", (8, 6), levels).save(tmp_path / "images" / name)
            rows.append((*names, ("cat", "dog")[at % 2]))
        write_csv(tmp_path / "labels.csv", rows, header=("a", "b", "c", "label"))
        values = {"image_columns": {"right": "b", "<top>": "c"}, **fields}
        return tfds_imagecsv.ImageCsvConfig(
            name="pairs",
            image_dir=tmp_path / "images",
            label_csv=tmp_path / "labels.csv",
            filename_column="a",
            **values,
        )

    return make


@pytest.mark.parametrize("label_type", ["class", "none"])
def test_further_images_are_side_by_side(make_pairs, label_type):
    """Each follows its row's own image, with the name of its feature."""
    made = walk.report(make_pairs(label_type=label_type))
    assert walk.report(make_pairs(label_type=label_type)) == made
    [examples] = re.findall(r'<section id="examples".*?</section>', made, re.DOTALL)
    found = Parsed(examples)
    assert "Images of a row are side by side: image, right, <top>." in found.text
    names = [value for _, name, value in found.attributes if name == "alt"]
    levels = [np.asarray(one.convert("RGB"))[0, 0, 0] for one in found.sources()]
    assert len(names) == len(levels) == 3 * 16
    for at in range(0, len(names), 3):
        number = names[at].removeprefix("a")
        assert names[at : at + 3] == [
            f"a{number}",
            f"right: b{number}",
            f"<top>: c{number}",
        ]
        assert np.abs(np.subtract(levels[at : at + 3], [0, 100, 200])).max() < 10


def test_further_images_count(make_pairs, tmp_path):
    """As images of the dataset: their bytes and sizes, and those that are converted."""
    config = make_pairs()
    path = tmp_path / "images" / "b3.png"
    Image.new("RGB", (9, 7), "red").save(path, "GIF")
    found = page_of(config)
    assert found.plots[0].words.startswith(
        "Width 8 to 9 (median 8), height 6 to 7 (median 6) pixels."
    )
    assert (
        found.plots[1].words
        == "Width by height: 0% portrait, 0% square, 100% landscape."
    )
    sizes = [one.stat().st_size for one in path.parent.iterdir()]
    assert f"From {min(sizes)} bytes to {max(sizes)} bytes" in found.plots[2].words
    numbers = {one.words: one.value for one in found.numbers}
    assert numbers["images"] == "16"
    assert numbers["converted"] == "1"
    assert numbers["of files"] == f"{sum(sizes) / 1000:.3g} kB"


def test_further_images_have_their_room(make_pairs, monkeypatch):
    """They count like other pictures, and come with their row's own image."""
    chosen = samples.Samples(
        labels={"cat": ("a", "b"), "dog": ("c",)},
        conversions={},
        problems={},
        copies=(),
        near_duplicates=(),
        quality={"dark": ("b",)},
        beside={one: (("right", f"{one}2"), ("top", "t")) for one in "abc"},
        masks={},
    )
    assert list(chosen.uses.items()) == [
        *(("b", 2), ("a", 1), ("a2", 1), ("t", 3)),
        *(("c", 1), ("c2", 1), ("b2", 1)),
    ]
    monkeypatch.setattr(thumbnails_lib, "_MOST_ENCODED", 3000)
    assert "no picture" in walk.report(make_pairs())


def test_the_config_can_be_read_back(make_dataset):
    """Even with texts that TOML must escape."""
    classes = ["dog", 'c"a\\t', "\u202ex", "\U000e0001", "é"]
    config = make_dataset(
        classes=classes,
        val_size=0.25,
        split_names={"0 1": "test"},
        apply_exif=False,
        split_column="label",
    )
    found = page_of_config(config)
    assert tomllib.loads(found) == {
        "pets": {
            "image_dir": config.image_dir,
            "label_csv": config.label_csv,
            "split_column": "label",
            "split_names": {"0 1": "test"},
            "classes": classes,
            "val_size": 0.25,
            "apply_exif": False,
        }
    }
    assert found.isascii() or all(map(str.isprintable, found.splitlines()))


def page_of_config(config):
    """Returns the page of a config."""
    from tfds_imagecsv.reports import config_lines

    values = dict(config_lines.changed_fields(config))
    assert json.loads(values["val_size"]) == config.val_size
    return "\n".join(config_lines.toml(config))


def test_a_table_in_memory(make_dataset):
    """The config names it."""
    import pandas as pd

    config = make_dataset()
    frame = pd.read_csv(config.label_csv)
    config = tfds_imagecsv.ImageCsvConfig(
        name="pets", image_dir=config.image_dir, label_csv=frame
    )
    from tfds_imagecsv.reports import config_lines

    assert dict(config_lines.changed_fields(config))["label_csv"] == (
        '"(a table in memory)"'
    )


@pytest.mark.parametrize(
    "values",
    [
        [0.0],
        [5.0, 5.0],
        [-3.0, 3.0],
        [1.0, 1e9],
        [1e-30, 1e30],
        [0.0, 1e-300],
        [1e15, 1e15 + 1],
        [2.0, 3.0, 700.0],
    ],
)
def test_plots_of_any_numbers(values):
    """Bars and ticks lie within the plot, and all images are in a bar."""
    numbers = np.array(values)
    weights = np.full(len(numbers), 3)
    for are_whole in (False, True):
        svg = plots.histogram(numbers, weights, label="x", are_whole=are_whole)
        places = [float(one) for one in re.findall(r' x="([-\d.]+)"', svg)]
        assert places
        assert all(0 <= one <= 340 for one in places)
        counts = [int(one) for one in re.findall(r": (\d+)</title>", svg)]
        assert sum(counts) == 3 * len(values)
        assert "nan" not in svg


def test_a_dataset_does_not_tell_where_its_sources_were(make_dataset, tmp_path):
    """It has only their names, since it is passed on. A check says where they are."""
    config = make_dataset()
    assert str(tmp_path) in walk.report(config)
    text = walk.report(config, dataset="image_csv/pets")
    assert str(tmp_path) not in text
    assert "labels.csv" in text


def test_contradictions_are_shown(make_dataset, tmp_path):
    """The images with different labels, though such a problem only has a row."""
    config = make_dataset()
    images = tmp_path / "images"
    (images / "01.png").write_bytes((images / "00.png").read_bytes())
    made, found, plan, _ = walk.report_inputs(config)
    chosen = page.choose_samples(config, made, found, plan, [], NO_SETS)
    assert list(chosen.problems.values()) == [("01.png",)]
