"""The one exception that stands for a user's mistake, raised by every room and shown by the command line without a traceback.

And how another exception is told within its message.
"""


class InputError(ValueError):
    """Something given to the program is wrong. The message says what was found, what was expected, and what to do.

    The command line prints it as one line and exits with 2. Any other exception is a bug of ours and keeps its traceback.
    """


def first_line(error: Exception) -> str:
    """What an exception says, as far as one line goes; its kind if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
