"""Runs Apache Beam's portable job server, until the standard input ends.

It prints its port on a line.
"""

import sys

from apache_beam.runners.portability import local_job_service

server = local_job_service.LocalJobServicer()
print(server.start_grpc_server(), flush=True)
sys.stdin.read()
server.stop()
