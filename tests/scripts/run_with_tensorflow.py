"""Runs a program in `with_tensorflow.py`, given the socket, its file and arguments."""

import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
    connection.connect(sys.argv[1])
    job = {"argv": sys.argv[2:], "cwd": os.getcwd(), "env": dict(os.environ)}  # noqa: PTH109 - Path takes longer to import
    socket.send_fds(connection, [json.dumps(job).encode()], [0, 1, 2])
    code = int(connection.recv(16))
# As a shell reports that a signal has ended a program.
sys.exit(code if code >= 0 else 128 - code)
