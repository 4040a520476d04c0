"""Messages for failures of the storage itself. Files with wrong content are the business of their readers."""

import errno
import os
import re
from pathlib import Path

from vocab.errors import InputError, first_line

_AGAIN = "then run the same command again: finished work is kept"
_ROOM = f"free space, or choose another folder; {_AGAIN}"
_ACCESS = f"expected a folder that can be read and written: change it, or choose another; {_AGAIN}"
_GONE = f"expected the folder that was there: was it removed or replaced? Put it back; {_AGAIN}"
_LOCAL = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: f"raise the limit on a file's size (ulimit -f); {_AGAIN}",
    errno.EROFS: _ACCESS,
    errno.EACCES: _ACCESS,
    errno.EPERM: _ACCESS,
    errno.ENOENT: _GONE,
    errno.ENOTDIR: _GONE,
    errno.EEXIST: _GONE,
    errno.EISDIR: _GONE,
    errno.EIO: f"the disk fails: see the system's log; {_AGAIN}",
}
# A file that could not be opened says nothing about its content.
_UNREAD = {
    errno.EACCES,
    errno.EPERM,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENXIO,
    errno.ENODEV,
    errno.ESTALE,
    errno.ETIMEDOUT,
}
_READ = "expected a file that this user can read: change its access or its place; keep it"
_CREDENTIALS = (
    f"expected credentials that may read and write there (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role); {_AGAIN}"
)
_REMOTE = {
    "NO_SUCH_BUCKET": "expected a bucket that exists: correct the URI, or create the bucket",
    "ACCESS_DENIED": _CREDENTIALS,
    "INVALID_ACCESS_KEY_ID": _CREDENTIALS,
    "SIGNATURE_DOES_NOT_MATCH": _CREDENTIALS,
    "INVALID_SIGNATURE": _CREDENTIALS,
}
_AWS = re.compile(r"AWS Error (\w+(?: \(HTTP status \d+\))?) during (\w+) operation: ?(.*)")
_QUOTED = re.compile(r"'(/[^']+)'")
_OTHER_STORES = re.compile(r"google::cloud::Status\((\w+)|Azure Error")


def users_fault(error: OSError) -> InputError | None:
    """An InputError for any OSError whose cause the user can remove: no room, no access, a storage that does not answer. Else None."""
    named = error.filename or next(iter(_QUOTED.findall(str(error))), "the storage")  # pyarrow's errors name the file in their text
    if fault := storage_fault(named, error):
        return fault
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
        return None
    place = error.filename or "a file"
    return InputError(f"{place}: {error.strerror}; unfinished work was not kept: make room or access, then run again")


def storage_fault(location: str | Path, error: Exception, *, local: bool = False) -> InputError | None:
    """An InputError if an exception at `location` was caused by the storage, else None.

    local  also report faults of a local disk: set where a folder is listed or a file is written. The readers of files report files
           that cannot be read.
    """
    text = str(error)
    if found := _AWS.search(text):
        code, operation, detail = found.groups()
        reason = re.split(r" \(Request ID|; Details: ", detail)[0].rstrip(".") or "no message"
        remedy = _REMOTE.get(code, f"check the endpoint and the network, {_AGAIN}")
        return InputError(f"{location}: the storage refused or did not answer ({code} during {operation}: {reason}); {remedy}")
    if _OTHER_STORES.search(text):
        return InputError(
            f"{location}: the storage refused or did not answer ({first_line(error)}); check access and network, {_AGAIN}"
        )
    if isinstance(error, OSError) and error.errno in _UNREAD:
        return InputError(f"{location}: {os.strerror(error.errno).lower()}: nothing was read, so nothing was found wrong; {_READ}")
    if local and isinstance(error, OSError) and error.errno in _LOCAL:
        return InputError(f"{location}: {os.strerror(error.errno).lower()}; {_LOCAL[error.errno]}")
    return None
