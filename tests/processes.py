"""New processes that find TensorFlow imported; see `scripts/with_tensorflow.py`."""

import atexit
import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

SCRIPT = pathlib.Path(__file__).parent / "scripts" / "with_tensorflow.py"

# Where the commands of this environment are, such as `tfds`.
COMMANDS = pathlib.Path(sys.executable).parent


def run(program, *args, cwd, env):
    """Runs a program in Python, and returns what `subprocess.run` does, as texts.

    Args:
      program: its file; a command's, too.
      args: its arguments.
      cwd: the folder that it runs in.
      env: the environment, as a mapping of texts.
    """
    argv = list(map(str, [program, *args]))
    with tempfile.TemporaryDirectory() as folder:
        outputs = [pathlib.Path(folder) / name for name in ("stdout", "stderr")]
        job = {
            "argv": argv,
            "cwd": os.fspath(cwd),
            "env": dict(env),
            "outputs": list(map(str, outputs)),
        }
        server = _server()
        print(json.dumps(job), file=server.stdin, flush=True)
        code = int(server.stdout.readline())
        texts = [path.read_text() for path in outputs]
    return subprocess.CompletedProcess(argv, code, *texts)


def run_code(code, *args, cwd, env):
    """Runs code in Python; see `run`."""
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "program.py"
        program.write_text(code)
        return run(program, *args, cwd=cwd, env=env)


@functools.cache
def _server():
    server = subprocess.Popen(
        [sys.executable, SCRIPT],
        # TensorFlow imports Matplotlib, which is to open no windows.
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "agg"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    atexit.register(server.communicate)
    return server
