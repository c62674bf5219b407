"""Fixtures for the tests of the commands."""

import pytest

from tfds_imagecsv import cli


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Returns a function that runs the command here, in `tmp_path`.

    It returns the exit code, the output and the errors.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*args):
        capsys.readouterr()  # earlier output
        code = cli.main([str(arg) for arg in args])
        output, errors = capsys.readouterr()
        return code, output, errors

    return run
