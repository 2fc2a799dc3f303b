"""Options: dataclasses whose fields say what they mean, so that flags, a web page and Python share one description.

A field's metadata may hold `help` (a sentence), and for numbers `lower_bound` and `upper_bound`.
`command_line.flag_utils` makes a flag of every field.
"""

import dataclasses
import difflib
from collections.abc import Sequence
from typing import Any


def option(default: Any, help_text: str, lower_bound: float | None = None, upper_bound: float | None = None) -> Any:
    """A field of a dataclass of options: its default, what it means, and of numbers the bounds, which are allowed."""
    metadata = {"help": help_text, "lower_bound": lower_bound, "upper_bound": upper_bound}
    return dataclasses.field(default=default, metadata=metadata)


def did_you_mean(name: str, known: Sequence[str], prefix: str = "") -> str:
    """'; did you mean PREFIXNAME?' of the known name that is most alike, or nothing."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {prefix}{close[0]}?" if close else ""
