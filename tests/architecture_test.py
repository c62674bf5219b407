"""Imports go one way: from a step of the data to earlier ones, never back."""

import ast
import pathlib

import pytest

import tfds_imagecsv

PACKAGE = pathlib.Path(tfds_imagecsv.__file__).parent

# The rooms and the single modules, the lowest first. Each may import itself and those
# before it.
ORDER = (
    "exceptions",
    "problems",
    "options",
    "split_names",
    "arrays",
    "image_formats",
    "garbage_collection",
    "config",
    "tfds_private",
    "storage",
    "engines",
    "sources",
    "table",
    "images",
    "splits",
    "shards",
    "dataset",
    "prepared",
    "reports",
    "tfds_imagecsv_dataset_builder",
    "checked",
    "flags",
    "cli",
)

# Programs for users: they import the package like a user's program.
PROGRAMS = ("__init__", "__main__", "examples")


def name_of(path):
    """Returns the dotted name of a module within the package."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


MODULES = {name_of(path): path.read_text() for path in sorted(PACKAGE.rglob("*.py"))}


def imports_of(name, source):
    """Yields the modules of the package that a module imports, anywhere in it.

    The package itself is the empty string.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: write the whole name of what you import"
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for one in found:
            package, _, rest = one.partition(".")
            if package != "tfds_imagecsv":
                continue
            # Of `from module import name`, the module.
            known = rest in MODULES or f"{rest}.__init__" in MODULES
            yield rest if known else rest.rpartition(".")[0]


def problems_of(name, source):
    """Yields what is wrong with the imports of a module."""
    room = name.partition(".")[0]
    if room in PROGRAMS:
        return
    for imported in imports_of(name, source):
        if not imported:
            yield f"{name} imports the package itself"
        elif ORDER.index(imported.partition(".")[0]) > ORDER.index(room):
            yield f"{name} imports {imported}, which comes after it"


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_what_comes_before_it(name):
    """Even within functions, and for types."""
    assert list(problems_of(name, MODULES[name])) == []


def test_no_room_has_a_circle():
    """Within a room, too, modules import each other in one order."""
    open_modules, closed = [], set()

    def visit(name):
        assert name not in open_modules, f"a circle: {' -> '.join(open_modules)}"
        if name in closed or name not in MODULES:
            return
        open_modules.append(name)
        for imported in set(imports_of(name, MODULES[name])):
            visit(imported)
        closed.add(open_modules.pop())

    for name in MODULES:
        if name.partition(".")[0] not in PROGRAMS:
            visit(name)


def test_each_module_has_its_place():
    """A new room needs a place in the order."""
    rooms = {name.partition(".")[0] for name in MODULES}
    assert rooms == {*ORDER, *PROGRAMS}


@pytest.mark.parametrize(
    ("name", "line", "problem"),
    [
        (
            "table.tables",
            "from tfds_imagecsv.images import png",
            "table.tables imports images.png, which comes after it",
        ),
        (
            "problems",
            "def f():\n    import tfds_imagecsv.cli",
            "problems imports cli, which comes after it",
        ),
        (
            "engines.local",
            "import tfds_imagecsv",
            "engines.local imports the package itself",
        ),
        (
            "storage.s3",
            "from tfds_imagecsv import ImageCsvConfig",
            "storage.s3 imports the package itself",
        ),
    ],
)
def test_a_line_that_breaks_the_order_is_found(name, line, problem):
    """Otherwise, the tests above would show nothing."""
    assert list(problems_of(name, f"{MODULES[name]}\n{line}\n")) == [problem]
