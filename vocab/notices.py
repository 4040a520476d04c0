"""Lines for the user that are no errors: something was decided or switched off, and what follows from it."""

import sys
from functools import cache


@cache
def say_once(line: str) -> None:
    """Print a line on stderr, once in a process. Not a warning of `logging`: the command line hides those of the libraries."""
    print(line, file=sys.stderr)
