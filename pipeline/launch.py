"""Running a Beam pipeline: the user's options untouched, an in-process runner by default, and a user's mistake as one line."""

import errno
import logging
import os
import re
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

import vocab
from vocab.errors import InputError

# An exception that crosses from a worker to the launcher survives only as the text of its traceback.
_INPUT_ERROR = re.compile(r"^(?:[\w.]+\.)?InputError: (.+?)(?: \[while running '[^']*'\])?\s*$", re.MULTILINE)
_OS_ERROR = re.compile(r"\w*Error: \[Errno (\d+)\] (.+?)(?: \[while running '[^']*'\])?\s*$", re.MULTILINE)
# Loggers that repeat a worker's traceback, which the exception that ends the job holds already.
_REPEATING = ("apache_beam.runners.common", "apache_beam.runners.worker", "apache_beam.runners.portability.local_job_service")
_REMEDIES = {
    errno.ENOSPC: "free space or choose another --out",
    errno.EDQUOT: "free space or choose another --out",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "change the permissions or choose another folder",
}


def run_pipeline(build: Callable[[beam.Pipeline], None], beam_args: Sequence[str]) -> PipelineResult:
    """Run the pipeline that `build` puts together, to its end, with Beam's own command-line options.

    Without a `--runner` it runs in this process (or in worker processes: `--direct_running_mode=multi_processing`).
    Raises InputError for an option or runner that Beam does not know, for an InputError raised in any worker, and for a full or
    read-only disk; whatever else fails keeps Beam's exception, which holds the worker's traceback.
    """
    with _quiet(), _importable_in_workers(), _dead_workers_noticed():
        name, _ = _parse(beam_args)
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
            mistake = users_mistake(error)
            if mistake is None:
                raise
            raise mistake from None
        if state != PipelineState.DONE:
            raise RuntimeError(f"the Beam job ended in state {state}; its runner's log says why")
        return result


def users_mistake(error: Exception) -> InputError | None:
    """The InputError that an exception stands for: one raised in a worker, or a full or read-only disk. None for anything else."""
    text = f"{type(error).__name__}: {error}"
    found = _INPUT_ERROR.findall(text)
    if found:
        return InputError(found[-1])
    for number, message in reversed(_OS_ERROR.findall(text)):
        if int(number) in _REMEDIES:
            return InputError(f"{os.strerror(int(number)).lower()} ({message}): {_REMEDIES[int(number)]}")
    return None


def _runner(name: str | None, options: PipelineOptions) -> PipelineRunner:
    if name is None:
        # Not "DirectRunner": that may download and start a server (Prism). The workers are told the options, as it would do.
        told: dict[str, Any] = options.get_all_options(retain_unknown_options=True)
        if not told["default_sdk_harness_log_level"] and not told["sdk_harness_log_level_overrides"]:
            told["default_sdk_harness_log_level"] = "WARNING"
            told["sdk_harness_log_level_overrides"] = {"apache_beam": "CRITICAL", "__main__": "CRITICAL"}
        provision = beam_provision_api_pb2.ProvisionInfo(pipeline_options=JobServiceHandle.encode_pipeline_options(told))
        return fn_runner.FnApiRunner(provision_info=fn_runner.ExtendedProvisionInfo(provision))
    try:
        return create_runner(name)
    except (ImportError, ValueError, AttributeError) as error:
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
    """A RuntimeError for a worker process that dies (killed, or out of memory), for which Beam would wait for ever."""
    deaths: list[str] = []
    before, launcher = threading.excepthook, threading.get_ident()

    def on_error(failed: threading.ExceptHookArgs) -> None:
        if failed.thread is None or failed.thread.name != "run_worker":
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
        raise RuntimeError(f"a Beam worker died ({deaths[0]}): was it killed, or out of memory? Try fewer workers") from None
    finally:
        threading.excepthook = before


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Beam's copies in the log of what the exception says."""
    loggers = [logging.getLogger(name) for name in _REPEATING]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
