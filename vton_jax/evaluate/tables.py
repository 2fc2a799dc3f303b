"""Tables that people write: CSV files with named columns. Imports no JAX.

A byte-order mark and spaces around names and values are taken off, empty lines left out.
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from vton_jax.core import files, listings
from vton_jax.core.errors import UserError, WrongOption


def read(option: str, path: str | Path, columns: tuple[str, ...], others: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """The lines of a table, {column: text} each.

    Args: option: whose fault a malformed table is. columns: that the table must have; others: that may be missing, and
    are empty then. Raises: WrongOption for a table that cannot be read, lacks a column, or has a line of another
    length.
    """
    try:
        lines = list(csv.reader(io.StringIO(listings.read_text(path), newline="")))
    except (UserError, csv.Error):
        raise WrongOption(option, path, f"cannot be read as a table with the columns {', '.join(columns)}.") from None
    lines = [stripped for line in lines if any(stripped := [value.strip() for value in line])]
    titles = lines[0] if lines else []
    if missing := [column for column in columns if column not in titles]:
        raise WrongOption(
            option, path, f"lacks the column {missing[0]}; its first line should name {','.join(columns)}."
        )
    for line in lines[1:]:
        if len(line) != len(titles):
            why = f"has a line of {len(line)} values below {len(titles)} columns: {','.join(line)}."
            raise WrongOption(option, path, why)
    empty = dict.fromkeys(others, "")
    return [empty | dict(zip(titles, line, strict=True)) for line in lines[1:]]


def write(path: Path, columns: tuple[str, ...], lines: Iterable[Iterable]) -> None:
    """Writes a table, whole or not at all. Raises: UserError."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([columns, *lines])
    files.write_text(path, text.getvalue())
