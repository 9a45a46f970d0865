"""The one exception for faults that the user can mend."""


class InputError(Exception):
    """The user's input is at fault; the message says what came, what is possible and where to change it.

    Entry points print the message alone, without a traceback, and exit with code 2.
    """
