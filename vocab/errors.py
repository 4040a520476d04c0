"""The one exception that stands for a user's mistake, raised by every room and shown by the command line without a traceback."""


class InputError(ValueError):
    """Something given to the program is wrong. The message says what was found, what was expected, and what to do.

    The command line prints it as one line and exits with 2. Any other exception is a bug of ours and keeps its traceback.
    """
