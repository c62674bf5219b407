"""Runs programs in forks of this process, which has imported TensorFlow.

The import takes four seconds of a core, and most commands of TFDS start with it. A
program imports everything else itself.

The argument is the path of the socket; this process ends when its standard input ends.
`run_with_tensorflow.py` sends a program: its `argv`, `cwd` and `env` as JSON, and its
three standard files. It gets the exit code when the program has ended. A program is a
file, or "-m" and a module.
"""

import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import socket
import sys
import threading

# The most bytes of a program's arguments and environment.
MOST = 1 << 20


def next_job(listener):
    """Returns the next program in a fork, or None in this process at the end."""
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return None
        connection, _ = listener.accept()
        if not os.fork():
            message, files, _, _ = socket.recv_fds(connection, MOST, 3)
            process = os.fork()
            if not process:
                listener.close()
                connection.close()
                return {**json.loads(message), "files": files}
            _, status = os.waitpid(process, 0)
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)
        connection.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def prepare(argv, cwd, env, files):
    """Makes this process look as if it had been started for a program."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - this process' own
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    path = env.get("PYTHONPATH", "").split(os.pathsep)
    folder = cwd if argv[0] == "-m" else os.path.dirname(argv[0])  # noqa: PTH120
    sys.path[:1] = [folder, *filter(None, path)]
    sys.argv = argv


def run(program):
    """Runs a program, whose arguments are `sys.argv`, and ends as `python` does.

    But objects aren't freed, which takes a second: all of TensorFlow's are this
    process' own then.
    """
    code = 0
    try:
        if program == "-m":
            del sys.argv[0]
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(program, run_name="__main__")
    except SystemExit as end:
        code = end.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        print("ready", flush=True)

        # Before TensorFlow, as `tfds` does it: the first one's zlib is that of both.
        import PIL.Image  # noqa: F401
        import tensorflow  # noqa: F401 - imported here, so that each fork has it

        gc.freeze()  # else forks would copy what their garbage collectors look at
        job = next_job(listener)
    if job is not None:
        prepare(**job)
        run(sys.argv[0])
