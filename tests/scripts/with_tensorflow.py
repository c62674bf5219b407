"""Runs programs in forks of this process, which has imported TensorFlow.

The import takes four seconds of a core, and most commands of TFDS begin with it. A
program imports all else itself.

Each line of the standard input is a program as JSON: its `argv`, `cwd` and `env`, and
the files for its `outputs`. When it has ended, a line with its exit code is printed.
"""

import json
import os
import runpy
import sys

import tensorflow  # noqa: F401 - imported here, so that each fork has it


def next_job():
    """Returns the next program in a fork, or None in this process at the end."""
    for line in sys.stdin:
        process = os.fork()
        if not process:
            return json.loads(line)
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    return None


def prepare(argv, cwd, env, outputs):
    """Makes this process what it would be if it had been started for a program."""
    for number, path in enumerate((os.devnull, *outputs)):
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - this process' own
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    path = env.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [os.path.dirname(argv[0]), *filter(None, path)]  # noqa: PTH120
    sys.argv = argv


job = next_job()
if job is not None:
    prepare(**job)
    # Python ends this process as usual: by the hook for errors, and functions at exit.
    runpy.run_path(sys.argv[0], run_name="__main__")
