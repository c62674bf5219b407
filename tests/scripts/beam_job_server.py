"""Runs Apache Beam's portable job server, until the standard input ends.

The line on the standard output is its port.
"""

import sys

from apache_beam.runners.portability import local_job_service

server = local_job_service.LocalJobServicer()
print(server.start_grpc_server(), flush=True)
sys.stdin.read()
server.stop()
