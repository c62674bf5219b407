"""What notebooks show: a check as tables, the report of a dataset as a page."""

import html

import pytest
import tensorflow_datasets as tfds
from etils import epath

import tfds_imagecsv
from tfds_imagecsv.reports import inline
from tfds_imagecsv.reports import report as report_lib


def test_a_check(make_dataset, tmp_path):
    """The summary of `tfds-imagecsv check`, with the verdict and all tables."""
    found = tfds_imagecsv.check(make_dataset())
    assert found.error is None
    assert found.split_sizes == {"train": 16, "validation": 2, "test": 2}
    shown = found._repr_html_()
    assert "A build would succeed" in shown
    assert "<td>16</td>" not in shown  # totals aren't classes
    assert "<td>8</td><td>1</td><td>1</td><td>10</td>" in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "labels.csv"]


def test_a_check_that_finds_problems(make_dataset, tmp_path):
    """It says why a build would fail, as text."""
    config = make_dataset([(f"{at}.png", "<b>x</b>\u202e") for at in range(9)])
    (tmp_path / "images" / "3.png").unlink()
    found = tfds_imagecsv.check(config)
    assert found.error.startswith("1 problem in ")
    shown = found._repr_html_()
    assert "A build would fail" in shown
    assert "Image not found" in shown
    assert "&lt;b&gt;x&lt;/b&gt;\\u202e" in shown
    assert "<b>" not in shown
    assert "\u202e" not in shown


def test_relative_paths(make_dataset, tmp_path, monkeypatch):
    """They are relative to TFDS's manual directory, as in a build."""
    config = make_dataset()
    manual_dir = tmp_path / "data" / "downloads" / "manual"
    manual_dir.parent.mkdir(parents=True)
    (tmp_path / "images").rename(tmp_path / "manual")
    (tmp_path / "manual").rename(manual_dir)
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "data"))
    found = tfds_imagecsv.check(
        tfds_imagecsv.ImageCsvConfig(
            name="pets", image_dir=".", label_csv=config.label_csv
        )
    )
    assert found.usable_images == 20


def test_no_config():
    """The name of a dataset isn't one."""
    with pytest.raises(tfds_imagecsv.ConfigError) as caught:
        tfds_imagecsv.check("pets")
    assert str(caught.value) == "config must be an ImageCsvConfig, got str"


def test_the_report_of_a_dataset(make_dataset, make_builder, tmp_path):
    """A frame has the page, which is the file beside the records.

    Above it are the sources with their folders, if the builder knows these.
    """
    config = make_dataset()
    builder = make_builder(config)
    builder.download_and_prepare()
    found = tfds_imagecsv.report(builder)
    assert found.html == (builder.data_path / "report.html").read_text()
    shown = found._repr_html_()
    sources, _, frame = shown.partition("</p>")
    assert sources == (
        f"<p>image_dir: <code>{config.image_dir}</code><br>"
        f"label_csv: <code>{config.label_csv}</code>"
    )
    assert str(tmp_path) not in found.html
    assert frame.startswith('<iframe title="')
    assert frame.count("<") == 2  # the whole page is in the frame
    assert html.unescape(shown.split('srcdoc="')[1].split('"')[0]) == found.html
    assert len(repr(found)) < 500
    plain = tfds.builder_from_directory(builder.data_path)
    alone = tfds_imagecsv.report(plain)
    assert (alone.path, alone.html, alone.sources) == (found.path, found.html, {})
    assert alone._repr_html_() == frame


def test_relative_and_odd_sources(make_builder):
    """They are in the manual directory; markup in them is shown as text."""
    config = tfds_imagecsv.ImageCsvConfig(
        name="pets", image_dir="<b>\u202e", label_csv="https://a.org/x.csv"
    )
    builder = make_builder(config)
    folder = builder.data_dir_root / "downloads" / "manual"
    assert builder.sources == {
        "image_dir": f"{folder}/<b>\u202e",
        "label_csv": "https://a.org/x.csv",
    }
    shown = inline.InlinePage("p", "", builder.sources)._repr_html_()
    assert f"<code>{folder}/&lt;b&gt;\\u202e</code>" in shown


def test_no_builder():
    """The name of a dataset isn't one."""
    with pytest.raises(tfds_imagecsv.ConfigError) as caught:
        tfds_imagecsv.report("image_csv/pets")
    assert str(caught.value) == (
        "builder must be the builder of a dataset, such as"
        " tfds.builder('image_csv/pets'), got str"
    )


def test_a_dataset_without_a_report(make_dataset, make_builder):
    """It says what to do; the dataset is fine."""
    builder = make_builder(make_dataset(report=False))
    builder.download_and_prepare()
    assert not (builder.data_path / "report.html").exists()
    with pytest.raises(tfds_imagecsv.SourceError) as caught:
        tfds_imagecsv.report(builder)
    assert str(caught.value) == (
        f"{builder.data_path}/report.html: there is no such file. The dataset isn't"
        " built, or was built with report=False or before there were reports. Build it"
        " (anew), or look at its input with tfds_imagecsv.check(config)."
    )


def test_reports_change_no_dataset(make_dataset, make_builder):
    """The rest is the same with or without one, and neither makes a dataset stale."""
    builder = make_builder(make_dataset())
    builder.download_and_prepare()
    (builder.data_path / "report.html").unlink()
    again = make_builder(make_dataset(report=False))
    assert len(list(again.as_dataset(split="train"))) == 16


def test_two_builds_have_the_same_report(make_dataset, make_builder, tmp_path):
    """Byte for byte, for any number of workers and in any directory."""
    found = []
    for workers in (1, 3):
        builder = make_builder(
            make_dataset(workers=workers), data_dir=tmp_path / f"data{workers}"
        )
        builder.download_and_prepare()
        found.append((builder.data_path / "report.html").read_bytes())
    assert found[0] == found[1]
    assert b"image_csv/pets" in found[0]


def test_a_report_that_fails_loses_no_dataset(make_dataset, make_builder, monkeypatch):
    """A warning says so, and nothing of the report is left."""

    def fail(path, *_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(report_lib, "make_report", lambda *_, **__: "page")
    write_bytes = type(epath.Path("x")).write_bytes

    def write(path, content):
        if path.name == "report.html":
            write_bytes(path, content[:1])
            fail(path)
        return write_bytes(path, content)

    monkeypatch.setattr(type(epath.Path("x")), "write_bytes", write)
    builder = make_builder(make_dataset())
    with pytest.warns(
        tfds_imagecsv.ImageCsvWarning,
        match=r"report\.html is left out, since it can't be written: .*No space left",
    ):
        builder.download_and_prepare()
    assert not (builder.data_path / "report.html").exists()
    assert len(list(builder.as_dataset(split="train"))) == 16
