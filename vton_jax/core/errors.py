"""Errors that a user can mend: one clear sentence, shown without a traceback."""


class UserError(ValueError):
    """A wrong input, flag, file or run, said in one sentence together with its mend."""
