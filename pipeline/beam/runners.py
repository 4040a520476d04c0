"""Beam's runners: the one that the options name, or one in this process; and what DaskRunner needs in addition."""

import logging
import os
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any, NoReturn

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.runners.runner import PipelineRunner, create_runner

from pipeline.beam.job_errors import JobError
from vocab.errors import InputError, first_line

_LOCAL_RUNNERS = {"DirectRunner", "BundleBasedDirectRunner", "SwitchingDirectRunner", "FnApiRunner", "PrismRunner"}
DASK = "apache_beam.runners.dask.dask_runner.DaskRunner"  # Beam knows its other runners by their short names


def make_runner(name: str | None, options: PipelineOptions) -> PipelineRunner:
    """The runner of this name; without a name, one in this process. An unknown or missing runner is an InputError."""
    if name is None:
        # Not "DirectRunner", which may download and start a server (Prism). The options are passed to the workers, as it would do.
        for_workers: dict[str, Any] = options.get_all_options(retain_unknown_options=True)
        if not for_workers["default_sdk_harness_log_level"] and not for_workers["sdk_harness_log_level_overrides"]:
            level = os.environ.get("MERGEDISTILL_LOG", "ERROR")
            for_workers["default_sdk_harness_log_level"] = level
            if level == "ERROR":
                for_workers["sdk_harness_log_level_overrides"] = {"apache_beam": "CRITICAL", "__main__": "CRITICAL"}
        provision = beam_provision_api_pb2.ProvisionInfo(pipeline_options=JobServiceHandle.encode_pipeline_options(for_workers))
        return fn_runner.FnApiRunner(provision_info=fn_runner.ExtendedProvisionInfo(provision))
    try:
        return create_runner(name)
    except ImportError as error:
        hint = "; install mergedistill[dask]" if name == DASK else ""
        raise InputError(f"--runner={name}: {error}{hint}") from None
    except (ValueError, AttributeError) as error:
        raise InputError(f"--runner={name}: {first_line(error)}") from None


def parse_options(beam_args: Sequence[str]) -> tuple[str | None, list[str]]:
    """(the --runner, the options that Beam does not know and would only warn about). A wrong value of an option is an InputError."""
    parsed: list[tuple[str | None, list[str]]] = []

    def parse(parser: ArgumentParser) -> None:
        def fail(message: str) -> NoReturn:
            raise InputError(f"Beam option: {message}")

        parser.error = fail  # type: ignore[method-assign]
        known, unknown = parser.parse_known_args(list(beam_args))
        parsed.append((known.runner, unknown))

    PipelineOptions([]).get_all_options(add_extra_args_fn=parse)  # the only public way to Beam's complete parser
    return parsed[0]


def has_remote_workers(beam_args: Sequence[str]) -> bool:
    """Whether the runner's workers may be other machines. Those of the environment LOOPBACK are in the launcher."""
    runner = (parse_options(beam_args)[0] or "DirectRunner").rpartition(".")[2]
    environment = PipelineOptions(list(beam_args)).get_all_options().get("environment_type")
    return runner not in _LOCAL_RUNNERS and environment != "LOOPBACK"


def one_element_a_task(beam_args: Sequence[str]) -> list[str]:
    """DaskRunner's options, with one element in a task by default: an element is minutes of work, and Beam would put 128 into a task."""
    given = any(argument.startswith(("--dask_npartitions", "--dask_partition_size")) for argument in beam_args)
    return [*beam_args, *([] if given else ["--dask_partition_size=1"])]


def finish_dask(result: Any) -> None:
    """Close DaskRunner's client, which it leaves open, and find out whether the scheduler died: Beam reports such a job as done."""
    states = {future.status for future in result.futures}
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # else it logs that it cannot reconnect
    result.client.close()
    if states - {"finished"}:
        raise JobError(f"Dask's scheduler was lost (the job is {', '.join(states)})")
