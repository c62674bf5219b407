"""The problems of rows, as users read them."""

import pickle
import random

import pytest

from tfds_imagecsv import exceptions, problems
from tfds_imagecsv.problems import Kind, Problem, UnusableImageError

MANY = [
    Problem(Kind.FORMAT, 17, "'q.tif' is TIFF of mode F"),
    *(Problem(Kind.MISSING, row, f"'{row}.png'") for row in range(1000, 2234)),
    Problem(Kind.UNKNOWN_CLASS, 12, "'emu' for 'k.png'"),
    Problem(Kind.UNKNOWN_CLASS, 9, "'gnu' for 'h.png'"),
    *(Problem(Kind.NO_LABEL, row, f"'{row}.png'") for row in range(20, 30)),
    *(Problem(Kind.UNREADABLE, row, f"'{row}' isn't an image") for row in range(3, 14)),
]

REPORT = """\
1,258 problems in pets.csv with the images in /pets:

Empty label (10):
  row 20: '20.png'
  row 21: '21.png'
  row 22: '22.png'
  row 23: '23.png'
  row 24: '24.png'
  row 25: '25.png'
  row 26: '26.png'
  row 27: '27.png'
  row 28: '28.png'
  row 29: '29.png'
  -> Fill in the label, or remove the row.

Label that isn't in classes (2):
  row 9: 'gnu' for 'h.png'
  row 12: 'emu' for 'k.png'
  -> Correct the label, or add it to the config's classes.

Image not found (1,234):
  row 1000: '1000.png'
  row 1001: '1001.png'
  row 1002: '1002.png'
  row 1003: '1003.png'
  row 1004: '1004.png'
  row 1005: '1005.png'
  row 1006: '1006.png'
  row 1007: '1007.png'
  row 1008: '1008.png'
  row 1009: '1009.png'
  ... and 1,224 more
  -> Check image_dir, filename_column and filename_suffix, or remove the rows.

Image that can't be read (11):
  row 3: '3' isn't an image
  row 4: '4' isn't an image
  row 5: '5' isn't an image
  row 6: '6' isn't an image
  row 7: '7' isn't an image
  row 8: '8' isn't an image
  row 9: '9' isn't an image
  row 10: '10' isn't an image
  row 11: '11' isn't an image
  row 12: '12' isn't an image
  ... and 1 more
  -> Replace or remove the image.

Image whose pixels can't be read as colours (1):
  row 17: 'q.tif' is TIFF of mode F
  -> Convert the image to a PNG of 8 or 16 bits a channel."""

ONE_OF_EACH = """\
39 problems in l.csv with the images in i:

Wrong number of cells (1):
  row 2: x
  -> Give each row as many cells as the header has; quote cells with commas.

Empty file name (1):
  row 2: x
  -> Fill in the file name, or remove the row.

Empty label (1):
  row 2: x
  -> Fill in the label, or remove the row.

Image that isn't in the folder of a label (1):
  row 2: x
  -> Move it into the folder of its label, or set label_level or label_type.

Line break in a cell (1):
  row 2: x
  -> Keep file names and labels on one line; look for a quote that isn't closed.

Label that isn't in classes (1):
  row 2: x
  -> Correct the label, or add it to the config's classes.

Label that is neither 0 nor 1 (1):
  row 2: x
  -> Write 1 or 0, or add what is written to true_values or false_values.

Row that isn't of just one class (1):
  row 2: x
  -> Write 1 in one of the columns, or set label_type to 'multilabel'.

Label that isn't a number (1):
  row 2: x
  -> Write a finite number, with a point before its decimals, that float32 has.

Class without a box (1):
  row 2: x
  -> Fill in the box; of an image without objects, leave the class empty, too.

Box that isn't four numbers (1):
  row 2: x
  -> Write four finite numbers, in four cells or in one such as '[1, 2, 3, 4]'.

Box given twice (1):
  row 2: x
  -> Keep one row for each box.

Row without a box, of an image with boxes (1):
  row 2: x
  -> Fill in the box, or remove the row.

Rows of one image that contradict each other (1):
  row 2: x
  -> Give all rows of an image the same group, split, size and further images.

Cell that its column's type can't hold (1):
  row 2: x
  -> Correct the cell or the type; only strings and floats may be empty.

Split name that TFDS can't read (1):
  row 2: x
  -> Name splits with letters, digits, '_' and '-', and not 'all'.

File name that fits several files (1):
  row 2: x
  -> Write it with its folder and extension; match='exact' reads none loosely.

File name that leaves the image directory (1):
  row 2: x
  -> Give file names relative to image_dir, without '..' or links out of it.

File named twice (1):
  row 2: x
  -> Keep one row for each image.

Image not found (1):
  row 2: x
  -> Check image_dir, filename_column and filename_suffix, or remove the rows.

Image that can't be read (1):
  row 2: x
  -> Replace or remove the image.

File of a kind that isn't read (1):
  row 2: x
  -> Convert it to JPEG or PNG, do what its line says, or remove the row.

Image with more pixels than max_pixels (1):
  row 2: x
  -> Reduce or remove the image, or raise max_pixels.

Image with a side that is too long for its format (1):
  row 2: x
  -> Reduce or remove the image, or set max_side.

Image whose pixels can't be read as colours (1):
  row 2: x
  -> Convert the image to a PNG of 8 or 16 bits a channel.

Image of another shape than image_shape (1):
  row 2: x
  -> Correct or remove the image, or set resize instead of image_shape.

Size in the table that isn't the image's (1):
  row 2: x
  -> Correct it: boxes that were drawn on another size don't fit.

Mask not found (1):
  row 2: x
  -> Check mask_dir and mask_column, or remove the rows.

Mask whose values aren't certain (1):
  row 2: x
  -> Save it as a PNG of one channel of 8 or 16 bits, or set mask_colors.

Mask of another size than its image (1):
  row 2: x
  -> Save it in the size that its image has, in its file or as shown upright.

Mask with a colour that has no class (1):
  row 2: x
  -> Correct the mask, or add the colour to mask_colors.

Mask with a value that no class has (1):
  row 2: x
  -> Correct the mask, or add the class to classes.

Box without an area (1):
  row 2: x
  -> Correct or remove it, or set box_format.

Box that leaves its image (1):
  row 2: x
  -> Correct or remove it, or set box_format, box_units or boxes_are_upright.

Identical images (1):
  row 2: x
  -> Remove the copies, or set duplicates to 'together' or 'drop'.

Identical images with different labels (1):
  row 2: x
  -> Keep the copy whose label is right.

Rows that belong together, in different splits (1):
  row 2: x
  -> Give one split to all of them, in the CSV or in the pinned manifest.

Pinned row that the CSV gives to another split (1):
  row 2: x
  -> Correct its split in the CSV, or remove it from the manifest.

Class with fewer images than min_class_size (1):
  row 2: x
  -> Add images, remove the class, or set rare_classes to 'keep' or 'drop'."""


