"""Entry points in the tests' process, each with flags of its own."""

import contextlib
from collections.abc import Iterator

from absl import flags


@contextlib.contextmanager
def fresh(libraries: tuple[str, ...] = ()) -> Iterator[None]:
    """No flags but those that modules of these packages have defined; afterwards those that were there before."""
    known, empty = dict(vars(flags.FLAGS)), vars(flags.FlagValues())
    theirs = [module for module in known["__flags_by_module"] if module.split(".")[0] in libraries]
    names = {flag.name for module in theirs for flag in known["__flags_by_module"][module]}
    empty["__flags"] = {name: flag for name, flag in known["__flags"].items() if name in names}
    try:
        _put(empty)
        yield
    finally:
        _put(known)


def _put(values: dict) -> None:
    vars(flags.FLAGS).clear()
    vars(flags.FLAGS).update(values)
