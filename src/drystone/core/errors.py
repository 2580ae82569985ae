"""A user's mistake."""


class UserError(Exception):
    """Something that the user can mend: one line that says what is wrong and how.

    The command line prints it without a traceback and exits with status 2.
    """
