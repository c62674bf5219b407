"""Near duplicates in a dataset: reported, in one split, or left out."""

import csv
import dataclasses

import numpy as np
import pytest
import walk
from PIL import Image
from sklearn.datasets import load_sample_images

import tfds_imagecsv
from tfds_imagecsv.images import inspection, near_duplicates
from tfds_imagecsv.reports.summary import make_summary

# Parts of photographs that show something; every second one is altered twice.
PHOTOS = [Image.fromarray(one) for one in load_sample_images().images]
PARTS = [
    part
    for photo in PHOTOS
    for left in range(0, 600, 100)
    for top in range(0, 400, 100)
    if np.std((part := photo.crop((left, top, left + 100, top + 100))).convert("L"))
    > 30
]
WITH_COPIES = range(0, len(PARTS), 2)
SETS = [[f"{at:02}-0.png", f"{at:02}-1.jpg", f"{at:02}-2.png"] for at in WITH_COPIES]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Returns a folder of pictures and near duplicates, and their rows."""
    folder = tmp_path_factory.mktemp("near")
    (folder / "images").mkdir()
    rows = []
    for at, part in enumerate(PARTS):
        pictures = {f"{at:02}-0.png": part}
        if at in WITH_COPIES:
            pictures[f"{at:02}-1.jpg"] = part.resize((90, 90))
            pictures[f"{at:02}-2.png"] = part.crop((3, 2, 100, 99))
        for name, picture in pictures.items():
            picture.save(folder / "images" / name)
            rows.append((name, ("cat", "dog")[at % 2]))
    return folder, rows


@pytest.fixture
def config_of(dataset, tmp_path, write_csv):
    """Returns a function that makes a config of the pictures, and of some rows."""
    folder, all_rows = dataset

    def config_of(rows=None, **fields):
        write_csv(tmp_path / "labels.csv", all_rows if rows is None else rows)
        return tfds_imagecsv.ImageCsvConfig(
            name="near",
            image_dir=folder / "images",
            label_csv=tmp_path / "labels.csv",
            **{"val_size": 0.2, "test_size": 0.2, **fields},
        )

    return config_of


def splits_of(plan):
    """Returns the split of each image."""
    keys, splits = plan.rows["key"].to_pylist(), plan.rows["split"].to_pylist()
    return dict(zip(keys, splits, strict=True))


def plan_of(config):
    """Returns the plan of a dataset."""
    return walk.plan(config, walk.inspect(config))


def test_sets_are_found_in_files(config_of):
    """It finds exactly those that were made; their names are sorted."""
    config = config_of()
    inspected = walk.inspect(config)
    summary = make_summary(inspected, walk.plan(config, inspected))
    found = [list(one) for one in summary.near_duplicates]
    assert found == sorted(found)
    assert found == SETS


def test_together_keeps_each_set_in_one_split(config_of):
    """Law 2, for images with different bytes; otherwise, sets are torn."""
    together = splits_of(plan_of(config_of(near_duplicates="together")))
    assert all(len({together[key] for key in one}) == 1 for one in SETS)
    reported = splits_of(plan_of(config_of()))
    assert any(len({reported[key] for key in one}) > 1 for one in SETS)


def test_reports_do_not_change_splits(config_of):
    """Another build gives the same."""
    plans = [plan_of(config_of(near_duplicates=one)) for one in (None, "report", "off")]
    assert splits_of(plans[0]) == splits_of(plans[1]) == splits_of(plans[2])
    assert plans[0].notes == plans[1].notes
    assert "show nearly the same" not in str(plans[2].notes)


def test_splits_do_not_depend_on_the_order_of_rows(config_of, dataset):
    """Law 3."""
    plans = [
        plan_of(config_of(rows, near_duplicates="together"))
        for rows in (dataset[1], dataset[1][::-1])
    ]
    assert splits_of(plans[0]) == splits_of(plans[1])


def test_drop_keeps_one_of_each_set(config_of, dataset):
    """The first by name; the others are listed with the one that is kept."""
    plan = plan_of(config_of(near_duplicates="drop"))
    assert len(plan.rows) == len(PARTS)
    reasons = {one.key: one.reason for one in plan.rejected}
    assert sorted(reasons) == sorted(key for one in SETS for key in one[1:])
    row = 2 + dataset[1].index(("02-0.png", "cat"))
    assert reasons["02-1.jpg"] == f"nearly identical to 02-0.png in row {row}"


def test_drop_keeps_one_with_a_given_split(config_of, dataset, tmp_path, write_csv):
    """As with identical images."""
    config = config_of(near_duplicates="drop")
    rows = [(*row, "test" if row[0] == "00-1.jpg" else "") for row in dataset[1]]
    write_csv(tmp_path / "labels.csv", rows, header=("filename", "label", "split"))
    plan = plan_of(dataclasses.replace(config, split_column="split"))
    kept = [key for key in SETS[0] if key in splits_of(plan)]
    assert kept == ["00-1.jpg"]
    assert len(plan.rows) == len(PARTS)


def test_a_set_in_two_given_splits_is_a_leak(config_of, dataset, tmp_path, write_csv):
    """The table tears a set apart."""
    config = config_of()
    rows = [(*row, "test" if row[0] == "02-1.jpg" else "train") for row in dataset[1]]
    write_csv(tmp_path / "labels.csv", rows, header=("filename", "label", "split"))
    config = dataclasses.replace(
        config, split_column="split", near_duplicates="together"
    )
    with pytest.raises(tfds_imagecsv.InvalidRowsError) as caught:
        plan_of(config)
    assert "'02-1.jpg' is in 'test', and belongs to '02-0.png'" in str(caught.value)


def test_differing_labels_are_said_first(config_of, dataset):
    """They are no error: near duplicates may be of two classes."""
    rows = [(key, "dog" if key == "02-1.jpg" else label) for key, label in dataset[1]]
    config = config_of(rows)
    inspected = walk.inspect(config)
    plan = walk.plan(config, inspected)
    assert (
        "1 set has near duplicates with different labels, of which one may be wrong:"
        " 02-0.png ('cat') ~ 02-1.jpg ('dog') ~ 02-2.png ('cat')"
    ) in plan.notes
    found = make_summary(inspected, plan).near_duplicates
    assert found[0] == tuple(SETS[1])
    assert sorted(map(list, found)) == SETS


def test_notes_say_what_became_of_them(config_of):
    """The first ten sets are named."""
    said = {
        "report": "near_duplicates='together' would keep them in one split",
        "together": "they stay together",
        "drop": "one of each was kept",
    }
    for policy, words in said.items():
        (note,) = (
            one
            for one in plan_of(config_of(near_duplicates=policy)).notes
            if "show nearly the same" in one
        )
        assert note.startswith(
            f"{3 * len(SETS)} images show nearly the same as others, in {len(SETS)}"
            f" sets; {words}: 00-0.png ~ 00-1.jpg ~ 00-2.png, 02-0.png"
        )
        assert note.endswith(f", and {len(SETS) - 10} more")


def test_identical_images_alone_are_no_near_duplicates(config_of, dataset, tmp_path):
    """They are reported as identical."""
    folder = tmp_path / "copies"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        PARTS[1].save(folder / name)
    PARTS[2].save(folder / "c.png")
    rows = [("a.png", "cat"), ("b.png", "cat"), ("c.png", "dog")]
    config = dataclasses.replace(config_of(rows), image_dir=folder)
    inspected = walk.inspect(config)
    assert len(near_duplicates.sets_of(inspected.rows).starts) == 0
    assert make_summary(inspected, None).near_duplicates == ()


def test_very_many_images_are_compared_only_if_asked(config_of, monkeypatch):
    """A million fingerprints take a gigabyte."""
    monkeypatch.setattr(inspection, "_MOST_COMPARED", len(PARTS))
    assert make_summary(walk.inspect(config_of()), None).near_duplicates is None
    asked = walk.inspect(config_of(near_duplicates="report"))
    assert len(make_summary(asked, None).near_duplicates) == len(SETS)


def test_headers_alone_do_not_tell(config_of):
    """It looks for none, and asking for them is an error."""
    config = config_of(verify="header")
    assert make_summary(walk.inspect(config), None).near_duplicates is None
    with pytest.raises(tfds_imagecsv.ConfigError) as caught:
        config_of(verify="header", near_duplicates="drop")
    assert str(caught.value) == (
        "near_duplicates need pixels, which verify='header' doesn't decode, got 'drop'"
    )


def test_rejected_rows_are_listed_in_a_file(config_of, make_builder):
    """A whole build leaves out the same images."""
    builder = make_builder(config_of(near_duplicates="drop"))
    builder.download_and_prepare()
    total = sum(split.num_examples for split in builder.info.splits.values())
    assert total == len(PARTS)
    lines = (builder.data_path / "rejected_rows.csv").read_text().splitlines()
    rejected = list(csv.DictReader(lines))
    assert len(rejected) == 2 * len(SETS)
    assert all("nearly identical to" in one["reason"] for one in rejected)
