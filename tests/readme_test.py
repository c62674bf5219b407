"""The commands and the code of the README and its pages, run as they stand."""

import dataclasses
import os
import re
import shutil
import subprocess
import tomllib

import processes
import pytest
import readme
import readme_home
import tensorflow_datasets as tfds

import tfds_imagecsv
from tfds_imagecsv.splits import assign

REPOSITORY = readme.REPOSITORY
BLOCKS = {page.name: readme.read_blocks(page) for page in readme.PAGES}

# Words of blocks that other tests run and check further, by the tests' files.
RUN_ELSEWHERE = {
    "end_to_end/digits_test.py": ["tfds_imagecsv.examples.digits"],
    "reading/class_weights_test.py": ["class_weight = "],
    "reading/jax_test.py": ["import jax", "MOST = 8"],
    "reading/keras_test.py": [
        "validation_data=",
        "to_grid",
        "TextVectorization",
        "UpSampling2D",
    ],
    "reading/notebook_test.py": ["tfds.as_dataframe("],
    "reading/torch_test.py": [
        "persistent_workers",
        "class Detector",
        "class Pairs",
        "class Segmenter",
    ],
}

# A page whose blocks `end_to_end/registration_test.py` runs.
REPOSITORIES = "repositories.md"

# What most pages read.
BUILD_PETS = "tfds-imagecsv build ~/pets/images ~/pets/labels.csv --name=pets\n"


def run_in(home, block, folder):
    """Runs a block in the checkout, and returns its output.

    Args:
      home: the home directory.
      block: the block.
      folder: a directory for its file.
    """
    script = folder / "block"
    script.write_text(block.code)
    env = os.environ | {
        "HOME": str(home),
        "MPLBACKEND": "agg",  # no windows
        "PATH": processes.path(),
    }
    if block.language == "python":
        done = processes.run(script, cwd=REPOSITORY, env=env)
    else:
        done = subprocess.run(
            ["bash", "-e", script],
            check=False,
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            env=env,
        )
    assert done.returncode == 0, f"{block.code}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """A home directory with what the pages read, and a copy of it."""
    folder = tmp_path_factory.mktemp("homes")
    home, copy = folder / "home", folder / "copy"
    readme_home.make_home(home)
    run_in(home, readme.Block("sh", BUILD_PETS), folder)
    shutil.copytree(home, copy)
    return home, copy


@pytest.fixture
def home(homes):
    """A home directory that has what the pages read, and nothing of another page."""
    home, copy = homes
    shutil.rmtree(home)
    shutil.copytree(copy, home)
    return home


@pytest.fixture
def run(home, tmp_path):
    """Returns a function that runs a block in the checkout, and returns its output."""
    return lambda block: run_in(home, block, tmp_path)


def test_the_readme_builds_the_dataset_of_the_pages():
    """Else the pages would begin with something a reader hasn't done."""
    assert BUILD_PETS in [block.code for block in BLOCKS["README.md"]]


@pytest.mark.parametrize(
    "page", [page for page, blocks in BLOCKS.items() if blocks and page != REPOSITORIES]
)
def test_the_commands_and_the_code_run(page, home, run):
    """In the order of the page; those that install are run by CI.

    A list in a comment behind `print` is what it prints.
    """
    if page == "README.md":
        shutil.rmtree(home / "tensorflow_datasets")
    for block in BLOCKS[page]:
        is_left_out = any(
            words in block.code for every in RUN_ELSEWHERE.values() for words in every
        )
        if not is_left_out and not block.code.startswith("pip install"):
            printed = run(block).splitlines()
            shown = re.findall(r"^print\(.*\)  # (\[.*)$", block.code, re.M)
            assert set(shown) <= set(printed)


def test_the_output_of_check_is_true(run):
    """The README shows what the command above it prints."""
    text = readme.README.read_text()
    command, shown = re.search(
        r"^```sh\n([^`]*)^```\n\n^```text\n(.*?)^```", text, re.M | re.S
    ).groups()
    printed = run(readme.Block("sh", command))

    def lines(text):
        return [line.rstrip() for line in text.splitlines() if line.strip()]

    # The second and the third line say where the files are.
    outcome, _, _, *others = lines(printed)
    assert [outcome, *others] == lines(shown)


