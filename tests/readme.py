"""The code in the README and its pages, for the tests that run it."""

import dataclasses
import importlib.util
import pathlib
import re

import pytest

REPOSITORY = pathlib.Path(__file__).parents[1]

README = REPOSITORY / "README.md"

DOCS = REPOSITORY / "tfds_imagecsv" / "docs"

# What a user reads; each page can be read, and run, without the others.
PAGES = [README, *sorted(DOCS.glob("*.md"))]

# What some of the code imports, by the package's extra that installs it. It is
# large, so the tests that need it are left out where it isn't.
PACKAGES_BY_EXTRA = {"torch": ["torch"], "jax": ["grain", "jax"]}


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
      language: "sh" or "python".
      code: its lines.
    """

    language: str
    code: str

    @property
    def extra(self) -> str | None:
        """The extra that it needs, or None."""
        for extra, packages in PACKAGES_BY_EXTRA.items():
            if re.search(rf"^(import|from) ({'|'.join(packages)})\b", self.code, re.M):
                return extra
        return None


def read_blocks(page: pathlib.Path) -> list[Block]:
    """Returns all blocks of the languages that can be run, in their order."""
    return blocks_in(page.read_text())


def blocks_in(text: str) -> list[Block]:
    """Returns such blocks of a part of a page."""
    found = re.findall(r"^```(sh|python)\n(.*?)^```", text, re.M | re.S)
    return [Block(language, code) for language, code in found]


def find_code(words: str, language: str = "python") -> str:
    """Returns the one block of a language that has the words in it."""
    (code,) = [
        block.code
        for page in PAGES
        for block in read_blocks(page)
        if block.language == language and words in block.code
    ]
    return code


def needs_extra(extra: str) -> pytest.MarkDecorator:
    """Returns the mark of tests that are left out where an extra isn't installed."""
    missing = [
        package
        for package in PACKAGES_BY_EXTRA[extra]
        if importlib.util.find_spec(package) is None
    ]
    return pytest.mark.skipif(
        bool(missing),
        reason=f"{' and '.join(missing)} not installed: pip install '.[{extra}]'",
    )
