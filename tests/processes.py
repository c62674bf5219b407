"""New processes that find TensorFlow imported; see `scripts/with_tensorflow.py`."""

import atexit
import functools
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

SCRIPTS = pathlib.Path(__file__).parent / "scripts"

# The directory of this environment's commands, such as `tfds`.
COMMANDS = pathlib.Path(sys.executable).parent


def run(program, *args, cwd, env):
    """Runs a program in Python, and returns what `subprocess.run` does, as texts.

    Args:
      program: its file; a command's, too.
      args: its arguments.
      cwd: the folder that it runs in.
      env: the environment, as a mapping of texts.
    """
    return subprocess.run(
        [*_command(program), *map(str, args)],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        check=False,
        capture_output=True,
        text=True,
    )


def run_code(code, *args, cwd, env):
    """Runs code in Python; see `run`."""
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "program.py"
        program.write_text(code)
        return run(program, *args, cwd=cwd, env=env)


@functools.cache
def path():
    """Returns a `PATH` for shells, whose commands find TensorFlow imported.

    These are `tfds`, `tfds-imagecsv`, and `python` with a file or a module.
    """
    folder = _folder() / "bin"
    folder.mkdir()
    programs = {name: [COMMANDS / name] for name in ("tfds", "tfds-imagecsv")}
    for name, program in {**programs, "python": []}.items():
        command = folder / name
        command.write_text(f'#!/bin/sh\nexec {shlex.join(_command(*program))} "$@"\n')
        command.chmod(0o755)
    return os.pathsep.join(map(str, (folder, COMMANDS, os.environ["PATH"])))


def _command(*program):
    """Returns the arguments of a process that runs a program, by default the next."""
    client = SCRIPTS / "run_with_tensorflow.py"
    return list(map(str, (sys.executable, "-IS", client, _socket(), *program)))


@functools.cache
def _folder():
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return pathlib.Path(folder.name)


@functools.cache
def _socket():
    """Returns the socket of a process that has imported TensorFlow, or is about to."""
    socket = _folder() / "socket"
    server = subprocess.Popen(
        [sys.executable, SCRIPTS / "with_tensorflow.py", socket],
        # TensorFlow imports Matplotlib, which must open no windows.
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "agg"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    atexit.register(server.communicate)
    assert server.stdout.readline() == "ready\n"
    return socket
