"""What somebody with no stake says of pictures: the empty table that they fill, and what it says once it is filled.

    OUTPUT/cells/cell_000.png ...   user, garment and result side by side: what a judge gets
    OUTPUT/cells/judge.csv          a line a cell, to be filled with 1 (right) or 0
    OUTPUT/cells.csv                the key, for nobody who judges: what each cell shows, and whether it was refused

Imports no JAX.
"""

import dataclasses
from pathlib import Path

from vton_jax.core.errors import UserError, WrongOption
from vton_jax.evaluate import tables

QUESTIONS = ("garment", "place", "sleeves_and_hem", "face_and_hands", "nothing_torn")
COLUMNS = ("cell", *QUESTIONS)
MADE, REFUSED = "made", "refused"


@dataclasses.dataclass(frozen=True)
class Cell:
    """A line of the key: what was asked for, `outcome` (`MADE` or `REFUSED`), why, and what it was made by."""

    cell: str
    person: str
    garment: str
    outcome: str
    why: str
    made_by: str


KEY_COLUMNS = tuple(field.name for field in dataclasses.fields(Cell))


def cells_folder(output: Path) -> Path:
    return output / "cells"


def key_of(output: Path) -> Path:
    return output / "cells.csv"


def name_of(number: int) -> str:
    return f"cell_{number:03d}"


def write_key(output: Path, cells: list[Cell]) -> None:
    """Writes the key, whole. Raises: UserError."""
    tables.write(key_of(output), KEY_COLUMNS, [dataclasses.astuple(cell) for cell in cells])


def read_key(output: Path) -> list[Cell]:
    """The key of a folder; none where there is no key. Raises: WrongOption."""
    if not key_of(output).exists():
        return []
    lines = tables.read("output", key_of(output), KEY_COLUMNS)
    return [Cell(**{name: line[name] for name in KEY_COLUMNS}) for line in lines]


def write_empty(output: Path, names: list[str]) -> None:
    """Writes `judge.csv` of the cells. Raises: UserError."""
    tables.write(cells_folder(output) / "judge.csv", COLUMNS, [[name, *[""] * len(QUESTIONS)] for name in names])


def require_unjudged(output: Path) -> None:
    """Raises UserError where the folder's `judge.csv` is filled: new cells would make it say what nobody said."""
    path = cells_folder(output) / "judge.csv"
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    if any(value.strip() for line in text.splitlines()[1:] for value in line.split(",")[1:]):
        raise UserError(f"{path} has been filled; choose another output, or put it elsewhere first.")


def score(path: str | Path) -> dict[str, float]:
    """The numbers of a filled `judge.csv`, with Wilson's 95% intervals.

    The key, where it lies above the table's folder, says which cells were refused: they are not right in anything, and
    may be left empty. Raises: WrongOption for a table that is malformed, not filled, or not that of the key's cells.
    """
    from vton_jax.evaluate import scores

    path = Path(path)
    key = {cell.cell: cell for cell in read_key(path.resolve().parent.parent)}
    refused = {name for name, cell in key.items() if cell.outcome == REFUSED}
    judged = _judgements(path, refused)
    if key and key.keys() != judged.keys():
        name = sorted(key.keys() ^ judged.keys())[0]
        what = f"lacks {name}, which the key has" if name in key else f"judges {name}, which the key does not have"
        raise WrongOption("judged", path, f"{what}.")
    if not judged:
        raise WrongOption("judged", path, "judges no cell.")
    count, found = len(judged), {"cells": float(len(judged)), "refused": float(len(refused))}
    if not key:
        del found["refused"]
    rights = {"right": [all(values) for values in judged.values()]}
    rights |= {name: [values[at] for values in judged.values()] for at, name in enumerate(QUESTIONS)}
    for name, values in rights.items():
        low, high = scores.wilson(sum(values), count)
        found |= {name: sum(values) / count, f"{name}_low": low, f"{name}_high": high}
    return found


def _judgements(path: Path, refused: set[str]) -> dict[str, tuple[int, ...]]:
    judged: dict[str, tuple[int, ...]] = {}
    for line in tables.read("judged", path, COLUMNS):
        name = line["cell"]
        if name in judged:
            raise WrongOption("judged", path, f"judges {name or 'a cell without a name'} twice.")
        if name in refused:
            judged[name] = (0,) * len(QUESTIONS)
            continue
        for question in QUESTIONS:
            if line[question] not in ("0", "1"):
                why = f"says '{line[question]}' of {name}'s {question}; it should be 1 for right or 0."
                raise WrongOption("judged", path, why)
        judged[name] = tuple(int(line[question]) for question in QUESTIONS)
    return judged
