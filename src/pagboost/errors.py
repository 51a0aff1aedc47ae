"""The one exception a user is meant to read."""


class InputError(ValueError):
    """Bad input from outside: the message is one line that names the file or key, the value and what was expected."""
