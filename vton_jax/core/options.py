"""Options: dataclasses whose fields say what they mean, so that flags, a web page and Python share one description.

A field's metadata may hold `help` (a sentence), and for numbers `lower_bound` and `upper_bound`.
`command_line.flag_utils` makes a flag of every field.
"""

import dataclasses
from typing import Any


def option(default: Any, help_text: str, lower_bound: float | None = None, upper_bound: float | None = None) -> Any:
    """A field of a dataclass of options: its default, what it means, and of numbers the bounds, which are allowed."""
    metadata = {"help": help_text, "lower_bound": lower_bound, "upper_bound": upper_bound}
    return dataclasses.field(default=default, metadata=metadata)