def test_what_check_says_of_masks_is_true(run):
    """The page has the line that the command above it prints, whatever its width."""
    text = (readme.DOCS / "masks.md").read_text()
    command, shown = re.search(
        r"^```sh\n(tfds-imagecsv check [^`]*)^```\n```text\n(.*?)^```",
        text,
        re.M | re.S,
    ).groups()
    printed = run(readme.Block("sh", command))
    assert " ".join(shown.split()) in " ".join(printed.split())


def test_the_readme_is_short_and_leads_to_all_pages():
    """It is read in five minutes; what it leads to is there."""
    text = readme.README.read_text()
    assert len(text.splitlines()) <= 250
    links = re.findall(r"^- \[[^]]*\]\(tfds_imagecsv/docs/(\w+\.md)\)", text, re.M)
    assert sorted(links) == [page.name for page in readme.PAGES[1:]]


def anchors(page):
    """Returns the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}


@pytest.mark.parametrize(
    "page",
    [*readme.PAGES, REPOSITORY / "CONTRIBUTING.md"],
    ids=lambda page: page.name,
)
def test_links_lead_somewhere(page):
    """Within the repository: to a file, and to a heading if they name one."""
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_contributing_guide_names_files_that_are_there():
    """Relative to the package, the repository or its tests; no room is left out."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    package = REPOSITORY / "tfds_imagecsv"
    paths = re.findall(r"`([\w./]+(?:\.\w+|/))`", text)
    assert len(paths) > 40
    for path in paths:
        places = (package / path, REPOSITORY / path, REPOSITORY / "tests" / path)
        assert any(place.exists() for place in places), path
    rooms = {path.parent.name for path in package.glob("*/*.py")}
    assert rooms <= {path.removesuffix("/") for path in paths}


def test_what_is_left_out_has_tests_of_its_own():
    """Each of them finds its block; those of the extras say which one they need."""
    code_of = {
        file: (REPOSITORY / "tests" / file).read_text() for file in RUN_ELSEWHERE
    }
    for file, blocks in RUN_ELSEWHERE.items():
        for words in blocks:
            found = rf'find_code\(\s*"{re.escape(words)}"'
            assert re.search(found, code_of[file]), (file, words)
    extras = {block.extra for page in BLOCKS.values() for block in page} - {None}
    assert extras == {"torch", "jax"}
    for extra in extras:
        assert f'needs_extra("{extra}")' in code_of[f"reading/{extra}_test.py"]
    registration = REPOSITORY / "tests" / "end_to_end" / "registration_test.py"
    assert REPOSITORIES in registration.read_text()


def test_the_extras_install_what_the_code_imports():
    """Else its tests would be left out for ever."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    for extra, packages in readme.PACKAGES_BY_EXTRA.items():
        requirements = project["optional-dependencies"][extra]
        names = [re.match(r"[\w-]+", one)[0] for one in requirements]
        assert sorted(names) == sorted([*packages, "opencv-python-headless"])


def test_the_table_of_the_config_is_complete():
    """Each field that means something here has a row, and each row is a field."""
    text = (readme.DOCS / "config.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|", text, re.M)
    inherited = {field.name for field in dataclasses.fields(tfds.core.BuilderConfig)}
    own = [field.name for field in dataclasses.fields(tfds_imagecsv.ImageCsvConfig)]
    inherited -= {"name", "description"}
    assert rows == [name for name in own if name not in inherited]


def test_the_picture_of_the_splits_is_true():
    """Its counts are those of a plan for so many images."""
    text = (readme.DOCS / "splits.md").read_text()
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
    lines = (readme.DOCS / "comparison.md").read_text().splitlines()
    table = [line for line in lines if line.startswith("|")][2:]
    rows = [line.strip("| ").split(" | ") for line in table]
    assert len(rows) > 30
    for row in rows:
        here = row[2]
        assert re.search(r"\b(yes|no)\b", here), row
        assert ("yes" in here) == (len(row) == 4), row
        if len(row) == 4:
            module, name = re.fullmatch(r"`([\w/]+)::(\w+)` ?\|?", row[3]).groups()
            source = (REPOSITORY / "tests" / f"{module}.py").read_text()
            assert re.search(rf"^    def {name}\(|^def {name}\(", source, re.M), row
