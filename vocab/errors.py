"""The exception for a user's mistake. Every room raises it, and the command line shows it without a traceback."""


class InputError(ValueError):
    """Something given to the program is wrong. The message says what was found, what was expected, and what to do.

    The command line prints it as one line and exits with 2. Any other exception is a bug of this project and keeps its traceback.
    """


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, or the name of its class if it has no message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
