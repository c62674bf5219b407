"""Runs a Dask cluster of two worker processes, until its standard input ends.

It first prints a line with the scheduler's address. At the end it prints, as
JSON, the number of tasks of each worker.
"""

import collections
import json
import sys

import distributed


class Counter(distributed.SchedulerPlugin):
    """Counts the tasks that workers have done."""

    def __init__(self):
        self.done = collections.Counter()

    def transition(self, key, start, finish, *args, worker=None, **kwargs):
        """The scheduler calls it when the state of a task changes."""
        if finish == "memory":
            self.done[worker] += 1


def main():
    """Runs the cluster."""
    counter = Counter()
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        cluster.scheduler.add_plugin(counter)
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
        print(json.dumps(counter.done), flush=True)


# Workers import this file.
if __name__ == "__main__":
    main()
