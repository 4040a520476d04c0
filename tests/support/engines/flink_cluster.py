"""A Flink cluster of child processes: one JobManager, and TaskManagers of one slot each, from Beam's job server jar."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

JAR = os.environ.get("MERGEDISTILL_FLINK_JAR", "")  # Beam's portable Flink job server, with Flink inside
MISSING = "" if Path(JAR).is_file() and shutil.which("java") else "needs Java, and a Flink job server jar in MERGEDISTILL_FLINK_JAR"
# The Python workers are threads of the launcher. The job server lives for one job: its compiler needs no second stage.
LOOPBACK = (
    "--runner=FlinkRunner",
    f"--flink_job_server_jar={JAR}",
    "--environment_type=LOOPBACK",
    "--job_server_jvm_properties=-XX:TieredStopAtLevel=1",
)
JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
# Without Flink's own scripts a TaskManager must be told every memory size.
SETTINGS = """\
jobmanager.rpc.address: 127.0.0.1
jobmanager.rpc.port: {rpc_port}
rest.address: 127.0.0.1
rest.bind-address: 127.0.0.1
rest.port: {rest_port}
taskmanager.host: 127.0.0.1
taskmanager.bind-host: 127.0.0.1
taskmanager.numberOfTaskSlots: 1
taskmanager.cpu.cores: 1.0
taskmanager.memory.task.heap.size: 256m
taskmanager.memory.task.off-heap.size: 64m
taskmanager.memory.network.min: 64m
taskmanager.memory.network.max: 64m
taskmanager.memory.managed.size: 64m
taskmanager.memory.framework.heap.size: 128m
taskmanager.memory.framework.off-heap.size: 128m
taskmanager.memory.jvm-metaspace.size: 256m
taskmanager.memory.jvm-overhead.min: 128m
taskmanager.memory.jvm-overhead.max: 128m
heartbeat.interval: 1000
heartbeat.timeout: 4000
slot.request.timeout: 5000
restart-strategy.type: fixed-delay
restart-strategy.fixed-delay.attempts: 2
restart-strategy.fixed-delay.delay: 1 s
"""


@dataclass
class FlinkCluster:
    """A running cluster. `address` is what --flink_master takes."""

    address: str
    start_task_manager: Callable[[str], subprocess.Popen[bytes]]
    task_managers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)  # by Flink's resource id
    started: int = 0

    def restore(self, count: int) -> None:
        """Bring the cluster back to `count` living TaskManagers, all of them joined and free."""
        self.task_managers = {name: process for name, process in self.task_managers.items() if process.poll() is None}
        while len(self.task_managers) < count:
            self.started += 1
            self.task_managers[f"tm{self.started}"] = self.start_task_manager(f"tm{self.started}")
        _wait(lambda: self.free_slots() == dict.fromkeys(self.task_managers, 1))

    def free_slots(self) -> dict[str, int]:
        """Free slots of each TaskManager, as the JobManager knows them: 0 is at work."""
        return {one["id"]: one["freeSlots"] for one in self._get("taskmanagers")["taskmanagers"]}

    def beam_args(self) -> list[str]:
        return [*LOOPBACK, f"--flink_master={self.address}"]

    def kill_all(self) -> None:
        """Kill every TaskManager."""
        for process in self.task_managers.values():
            process.kill()

    def kill_one_at_work(self) -> None:
        """Kill a TaskManager that works. LookupError if none does."""
        at_work = [name for name, free in self.free_slots().items() if free == 0 and self.task_managers[name].poll() is None]
        self.task_managers[at_work[0]].kill()

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://{self.address}/{path}", timeout=5) as answer:
            return json.load(answer)


@contextmanager
def flink_cluster(folder: Path, *, task_managers: int = 2) -> Iterator[FlinkCluster]:
    """A cluster that is up, its configuration and log below `folder`. It ends with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    rest_port, rpc_port = _free_ports(2)
    (folder / "flink-conf.yaml").write_text(SETTINGS.format(rest_port=rest_port, rpc_port=rpc_port))
    with ExitStack() as stack:
        log = stack.enter_context((folder / "log").open("wb"))

        def start(entry: str, *arguments: str) -> subprocess.Popen[bytes]:
            command = ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", JAR, entry, "--configDir", str(folder), *arguments]
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        start(JOB_MANAGER, "--executionMode", "cluster")
        cluster = FlinkCluster(f"127.0.0.1:{rest_port}", lambda name: start(TASK_MANAGER, f"-Dtaskmanager.resource-id={name}"))
        cluster.restore(task_managers)
        yield cluster


def _wait(done: Callable[[], bool], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if done():
                return
        except OSError:  # not up yet
            pass
        time.sleep(0.1)
    raise TimeoutError(f"the Flink cluster was not ready in {seconds} s: its log is in its folder")


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago: the TaskManagers must be told where the JobManager listens before it does."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
