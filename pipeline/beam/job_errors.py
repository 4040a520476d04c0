"""The meaning of an exception that ends a Beam job: a user's mistake, an engine that gave up, or a bug of this project."""

import errno
import os
import re

from vocab.errors import InputError

# Of an exception in a worker, the launcher may get only the text of the traceback.
_TRACEBACK = "Traceback (most recent call last)"
_INPUT_ERROR = re.compile(r"^(?:[\w.]+\.)?InputError: (.+?)(?: \[while running '[^']*'\])?\s*$", re.MULTILINE)
_OS_ERROR = re.compile(r"\w*Error: \[Errno (\d+)\] (.+?)(?: \[while running '[^']*'\])?\s*$", re.MULTILINE)
_REMEDIES = {
    errno.ENOSPC: "free space or choose another --out",
    errno.EDQUOT: "free space or choose another --out",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "change the permissions or choose another folder",
}
# The modules that talk to an engine. Their exceptions are about the engine, not about the work.
_ENGINE_MODULES = ("apache_beam.runners", "apache_beam.utils.subprocess_server", "distributed", "dask", "grpc")
_FLINK_JOB = re.compile(r"^Pipeline \S+ failed in state \w+: ")


class JobError(RuntimeError):
    """The engine gave a job up, or was lost. Finished work is kept, and the same command continues from there."""

    def __init__(self, reason: str):
        super().__init__(f"the Beam job was given up: {reason}. Run the same command again; predict computes only what is missing")


def users_mistake(error: Exception) -> InputError | None:
    """An InputError if the user can correct the cause: one raised in a worker, a full or read-only disk, missing Java. Else None."""
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
    """A JobError if the exception comes from the engine. None if the pipeline's code raised it in a worker."""
    text = str(error).strip()
    if isinstance(error, LookupError | TypeError | AttributeError | AssertionError):
        return None  # a bug in a program, and its traceback is the best explanation
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
