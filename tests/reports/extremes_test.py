"""Very many images, classes and names, or almost none: in the page and the terminal.

Rows have no images: a report reads few, and says if they are missing.
"""

import dataclasses
import io

import numpy as np
import pyarrow as pa
import pytest
import rich.console
import walk

import tfds_imagecsv
from tfds_imagecsv import arrays
from tfds_imagecsv.reports import page, report, samples

MANY = 1_000_000
CLASSES = 20_000


@pytest.fixture(scope="module")
def few(tmp_path_factory, write_png, write_csv):
    """The config of a few images, and the parts of a report."""
    folder = tmp_path_factory.mktemp("few")
    rows = [(f"{at:02}.png", ("cat", "dog")[at % 2]) for at in range(20)]
    for key, _ in rows:
        write_png(folder / "images" / key)
    write_csv(folder / "labels.csv", rows)
    config = tfds_imagecsv.ImageCsvConfig(
        name="pets", image_dir=folder / "images", label_csv=folder / "labels.csv"
    )
    return config, *walk.report_inputs(config)[:3]


def as_of_many(few, count, classes):
    """Returns the parts of a report of very many images, given those of a few.

    The n-th image is of the class n modulo their number. Quality and kinds are those of
    the few, near duplicates and identical images are none.
    """
    config, made, found, plan = few
    rng = np.random.default_rng(0)
    numbers = np.arange(count)
    splits = np.minimum(rng.integers(0, 10, count) // 8, 1)
    names = [f"class {at:05}" for at in range(classes)]
    digests = rng.integers(0, 256, (count, 16)).astype(np.uint8)
    columns = {
        "key": arrays.texts([f"{at:07}.png" for at in range(count)]),
        "row": pa.array(numbers + 2),
        "label": arrays.coded(numbers % classes, names),
        "split": arrays.coded(splits, ["train", "test"]),
        "digest": arrays.as_digests(digests),
        "near": pa.array(np.full(count, -1, np.int32)),
    }
    taken = plan.rows.take(pa.array(numbers % len(plan.rows)))
    rows = arrays.with_columns(taken, columns)
    of_class = np.bincount(splits * classes + numbers % classes, minlength=2 * classes)
    counts = {
        split: dict(zip(names, of_class[start:][:classes].tolist(), strict=True))
        for split, start in (("train", 0), ("test", classes))
    }
    sizes = {split: sum(of_split.values()) for split, of_split in counts.items()}
    return (
        config,
        dataclasses.replace(
            made,
            rows=count,
            usable_images=count,
            splits=counts,
            split_sizes=sizes,
            classes=dict.fromkeys(names, count // classes),
            quality={"dark": tuple(rows["key"][:100_000].to_pylist())},
        ),
        dataclasses.replace(found, rows=rows),
        dataclasses.replace(
            plan,
            rows=rows,
            class_counts=counts,
            split_sizes=sizes,
            class_names=tuple(names),
        ),
    )


@pytest.fixture(scope="module")
def many(few):
    """The parts of a report of a million images of twenty thousand classes."""
    return as_of_many(few, MANY, CLASSES)


def test_a_million_images(many):
    """The page is small, and shows some of each kind."""
    text = report.make_report(*many)
    assert len(text.encode()) < 1_000_000
    assert "1,000,000 images of 20,000 classes" in text
    assert text.count("<li>") < 1000
    assert "dark (100,000)" in text


def test_examples_do_not_depend_on_the_order_of_rows(many):
    """They are drawn by their digests, even among a million."""
    config, made, found, plan = many
    order = pa.array(np.random.default_rng(1).permutation(MANY))
    names = [name for name, _ in page._totals(made)]
    chosen = [
        samples.choose(
            dataclasses.replace(found, rows=one.rows),
            one,
            label_type=config.label_type,
            classes=names,
        )
        for one in (plan, dataclasses.replace(plan, rows=plan.rows.take(order)))
    ]
    assert chosen[0] == chosen[1]
    assert len(chosen[0].labels) == samples.CLASSES
    of_first = plan.rows.filter(pa.array(np.arange(MANY) % CLASSES == 0))
    least = np.argsort(arrays.halves_of(of_first["digest"]))[:2]
    assert list(chosen[0].labels["class 00000"]) == [
        of_first["key"][at].as_py() for at in least
    ]


def test_twenty_thousand_classes_in_the_terminal(many):
    """They fit into 80 columns, and into a notebook."""
    _, made, _, plan = many
    file = io.StringIO()
    made = dataclasses.replace(made, notes=plan.notes)
    made.print(rich.console.Console(file=file, width=80, highlight=False))
    lines = file.getvalue().splitlines()
    assert len(lines) < 60
    assert any(" ... 19,990 more ..." in line for line in lines)
    start = next(at for at, line in enumerate(lines) if line.startswith(" Images"))
    assert max(map(len, lines[start:])) <= 80
    assert len(made._repr_html_()) < 50_000


@pytest.mark.parametrize("label_type", ["class", "none"])
def test_one_image_in_the_terminal(tmp_path, write_png, write_csv, label_type, capsys):
    """It has one class or none."""
    write_png(tmp_path / "images" / "a.png", width=1, height=1)
    write_csv(tmp_path / "labels.csv", [("a.png", "cat")])
    config = tfds_imagecsv.ImageCsvConfig(
        name="pets",
        image_dir=tmp_path / "images",
        label_csv=tmp_path / "labels.csv",
        label_type=label_type,
        val_size=0,
        test_size=0,
    )
    made, found, plan, error = walk.report_inputs(config)
    assert error is None
    made.print()
    output = " ".join(capsys.readouterr().out.split())
    assert output.startswith("A build would succeed: train 1 images.")
    assert "Quality images such as" in output
    text = report.make_report(config, made, found, plan)
    words = {"class": "1 image of 1 class", "none": "1 image without labels"}
    assert words[label_type] in text
    assert text.count("<img") >= 1
