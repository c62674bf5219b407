"""How errors look where the `tfds` command runs, and elsewhere."""

import subprocess
import sys

import pytest

from tfds_imagecsv import exceptions, tfds_private

# The command's process is known by the command's package among its modules.
IN_COMMAND = "import sys; sys.modules['tensorflow_datasets.scripts.cli'] = sys; "
SHOW = "from tfds_imagecsv import exceptions, tfds_private; "
SHOW += "tfds_private.show_errors_without_traceback(); "


@pytest.fixture
def excepthook(monkeypatch):
    """Python's own way to show errors, restored after the test."""
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    return sys.__excepthook__


@pytest.fixture
def in_command(monkeypatch):
    """Makes the process look like that of the `tfds` command."""
    monkeypatch.setitem(sys.modules, "tensorflow_datasets.scripts.cli", sys)


def test_nothing_changes_outside_of_the_command(excepthook, monkeypatch):
    """A library doesn't change how other programs show their errors."""
    monkeypatch.delitem(sys.modules, "tensorflow_datasets.scripts.cli", raising=False)
    tfds_private.show_errors_without_traceback()
    assert sys.excepthook is excepthook


def test_the_message_is_all_that_is_shown(excepthook, in_command, capsys):
    """A stack trace would hide it."""
    tfds_private.show_errors_without_traceback()
    error = exceptions.SourceError("label_csv l.csv: no such file.")
    sys.excepthook(type(error), error, None)
    captured = capsys.readouterr()
    assert captured.err == "Error: label_csv l.csv: no such file.\n"
    assert captured.out == ""


def test_another_error_is_shown_as_before(excepthook, in_command, capsys):
    """What isn't the user's mistake is shown by what Python was set up with."""
    tfds_private.show_errors_without_traceback()
    sys.excepthook(ValueError, ValueError("a bug"), None)
    assert capsys.readouterr().err == "ValueError: a bug\n"


def run(code):
    """Runs code in a new process, and returns its exit code and its errors."""
    process = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    return process.returncode, process.stderr


def test_errors_of_a_process():
    """Python itself calls what was set up, and exits as it does after an error."""
    code, stderr = run(IN_COMMAND + SHOW + "raise exceptions.SplitError('too few')")
    assert code == 1
    assert stderr.endswith("Error: too few\n")
    assert "Traceback" not in stderr


def test_other_errors_of_a_process():
    """A bug keeps its stack trace."""
    code, stderr = run(IN_COMMAND + SHOW + "1 / 0")
    assert code == 1
    assert "Traceback (most recent call last):" in stderr
    assert stderr.endswith("ZeroDivisionError: division by zero\n")
