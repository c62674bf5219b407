"""The card of a dataset: its front matter, its body, and hostile texts."""

import types

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tfds_imagecsv.problems import escaped
from tfds_imagecsv.reports import card


def text_of(tokens):
    """Returns the text of parsed Markdown; fails if any of it is markup."""
    (opened, inline, closed) = tokens
    assert (opened.type, closed.type) == ("paragraph_open", "paragraph_close")
    assert {one.type for one in inline.children} <= {"text", "text_special"}
    return "".join(one.content for one in inline.children)


HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[a](javascript:alert(1))",
    "![a](https://example.org/a.png)",
    "`code` **bold** __bold__ ~~gone~~ $x$",
    "a | b |---",
    "# no heading",
    "- no item",
    "12. no item",
    "12) no item",
    "+ no item",
    "> no quote",
    "===",
    "---",
    "~~~",
    "&lt;&#x202e;",
    "<https://example.org>",
    "\u202egnp.exe",
    "\x1b[31mred\x07",
    "\\",
    "\\*",
    "a\u2028b",
    "[a]: https://example.org",
    ": a",
)


@given(st.text(min_size=1).filter(card.markdown))
@pytest.mark.parametrize("parser", ["commonmark", "js-default"])
def test_markdown_shows_any_text(parser, text):
    """It is a paragraph with the text, without any markup."""
    shown = card.markdown(text)
    assert shown.isprintable()
    tokens = MarkdownIt(parser, {"linkify": False}).parse(shown)
    assert text_of(tokens) == escaped(text.replace("\t", " ")).strip()


for hostile in HOSTILE:
    test_markdown_shows_any_text = example(text=hostile)(test_markdown_shows_any_text)


@given(st.recursive(st.text(), lambda inner: st.lists(inner, max_size=3), max_leaves=5))
@example(["<b>", "\u202e", "\x1b", "a: b", "- a", "no", "1", "\n", "\x85", "null"])
def test_front_matter_keeps_any_text(values):
    """YAML gives back the text, and nothing in it controls a terminal."""
    text = card._yaml({"names": values})
    assert text.replace("\n", "").isprintable()
    assert yaml.safe_load(text) == {"names": values}
    assert "\n---" not in f"\n{text}"


def test_text_in_other_scripts_is_readable():
    """It only escapes characters that don't print."""
    assert "貓: 猫" in card._yaml({"貓": "猫"})


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("", {}),
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        ("mit\n", {"license": "mit"}),
        ("GPL-3.0-or-later", {"license": "gpl-3.0"}),
        ("ODbL-1.0", {"license": "odbl"}),
        (
            "Only for <us>!",
            {"license": "other", "license_name": "only-for-us"},
        ),
        ("猫", {"license": "other", "license_name": "license"}),
        (
            "The terms of use\n\nDo as you like.",
            {"license": "other", "license_name": "the-terms-of-use"},
        ),
    ],
)
def test_licenses(text, fields):
    """Known ones have the Hub's names; others are in a file beside the card."""
    if "license_name" in fields:
        fields = {**fields, "license_link": "LICENSE"}
    assert card._license(text) == fields


@pytest.mark.parametrize(
    ("images", "category"),
    [
        (0, "n<1K"),
        (999, "n<1K"),
        (1000, "1K<n<10K"),
        (10**6 - 1, "100K<n<1M"),
        (10**6, "1M<n<10M"),
        (10**11, "1B<n<10B"),
    ],
)
def test_size_categories(images, category):
    """They are the Hub's words."""
    assert card._size_category(images) == category


@given(st.lists(st.text()))
@example(["```", "<script>", "`````"])
def test_a_block_of_code_ends_where_it_ends(lines):
    """None of its lines ends it, or controls a terminal."""
    shown = "\n".join(card._fenced(lines))
    assert shown.replace("\n", "").isprintable()
    (token,) = MarkdownIt().parse(shown)
    assert token.type == "fence"
    expected = "".join(f"{escaped(one.replace(chr(9), ' ' * 4))}\n" for one in lines)
    assert token.content == expected


def test_many_classes():
    """The table has a hundred of them, and says how many there are."""
    names = tuple(f"class {at}" for at in range(20_000))
    dataset = types.SimpleNamespace(
        class_names=names,
        metadata={"class_counts": {"train": dict.fromkeys(names, 3)}},
    )
    lines = list(card._classes(dataset))
    assert len(lines) < 110
    assert lines[2] == "| class 0 | 3 |"
    assert (
        "... and 19,900 more, in the front matter and in `label.labels.txt`." in lines
    )
