"""Running a Beam pipeline: the user's options untouched, an in-process runner by default, and a user's mistake as one line."""

import errno
import logging
import os
import re
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle, PortableRunner
from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState, create_runner

import vocab
from vocab.errors import InputError

# An exception that crosses from a worker to the launcher survives only as the text of its traceback.
_INPUT_ERROR = re.compile(r"^(?:[\w.]+\.)?InputError: (.+?)(?: \[while running '[^']*'\])?\s*$", re.MULTILINE)
_OS_ERROR = re.compile(r"^(?:\w+\.)*\w*Error: \[Errno (\d+)\] (.+?)(?: \[while running '[^']*'\])?\s*$", re.MULTILINE)
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
    with _quiet(), _importable_in_workers():
        options = PipelineOptions(list(beam_args))
        runner = _runner(options)
        _check_options(options, beam_args, lenient=isinstance(runner, PortableRunner))
        try:
            pipeline = beam.Pipeline(runner=runner, options=options)
        except ValueError as error:  # an option that the runner needs is missing
            raise InputError(f"Beam: {' '.join(str(error).split())}") from None
        build(pipeline)
        try:
            result = pipeline.run()
            state = result.wait_until_finish()
        except Exception as error:
            mistake = error if isinstance(error, InputError) else users_mistake(error)
            if mistake is None:
                raise
            raise mistake from None
        if state != PipelineState.DONE:
            raise RuntimeError(f"the Beam job ended in state {state}; its runner's log says why")
        return result


def users_mistake(error: Exception) -> InputError | None:
    """The InputError that an exception stands for: one raised in a worker, or a full or read-only disk. None for anything else."""
    text = "".join(traceback_line for traceback_line in [f"{type(error).__name__}: {error}"])
    found = _INPUT_ERROR.findall(text)
    if found:
        return InputError(found[-1])
    for number, message in reversed(_OS_ERROR.findall(text)):
        if int(number) in _REMEDIES:
            return InputError(f"{os.strerror(int(number)).lower()} ({message}): {_REMEDIES[int(number)]}")
    return None


def _runner(options: PipelineOptions) -> PipelineRunner:
    name = options.view_as(StandardOptions).runner
    if name is None:
        # Not "DirectRunner": that may download and start a server (Prism). The workers are told the options, as it would do.
        provision = beam_provision_api_pb2.ProvisionInfo(
            pipeline_options=JobServiceHandle.encode_pipeline_options(options.get_all_options(retain_unknown_options=True))
        )
        return fn_runner.FnApiRunner(provision_info=fn_runner.ExtendedProvisionInfo(provision))
    try:
        return create_runner(name)
    except (ImportError, ValueError, AttributeError) as error:
        raise InputError(f"--runner={name}: {str(error).splitlines()[0]}") from None


def _check_options(options: PipelineOptions, beam_args: Sequence[str], *, lenient: bool) -> None:
    """Refuse what Beam would only warn of. A job server has options of its own, so with one of those (`lenient`) Beam is to judge."""

    def check(parser: ArgumentParser) -> None:
        def fail(message: str) -> NoReturn:
            raise InputError(f"Beam option: {message}")

        parser.error = fail  # type: ignore[method-assign]
        unknown = parser.parse_known_args(list(beam_args))[1]
        if unknown and not lenient:
            raise InputError(f"found the option '{unknown[0]}' after --, which Beam does not know; expected options of Beam: check the name")

    options.get_all_options(add_extra_args_fn=check, retain_unknown_options=True)


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
def _quiet() -> Iterator[None]:
    yield
