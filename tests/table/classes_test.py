"""The class CSV."""

import pytest
from etils import epath

from tfds_imagecsv import exceptions
from tfds_imagecsv.table import classes


@pytest.fixture
def read(tmp_path):
    """Returns a function that reads the classes of a CSV, given as text."""

    def read(content):
        (tmp_path / "c.csv").write_text(content, "utf-8")
        return classes.read_classes(epath.Path(tmp_path / "c.csv"))

    return read


@pytest.mark.parametrize(
    "content",
    [
        "classname,class_id\ncat,0\ndog,1\nemu,2\n",
        "classname,class_id\nemu,2\n\ncat , 0\ndog,1\n",
        "class_id,classname\n1,dog\n2,emu\n0,cat\n",
        "name,number\ndog,1\nemu,2\ncat,0\n",
    ],
)
def test_names_are_in_the_order_of_their_ids(read, content):
    """In any order of the rows, and of the columns if they have their names."""
    assert read(content) == classes.ClassList(names=("cat", "dog", "emu"), about={})


def test_what_else_is_said_is_kept(read):
    """Such as the superclasses."""
    found = read("classname,class_id,super,about\ndog,1,pet,\ncat,0,pet,meows\n")
    assert found.about == {
        "cat": {"super": "pet", "about": "meows"},
        "dog": {"super": "pet", "about": ""},
    }


RULE = (
    "class_csv {root}/c.csv: classes must have different names, and as ids the whole"
    " numbers from 0 to the number of classes - 1, each once:\n  "
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "classname\ncat\n",
            (
                "class_csv {root}/c.csv: two columns are needed, for the names and the"
                " ids of the classes, such as 'classname,class_id', but its header is"
                " ['classname']."
            ),
        ),
        ("classname,class_id\n", RULE + "there are no rows below the header"),
        (
            "classname,class_id\ncat,1\ndog,2\n",
            (
                RULE + "no class has the id 0\n"
                "  the id of 'dog' is 2, and there are 2 classes"
            ),
        ),
        (
            "classname,class_id\ncat,0\ndog,0\nemu,7\n",
            (
                RULE + "the id 0 is given to 'cat', 'dog'\n"
                "  no class has the id 1\n"
                "  no class has the id 2\n"
                "  the id of 'emu' is 7, and there are 3 classes"
            ),
        ),
        (
            "classname,class_id\ncat,x\n,1\ncat,-1\ndog,0\ndog,1\nemu,2,3\n",
            (
                RULE + "row 2: the id of 'cat' is 'x'\n"
                "  row 3: '' can't be the name of a class\n"
                "  row 4: the id of 'cat' is '-1'\n"
                "  row 6: 'dog' has an id already, 0\n"
                "  row 7: 3 cells under 2 headers"
            ),
        ),
        (
            "classname,class_id\n" + "".join(f"c{at},x\n" for at in range(12)),
            (
                RULE
                + "\n  ".join(
                    f"row {at + 2}: the id of 'c{at}' is 'x'" for at in range(10)
                )
                + "\n  ... and 2 more"
            ),
        ),
    ],
)
def test_what_cannot_be_classes(read, tmp_path, content, message):
    """The message says all that is wrong at once."""
    with pytest.raises(exceptions.SourceError) as caught:
        read(content)
    assert str(caught.value) == message.format(root=tmp_path)


def test_no_such_file(tmp_path):
    """The message has the field."""
    path = epath.Path(tmp_path / "none.csv")
    with pytest.raises(exceptions.SourceError) as caught:
        classes.read_classes(path)
    assert str(caught.value) == f"class_csv {path}: no such file."
