"""The README's blocks of code, for the tests that run them."""

import dataclasses
import importlib.util
import pathlib
import re

import pytest

REPOSITORY = pathlib.Path(__file__).parents[1]

# What some of the README's code imports, by the package's extra that installs it. It is
# large, so the tests that need it are left out where it isn't.
PACKAGES_BY_EXTRA = {"torch": ["torch"], "jax": ["grain", "jax"]}


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of the README.

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


def read_blocks() -> list[Block]:
    """Returns all blocks of the languages that can be run, in their order."""
    text = (REPOSITORY / "README.md").read_text()
    found = re.findall(r"^```(sh|python)\n(.*?)^```", text, re.M | re.S)
    return [Block(language, code) for language, code in found]


def find_code(words: str) -> str:
    """Returns the one block of Python code that has the words in it."""
    (code,) = [
        block.code
        for block in read_blocks()
        if block.language == "python" and words in block.code
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
