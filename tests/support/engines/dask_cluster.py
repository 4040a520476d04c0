"""A Dask LocalCluster in a process of its own, with worker processes that are reached over TCP."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distributed import Client, LocalCluster


@dataclass
class DaskCluster:
    """A running cluster. `address` is what --dask_client_address takes."""

    address: str
    process: subprocess.Popen[str]  # the scheduler's

    def beam_args(self) -> list[str]:
        return ["--runner=DaskRunner", f"--dask_client_address={self.address}"]

    def kill_worker(self) -> None:
        """Kill a worker. Its nanny starts another."""
        with Client(self.address) as client:
            os.kill(min(client.run(os.getpid).values()), signal.SIGKILL)

    def kill_all(self) -> None:
        """Kill the scheduler; the workers end when they miss it."""
        self.process.kill()


@contextmanager
def dask_cluster(folder: Path, *, workers: int = 2) -> Iterator[DaskCluster]:
    """A cluster that is up; its log and the workers' working directory are `folder`. It ends with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("wb") as log:
        command = [sys.executable, __file__, str(workers)]
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield DaskCluster(json.loads(process.stdout.readline()), process)
        finally:
            process.stdin.close()  # asks it to end
            process.wait()


if __name__ == "__main__":
    with LocalCluster(
        n_workers=int(sys.argv[1]), threads_per_worker=1, host="127.0.0.1", protocol="tcp://", dashboard_address=None
    ) as cluster:
        print(json.dumps(cluster.scheduler_address), flush=True)
        sys.stdin.read()
