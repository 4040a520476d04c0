"""Runs a Beam pipeline with the user's own Beam options. A user's mistake becomes one line."""

from collections.abc import Callable, Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import PipelineResult, PipelineState

from pipeline.beam.job_errors import JobError, engine_failure, users_mistake
from pipeline.beam.runners import DASK, finish_dask, make_runner, one_element_a_task, parse_options
from pipeline.beam.workers import importable_in_workers, notice_dead_workers, quiet_beam
from vocab.errors import InputError, first_line


def run_pipeline(build: Callable[[beam.Pipeline], None], beam_args: Sequence[str]) -> PipelineResult:
    """Run the pipeline that `build` makes, to its end, with Beam's own command-line options.

    Without a `--runner` it runs in this process (or in worker processes, with `--direct_running_mode=multi_processing`).

    Raises InputError for an option or runner that Beam does not know, an InputError of a worker, and a full or read-only disk; JobError
    if the engine lost its workers, gave up, or cannot be reached. Other exceptions are Beam's, with the worker's traceback.
    """
    with quiet_beam(), importable_in_workers(), notice_dead_workers():
        name, _ = parse_options(beam_args)
        if name in ("DaskRunner", DASK):
            name, beam_args = DASK, one_element_a_task(beam_args)
        options = PipelineOptions(list(beam_args))
        runner = make_runner(name, options)
        _, unknown = parse_options(beam_args)  # again, because a runner brings its own options
        if unknown and not isinstance(runner, PortableRunner):  # a job server knows more options, and checks them itself
            raise InputError(
                f"found the option '{unknown[0]}', which Beam does not know; expected options of Beam after --: check its name"
            )
        try:
            pipeline = beam.Pipeline(runner=runner, options=options)
        except (ValueError, ImportError) as error:  # an option is missing, or what an option needs is not installed
            raise InputError(f"Beam: {' '.join(str(error).split())}") from None
        build(pipeline)
        try:
            result = pipeline.run()
            state = result.wait_until_finish()
        except Exception as error:
            if isinstance(error, ImportError) and "ipeline option" in str(error):  # found when the pipeline starts
                raise InputError(f"Beam: {first_line(error)}") from None
            meaning = users_mistake(error) or engine_failure(error)
            if meaning is None:
                raise
            raise meaning from None
        if state != PipelineState.DONE:
            raise JobError(f"it ended in state {state}; the log of its runner says why")
        if name == DASK:
            finish_dask(result)
        return result
