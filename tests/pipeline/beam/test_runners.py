"""Every runner does the same work, and a worker that dies takes no finished unit with it. Real engines, started here."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from tests.support.engines.dask_cluster import DaskCluster, dask_cluster
from tests.support.engines.flink_cluster import LOOPBACK, MISSING, FlinkCluster, flink_cluster
from tests.support.engines.launches import MULTI_PROCESSING, Launches, finish, messages, only_line

pytestmark = pytest.mark.engine
needs_flink = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Launches:
    return Launches.make(tmp_path_factory.mktemp("few"), units=8)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Launches:
    """Enough work for a kill to fall into."""
    return Launches.make(tmp_path_factory.mktemp("many"), units=120)


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("dask")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def flink_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlinkCluster]:
    with flink_cluster(tmp_path_factory.mktemp("flink")) as cluster:
        yield cluster


@pytest.fixture
def flink(flink_session: FlinkCluster) -> FlinkCluster:
    flink_session.restore(2)
    return flink_session


def does_the_same(launches: Launches, run: str, beam_args: Sequence[str]) -> None:
    done = launches.launch(run, beam_args)
    assert (done.returncode, messages(done)) == (0, [])
    assert f"{launches.units} units and 0 held-out units, of these {launches.units} computed now" in done.stdout
    assert f" predict: ended at {launches.units} of {launches.units} units (100%)" in done.stderr
    launches.assert_same_rows(run)


def test_dask(few: Launches, dask: DaskCluster) -> None:
    does_the_same(few, "dask", dask.beam_args())


@needs_flink
def test_flink_inside_the_job_server(few: Launches) -> None:
    does_the_same(few, "flink-local", [*LOOPBACK, "--flink_master=[local]", "--parallelism=2"])


@needs_flink
def test_flink_cluster(few: Launches, flink: FlinkCluster) -> None:
    does_the_same(few, "flink", [*flink.beam_args(), "--parallelism=2"])


def test_a_dask_worker_dies(many: Launches, dask: DaskCluster) -> None:
    process = many.start("dask", dask.beam_args())
    many.wait_for_units("dask", 20, process)
    dask.kill_worker()
    finished = many.computations("dask")
    done = finish(process)
    assert 20 <= len(finished) < many.units
    assert (done.returncode, messages(done)) == (0, [])
    assert finished.items() <= many.computations("dask").items()
    many.assert_same_rows("dask")


@needs_flink
def test_a_task_manager_dies(many: Launches, flink: FlinkCluster) -> None:
    """Flink starts the job again on the spare one; what was finished is not computed again."""
    process = many.start("flink", [*flink.beam_args(), "--parallelism=1"])
    many.wait_for_units("flink", 20, process)
    flink.kill_one_at_work()
    finished = many.computations("flink")
    done = finish(process)
    assert 20 <= len(finished) < many.units
    assert (done.returncode, messages(done)) == (0, [])
    assert finished.items() <= many.computations("flink").items()
    many.assert_same_rows("flink")


def gives_up(launches: Launches, run: str, beam_args: Sequence[str], kill: Callable[[int], None], message: str) -> None:
    """The engine is lost (`kill` is given the launcher's pid): one line, exit code 1, and the next launch does what is missing."""
    process = launches.start(run, beam_args)
    launches.wait_for_units(run, 20, process)
    kill(process.pid)
    done = finish(process)
    finished = launches.computations(run)
    line = only_line(done)
    assert message in line
    assert "Run the same command again; predict computes only what is missing" in line
    assert done.returncode == 1
    assert len(finished) >= 20  # all, where workers in the launcher's process outlive their TaskManager
    again = launches.launch(run)  # in process: the engine may be another
    assert f"of these {launches.units - len(finished)} computed now" in again.stdout
    assert finished.items() <= launches.computations(run).items()
    launches.assert_same_rows(run)


def kill_worker_process(launcher: int) -> None:
    """Kill one of Beam's worker processes on this machine."""
    children = psutil.Process(launcher).children(recursive=True)
    next(child for child in children if "apache_beam.runners.worker.sdk_worker_main" in child.cmdline()).kill()


def test_a_worker_process_dies(many: Launches) -> None:
    """Beam would wait for it for ever."""
    gives_up(many, "processes", MULTI_PROCESSING, kill_worker_process, "the Beam job was given up")


@needs_flink
def test_flink_gives_up(many: Launches, flink: FlinkCluster) -> None:
    """No TaskManager is left."""
    beam_args = [*flink.beam_args(), "--parallelism=1"]
    gives_up(many, "flink-lost", beam_args, lambda _: flink.kill_all(), "the Beam job was given up: java.")


@pytest.mark.parametrize("runner", ["dask", pytest.param("flink", marks=needs_flink)])
def test_a_mistake_found_by_a_worker_is_one_line(
    runner: str, few: Launches, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = shutil.copytree(few.folder, tmp_path / "damaged")
    shard = folder / "corpora/en/part0.parquet"
    content = bytearray(shard.read_bytes())
    group = pq.read_metadata(shard).row_group(0)
    text = next(column for column in map(group.column, range(group.num_columns)) if column.path_in_schema == "text")
    first = text.dictionary_page_offset or text.data_page_offset
    content[first : first + 40] = bytes(40)  # the launcher reads footers and ids, and only a worker the texts
    shard.write_bytes(content)
    (folder / "alone/predictions/language=en/teacher=bert-en/part0-00000.parquet").unlink()
    done = Launches(folder, few.units).launch("alone", request.getfixturevalue(runner).beam_args())
    assert "row group 0 is damaged" in only_line(done)
    assert done.returncode == 2


def test_an_engine_that_is_not_there_is_one_line(few: Launches) -> None:
    done = few.launch("nowhere", ["--runner=DaskRunner", "--dask_client_address=tcp://127.0.0.1:9", "--dask_connection_timeout=1"])
    assert "tcp://127.0.0.1:9" in only_line(done)
    assert done.returncode == 1


def test_dask_is_lost(many: Launches, dask: DaskCluster) -> None:
    """The last one: it takes the cluster with it."""
    gives_up(many, "dask-lost", dask.beam_args(), lambda _: dask.kill_all(), "Dask's scheduler was lost")
