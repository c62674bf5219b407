"""Forked processes with TensorFlow imported are like new ones."""

import json
import os
import subprocess

import processes
import pytest

PROGRAM = """
import atexit, json, multiprocessing, os, sys

atexit.register(print, "at exit")
sys.excepthook = lambda kind, error, trace: print("hook:", error, file=sys.stderr)
print(
    json.dumps(
        {
            "arguments": sys.argv[1:],
            "folder": os.getcwd(),
            "environment": dict(os.environ),
            "input": sys.stdin.read(),
            "name": __name__,
            "has parent": multiprocessing.parent_process() is not None,
            "modules": sorted({"tensorflow", "tensorflow_datasets"} & set(sys.modules)),
        }
    )
)
1 / 0
"""


def test_a_program_is_run_as_python_runs_it(tmp_path):
    """Except for the import, it sees what a new process sees, and ends like one."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    env = {"HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    done = processes.run(program, "a", "b c", cwd=tmp_path, env=env)
    found, end = done.stdout.splitlines()
    assert json.loads(found) == {
        "arguments": ["a", "b c"],
        "folder": str(tmp_path),
        "environment": env,
        "input": "",
        "name": "__main__",
        "has parent": False,
        "modules": ["tensorflow"],
    }
    assert end == "at exit"
    assert done.stderr == "hook: division by zero\n"
    assert done.returncode == 1


def test_programs_know_nothing_of_each_other(tmp_path):
    """Each has an exit code and modules of its own."""
    env = dict(os.environ)
    done = processes.run_code("import this, sys; sys.exit(3)", cwd=tmp_path, env=env)
    assert done.returncode == 3
    done = processes.run_code("import sys; sys.exit('words')", cwd=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (1, "words\n")
    code = "import sys; print('this' in sys.modules)"
    assert processes.run_code(code, cwd=tmp_path, env=env).stdout == "False\n"


@pytest.mark.parametrize(
    ("command", "folder"),
    [("python there/program.py", "there"), ("python -m program", "")],
)
def test_shells_find_commands(tmp_path, command, folder):
    """`python` runs a file or a module; what is beside the file can be imported."""
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "beside.py").write_text("NAME = 'beside'")
    (tmp_path / folder / "program.py").write_text(
        "import beside, sys\n"
        "print(__name__, beside.NAME, sys.argv[1:], 'tensorflow' in sys.modules)\n"
        "sys.exit(4)\n"
    )
    done = subprocess.run(
        ["bash", "-ec", f"{command} a 'b c'"],
        cwd=tmp_path,
        env={**os.environ, "PATH": processes.path()},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "__main__ beside ['a', 'b c'] True\n", done.stderr
    assert done.returncode == 4
