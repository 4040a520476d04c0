"""What the exception that ends a Beam job means: a user's mistake, an engine that gave up, or a fault of ours."""

import errno
import os
import re

from vocab.errors import InputError

# An exception that crosses from a worker to the launcher may survive only as the text of its traceback.
_TRACEBACK = "Traceback (most recent call last)"
_INPUT_ERROR = re.compile(r"^(?:[\w.]+\.)?InputError: (.+?)(?: \[while running '[^']*'\])?\s*$", re.MULTILINE)
_OS_ERROR = re.compile(r"\w*Error: \[Errno (\d+)\] (.+?)(?: \[while running '[^']*'\])?\s*$", re.MULTILINE)
_REMEDIES = {
    errno.ENOSPC: "free space or choose another --out",
    errno.EDQUOT: "free space or choose another --out",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "change the permissions or choose another folder",
}
# The modules that speak with an engine: what they raise tells of the engine, and not of the work it was given.
_ENGINE_MODULES = ("apache_beam.runners", "apache_beam.utils.subprocess_server", "distributed", "dask", "grpc")
_FLINK_JOB = re.compile(r"^Pipeline \S+ failed in state \w+: ")


class JobError(RuntimeError):
    """A Beam job that its engine gave up, or that lost its engine. Finished work stands; the same command goes on from there."""

    def __init__(self, reason: str):
        super().__init__(f"the Beam job was given up: {reason}. Run the same command again; predict computes only what is missing")


def users_mistake(error: Exception) -> InputError | None:
    """The InputError that an exception stands for: one raised in a worker, a full or read-only disk, no Java. None for others."""
    if isinstance(error, FileNotFoundError) and error.filename == "java":
        return InputError(
            "no 'java' on PATH; expected Java, which this runner's job server needs: install it, or give --job_server_java_launcher"
        )
    text = f"{type(error).__name__}: {error}"
    found = _INPUT_ERROR.findall(text)
    if found:
        return InputError(found[-1])
    for number, message in reversed(_OS_ERROR.findall(text)):
        if int(number) in _REMEDIES:
            return InputError(f"{os.strerror(int(number)).lower()} ({message}): {_REMEDIES[int(number)]}")
    return None


def engine_failure(error: Exception) -> JobError | None:
    """The JobError that an exception of the engine's own stands for. None for one that the pipeline's code raised in a worker."""
    text = str(error).strip()
    if isinstance(error, LookupError | TypeError | AttributeError | AssertionError):
        return None  # a fault of somebody's program, which its traceback tells best
    if _TRACEBACK in text or not _raised_in(error).startswith(_ENGINE_MODULES):
        return None
    reason = _FLINK_JOB.sub("", text) or type(error).__name__
    return JobError(reason.splitlines()[0].rstrip("."))


def _raised_in(error: Exception) -> str:
    """The name of the module that raised an exception."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return str(trace.tb_frame.f_globals.get("__name__", "")) if trace else ""
