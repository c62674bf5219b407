"""The README's commands and code, run as they stand."""

import dataclasses
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import readme
import readme_home
import tensorflow_datasets as tfds

import tfds_imagecsv
from tfds_imagecsv.splits import assign

REPOSITORY = readme.REPOSITORY
BLOCKS = readme.read_blocks()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Makes a home directory that has the README's files."""
    home = tmp_path_factory.mktemp("home")
    readme_home.make_home(home)
    return home


def test_the_readme_has_commands():
    """Else the test below would run nothing."""
    assert len(BLOCKS) >= 6


def test_the_commands_and_the_code_run(home, tmp_path):
    """In the order of the README; those that install are run by CI."""
    for block in BLOCKS:
        if block.code.startswith("pip install") or block.extra:
            continue
        script = tmp_path / "block"
        script.write_text(block.code)
        program = {"sh": ["bash", "-e"], "python": [sys.executable]}[block.language]
        done = subprocess.run(
            [*program, script],
            check=False,
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            env=os.environ
            | {
                "HOME": str(home),
                "MPLBACKEND": "agg",  # no windows
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                # As if `my_model` were installed.
                "PYTHONPATH": f"{home}/my_repo:{os.environ.get('PYTHONPATH', '')}",
            },
        )
        assert done.returncode == 0, f"{block.code}\n{done.stderr}"


def test_what_is_left_out_has_tests_of_its_own():
    """Those in `tests/reading` run a block for each extra."""
    extras = [block.extra for block in BLOCKS if block.extra]
    assert extras == ["torch", "jax"]
    for extra in extras:
        code = (REPOSITORY / "tests" / "reading" / f"{extra}_test.py").read_text()
        assert f'needs_extra("{extra}")' in code


def test_the_extras_install_what_the_code_imports():
    """Else its tests would be left out for ever."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for extra, packages in readme.PACKAGES_BY_EXTRA.items():
        requirements = project["optional-dependencies"][extra]
        names = [re.match(r"[\w-]+", one)[0] for one in requirements]
        assert sorted(names) == sorted([*packages, "opencv-python-headless"])


def test_the_table_of_the_config_is_complete():
    """Each field of our own has a row, and each row is a field."""
    text = (REPOSITORY / "README.md").read_text()
    section = text.partition("### The config")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| `(\w+)` \|", section, re.M)
    inherited = {field.name for field in dataclasses.fields(tfds.core.BuilderConfig)}
    own = [field.name for field in dataclasses.fields(tfds_imagecsv.ImageCsvConfig)]
    assert rows == [name for name in own if name == "name" or name not in inherited]


def test_the_picture_of_the_splits_is_true():
    """Its counts are those of a plan for so many images."""
    text = (REPOSITORY / "README.md").read_text()
    rows = re.findall(r"^(\w+) +(\d+) images   \|(.*)\|$", text, re.M)
    sizes = {name: int(size) for name, size, _ in rows}
    labels = [name for name, size in sizes.items() for _ in range(size)]
    planned = assign.plan_splits(
        [f"{label}_{at}.png" for at, label in enumerate(labels)],
        labels,
        class_names=list(sizes),
        options=assign.SplitOptions(),
    )
    drawn = {name: dict(re.findall(r"(\w+) (\d+)", cells)) for name, _, cells in rows}
    assert len(drawn) == 3
    for split, counts in planned.class_counts.items():
        for name, count in counts.items():
            assert int(drawn[name].get(split, 0)) == count


def test_each_capability_is_backed_by_a_test():
    """Each "yes" of the table names one, which is there; each "no" none."""
    text = (REPOSITORY / "README.md").read_text()
    section = text.partition("## What others can do")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines()[10:]]
    rows = [row for row in rows if len(row) > 2]
    assert len(rows) > 30
    for row in rows:
        here = row[2]
        assert re.search(r"\b(yes|no)\b", here), row
        assert ("yes" in here) == (len(row) == 4), row
        if len(row) == 4:
            module, name = re.fullmatch(r"`([\w/]+)::(\w+)` ?\|?", row[3]).groups()
            source = (REPOSITORY / "tests" / f"{module}.py").read_text()
            assert re.search(rf"^    def {name}\(|^def {name}\(", source, re.M), row