def test_a_report_groups_counts_and_cuts():
    """Kinds and rows are in their orders; ten of a kind are shown."""
    shuffled = random.Random(0).sample(MANY, len(MANY))
    assert problems.report(shuffled, label_csv="pets.csv", image_dir="/pets") == REPORT


def test_every_kind_has_its_heading_and_its_remedy():
    """The whole text of each kind, in the order of the report."""
    found = [Problem(kind, 2, "x") for kind in reversed(Kind)]
    assert problems.report(found, label_csv="l.csv", image_dir="i") == ONE_OF_EACH


def test_a_report_of_one_problem():
    """It counts one."""
    found = [Problem(Kind.MISSING, 2, "'a.png'")]
    assert problems.report(found, label_csv="l.csv", image_dir="i") == (
        "1 problem in l.csv with the images in i:\n"
        "\n"
        "Image not found (1):\n"
        "  row 2: 'a.png'\n"
        "  -> Check image_dir, filename_column and filename_suffix, or remove the rows."
    )


def test_a_suggestion_stands_below_what_it_is_about():
    """Other problems don't have it."""
    found = [
        Problem(Kind.NO_NUMBER, 3, "'tall' for 'a.png'"),
        Problem(Kind.MISSING, 2, "'b.png'"),
    ]
    report = problems.report(
        found, label_csv="l", image_dir="i", suggestion="set label_type='class'"
    )
    remedy = Kind.NO_NUMBER.remedy
    assert f"  -> {remedy}\n  -> Set label_type='class'.\n" in report
    assert report.count("label_type") == 1 + remedy.count("label_type")


def test_problems_of_one_row_are_sorted_by_their_details():
    """The report doesn't depend on the order in which problems were found."""
    one, other = Problem(Kind.MISSING, 2, "'a.png'"), Problem(Kind.MISSING, 2, "'b'")
    places = {"label_csv": "l", "image_dir": "i"}
    report = problems.report([one, other], **places)
    assert report == problems.report([other, one], **places)
    assert report.startswith("2 problems in l ")
    assert report.index("'a.png'") < report.index("'b'")


def test_problems_are_raised_as_one_error():
    """The error's message is the report."""
    found = (problem for problem in MANY)
    with pytest.raises(exceptions.InvalidRowsError) as caught:
        problems.raise_if_any(found, label_csv="pets.csv", image_dir="/pets")
    assert str(caught.value) == REPORT


def test_no_problem_is_no_error():
    """Nothing happens."""
    problems.raise_if_any((), label_csv="l", image_dir="i")
    problems.raise_if_any(iter(()), label_csv="l", image_dir="i")


def test_problems_are_the_same_whatever_is_known_of_their_rows():
    """A problem is its kind, its row and its detail; key and label go with it."""
    known = Problem(Kind.SHAPE, 2, "'a.png' is 1 x 1 x 3", key="a.png", label="cat")
    assert known == Problem(Kind.SHAPE, 2, "'a.png' is 1 x 1 x 3")
    assert (known.key, known.label) == ("a.png", "cat")
    assert known != Problem(Kind.FORMAT, 2, "'a.png' is 1 x 1 x 3")


def test_an_unusable_image_can_be_pickled():
    """As a part of another error, it goes from worker to worker."""
    error = UnusableImageError(Kind.MISSING, " is gone")
    again = pickle.loads(pickle.dumps(error))
    assert (again.kind, again.detail, str(again)) == (
        Kind.MISSING,
        " is gone",
        " is gone",
    )
