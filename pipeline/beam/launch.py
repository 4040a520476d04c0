"""Running a Beam pipeline: the user's options untouched, an in-process runner by default, and a user's mistake as one line."""

import logging
import os
import signal
import threading
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

# Beam warns on import that Google's client libraries are missing, which nobody here needs; the filter must be there before it.
logging.getLogger().addFilter(lambda record: not record.getMessage().startswith("apitools not found"))

# ruff: noqa: E402
# isort: split
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle, PortableRunner
from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState, create_runner
from apache_beam.runners.worker import sdk_worker

import vocab
from pipeline.beam.job_errors import JobError, engine_failure, users_mistake
from vocab.errors import InputError

__all__ = ["run_pipeline", "users_mistake"]

_DASK = "apache_beam.runners.dask.dask_runner.DaskRunner"  # Beam knows its other runners by their short names


def run_pipeline(build: Callable[[beam.Pipeline], None], beam_args: Sequence[str]) -> PipelineResult:
    """Run the pipeline that `build` puts together, to its end, with Beam's own command-line options.

    Without a `--runner` it runs in this process (or in worker processes: `--direct_running_mode=multi_processing`).
    Raises InputError for an option or runner that Beam does not know, for an InputError raised in any worker, and for a full or
    read-only disk; JobError where the engine lost its workers, gave up, or cannot be reached; whatever else fails keeps Beam's
    exception, which holds the worker's traceback.
    """
    with _quiet(), _importable_in_workers(), _dead_workers_noticed():
        name, _ = _parse(beam_args)
        if name in ("DaskRunner", _DASK):
            name, beam_args = _DASK, _one_element_a_task(beam_args)
        options = PipelineOptions(list(beam_args))
        runner = _runner(name, options)
        _, unknown = _parse(beam_args)  # again: a runner brings options of its own
        if unknown and not isinstance(runner, PortableRunner):  # a job server knows more options, and judges them itself
            raise InputError(
                f"found the option '{unknown[0]}', which Beam does not know; expected Beam's own after --: check its name"
            )
        try:
            pipeline = beam.Pipeline(runner=runner, options=options)
        except ValueError as error:  # an option that the runner needs is missing
            raise InputError(f"Beam: {' '.join(str(error).split())}") from None
        build(pipeline)
        try:
            result = pipeline.run()
            state = result.wait_until_finish()
        except Exception as error:
            meaning = users_mistake(error) or engine_failure(error)
            if meaning is None:
                raise
            raise meaning from None
        if state != PipelineState.DONE:
            raise JobError(f"it ended in state {state}; its runner's log says why")
        if name == _DASK:
            _check_dask(result)
        return result


def _one_element_a_task(beam_args: Sequence[str]) -> list[str]:
    """DaskRunner's options, by default with one element a task: an element is minutes of work, and Beam would put 128 together."""
    given = any(argument.startswith(("--dask_npartitions", "--dask_partition_size")) for argument in beam_args)
    return [*beam_args, *([] if given else ["--dask_partition_size=1"])]


def _check_dask(result: Any) -> None:
    """DaskRunner leaves its client open, and calls a job done whose scheduler died."""
    states = {future.status for future in result.futures}
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # it would log that it cannot reconnect
    result.client.close()
    if states - {"finished"}:
        raise JobError(f"Dask's scheduler was lost (the job is {', '.join(states)})")


def _runner(name: str | None, options: PipelineOptions) -> PipelineRunner:
    if name is None:
        # Not "DirectRunner": that may download and start a server (Prism). The workers are told the options, as it would do.
        told: dict[str, Any] = options.get_all_options(retain_unknown_options=True)
        if not told["default_sdk_harness_log_level"] and not told["sdk_harness_log_level_overrides"]:
            told["default_sdk_harness_log_level"] = "ERROR"
            told["sdk_harness_log_level_overrides"] = {"apache_beam": "CRITICAL", "__main__": "CRITICAL"}
        provision = beam_provision_api_pb2.ProvisionInfo(pipeline_options=JobServiceHandle.encode_pipeline_options(told))
        return fn_runner.FnApiRunner(provision_info=fn_runner.ExtendedProvisionInfo(provision))
    try:
        return create_runner(name)
    except ImportError as error:
        hint = "; install mergedistill[dask]" if name == _DASK else ""
        raise InputError(f"--runner={name}: {error}{hint}") from None
    except (ValueError, AttributeError) as error:
        raise InputError(f"--runner={name}: {str(error).splitlines()[0]}") from None


def _parse(beam_args: Sequence[str]) -> tuple[str | None, list[str]]:
    """(the --runner, the options that Beam would only warn of). A value that an option cannot have is an InputError."""
    parsed: list[tuple[str | None, list[str]]] = []

    def parse(parser: ArgumentParser) -> None:
        def fail(message: str) -> NoReturn:
            raise InputError(f"Beam option: {message}")

        parser.error = fail  # type: ignore[method-assign]
        known, unknown = parser.parse_known_args(list(beam_args))
        parsed.append((known.runner, unknown))

    PipelineOptions([]).get_all_options(add_extra_args_fn=parse)  # the one public way to Beam's whole parser
    return parsed[0]


@contextmanager
def _importable_in_workers() -> Iterator[None]:
    """Let worker processes import our packages from where this process did, installed or not."""
    root = str(Path(vocab.__path__[0]).parent)
    before = os.environ.get("PYTHONPATH")
    if root not in (before or "").split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [root, before]))
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = before


@contextmanager
def _dead_workers_noticed() -> Iterator[None]:
    """A JobError for a worker process that dies (killed, or out of memory), for which Beam would wait for ever."""
    deaths: list[str] = []
    before, launcher = threading.excepthook, threading.get_ident()

    def on_error(failed: threading.ExceptHookArgs) -> None:
        if failed.thread is None or failed.thread.name != "run_worker":
            # A lost connection: of a worker in this process (environment LOOPBACK) whose TaskManager died, which is Flink's to judge.
            if not failed.exc_type.__module__.startswith("grpc"):
                before(failed)
        elif not deaths:
            deaths.append(str(failed.exc_value))
            signal.pthread_kill(launcher, signal.SIGINT)  # it may be blocked on a lock, which only a signal ends

    if threading.current_thread() is threading.main_thread():
        threading.excepthook = on_error
    try:
        yield
    except KeyboardInterrupt:
        if not deaths:
            raise
        raise JobError(f"a Beam worker died ({deaths[0]}): was it killed, or out of memory? Fewer workers take less") from None
    finally:
        if not deaths:  # else the other threads are about to fail of the same cause, after this
            threading.excepthook = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Beam's copies in the log, and on stderr, of what the exception says."""
    logger = logging.getLogger("apache_beam.runners")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    logging.getLogger().addFilter(_is_no_job_message)
    vars(sdk_worker)["print"] = lambda *_, **__: None  # workers in this process print each traceback that they send, too
    try:
        yield
    finally:
        del vars(sdk_worker)["print"]
        logging.getLogger().removeFilter(_is_no_job_message)
        logger.setLevel(level)


def _is_no_job_message(record: logging.LogRecord) -> bool:
    """Whether a record is none of the messages of a job server, of which a failed job's last one is in its exception."""
    return record.module != "portable_runner"
