"""Tables of try-ons: a CSV file in UTF-8, one try-on a row.

Conventions: the first line names the columns: `output`, and options of `JobOptions` by their names, `person`, `garment`
and `pose` first of all. An empty cell leaves the option as it is for all rows. Paths are relative to the folder of the
table; garments that are worn together stand in one cell, apart by `;`, and so do their boxes and masks. A byte-order
mark, spaces around cells and empty lines are passed over.
"""

import contextlib
import csv
import dataclasses
import io
import itertools
import math
import typing
from pathlib import Path

from vton_jax.core import listings
from vton_jax.core.errors import UserError, WrongOption
from vton_jax.core.options import did_you_mean
from vton_jax.systems.options import JobOptions
from vton_jax.systems.pictures import garment_files, mask_files, sheet_beside

_PATHS = ("person", "garment", "pose", "weights")
_HINTS = typing.get_type_hints(JobOptions)
_FIELDS = {field.name: field for field in dataclasses.fields(JobOptions)}
COLUMNS = ("person", "garment", "pose", "output", *(name for name in _FIELDS if name not in _PATHS), "weights")


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a table."""

    line: int  # of the file, the header's is 1
    output: Path | None
    options: JobOptions | None
    problem: UserError | None = None  # why it cannot be made; without one, output and options are there

    def written(self) -> tuple[Path, ...]:
        """The files that it makes: clip and contact sheet."""
        return () if self.output is None else (self.output, sheet_beside(self.output))

    def inputs(self) -> dict[str, tuple[Path, ...]]:
        """The pictures and clips that its options name, by the option's name. Raises: WrongOption."""
        if self.options is None:
            return {}
        named = {"person": self.options.person, "pose": self.options.pose}
        found = {name: (Path(path),) for name, path in named.items() if path}
        if masks := tuple(Path(name) for name in mask_files(self.options.garment_mask) if name):
            found["garment_mask"] = masks
        return found | {"garment": tuple(Path(name) for name in garment_files(self.options.garment))}


def read(path: str | Path, defaults: JobOptions | None = None) -> list[Row]:
    """The rows of a table. Args: defaults: what holds where a cell is empty, or no column there.

    What is wrong with one row is its `problem`. Raises: UserError where the table as a whole cannot be: it is no CSV
    file, names unknown columns, or a file would be written twice or over one that is read.
    """
    path, defaults = Path(path), defaults or JobOptions()
    lines = _lines(path)
    if not lines:
        raise UserError(f"{path} is empty; its first line names the columns, such as person,garment,pose,output.")
    (_, header), *lines = lines
    names = [name.lower() for name in header]
    _check_header(path, names, defaults)
    if not lines:
        raise UserError(f"{path} has a line of columns and no row below it.")
    rows = [_row(line, names, cells, (path.parent, defaults)) for line, cells in lines]
    _check_files(path, rows)
    return rows


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """(the number of its last line, its cells) of every row that is not empty, the header too."""
    reader = csv.reader(io.StringIO(listings.read_text(path), newline=""), skipinitialspace=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}, is no line of a CSV file ({error}).") from None
    for number, cells in lines:
        if any("\n" in cell for cell in cells):
            raise UserError(f"{path}: a quotation mark before line {number} is not closed on its own line.")
    return [(number, cells) for number, cells in lines if any(cells)]


def _check_header(path: Path, names: list[str], defaults: JobOptions) -> None:
    """Raises UserError for columns that are unknown, there twice, or missing."""
    for name in filter(None, names):
        separator = next((mark for mark in (";", "\t") if mark in name), None)
        if separator:
            what = "semicolons" if separator == ";" else "tabs"
            raise UserError(f"{path} separates its columns by {what}; save it with commas.")
        if name not in COLUMNS:
            mend = did_you_mean(name, COLUMNS) or "."
            raise UserError(f"{path}: there is no column {name}{mend} Known are: {', '.join(COLUMNS)}.")
        if names.count(name) > 1:
            raise UserError(f"{path} has {names.count(name)} columns named {name}; leave one.")
    given = {name for name in ("person", "garment") if getattr(defaults, name)}
    missing = [name for name in ("person", "garment", "output") if name not in (*names, *given)]
    if missing:
        raise UserError(f"{path} lacks the column {missing[0]}; its first line names the columns.")


def _row(line: int, names: list[str], cells: list[str], rest: tuple[Path, JobOptions]) -> Row:
    """A row from its cells. Args: rest: the table's folder, and the options of empty cells."""
    folder, defaults = rest
    pairs = list(itertools.zip_longest(names, cells, fillvalue=""))
    given = {name: cell for name, cell in pairs if name and cell}
    output = folder / given.pop("output") if "output" in given else None
    try:
        if any(cell and not name for name, cell in pairs):
            raise UserError("It has more cells than there are columns; put a cell with a comma into quotation marks.")
        if output is None:
            raise UserError("It names no output.")
        options = dataclasses.replace(defaults, **{name: _value(name, cell, folder) for name, cell in given.items()})
        for name in ("person", "garment"):
            if not getattr(options, name):
                raise UserError(f"It names no {name}.")
        row = Row(line, output, options)
        row.inputs()  # raises
        return row
    except UserError as error:
        return Row(line, output, None, error)


def _value(name: str, cell: str, folder: Path) -> str | int | float | tuple[str, ...]:
    """A cell as the option that it is. Raises: WrongOption."""
    if name == "garment":
        several = [part.strip() for part in cell.split(";")]
        paths = tuple(part if part.lower() == "none" else str(folder / part) for part in several if part)
        return paths if len(paths) != 1 else paths[0]
    if name in ("garment_box", "garment_mask"):
        parts = [part.strip() for part in cell.split(";")]
        return tuple(str(folder / part) if part and name == "garment_mask" else part for part in parts)
    if name in _PATHS:
        return str(folder / cell)
    kinds = typing.get_args(_HINTS[name]) or (_HINTS[name],)
    if typing.get_origin(_HINTS[name]) is typing.Literal:
        if cell not in kinds:
            why = f"is unknown{did_you_mean(cell, kinds) or '.'} Known are: {', '.join(kinds)}."
            raise WrongOption(name, cell, why)
        return cell
    least = _FIELDS[name].metadata["lower_bound"]
    if float in kinds:
        return _number(name, cell, least)
    if int not in kinds:
        return cell
    if not cell.isdecimal() or (least is not None and int(cell) < least):
        raise WrongOption(name, cell, f"should be a whole number{'' if least is None else f', at least {least}'}.")
    return int(cell)


def _number(name: str, cell: str, least: float | None) -> float:
    """Raises: WrongOption."""
    with contextlib.suppress(ValueError):
        value = float(cell)
        if math.isfinite(value) and (least is None or value >= least):
            return value
    raise WrongOption(name, cell, f"should be a number{'' if least is None else f', at least {least}'}.")


def _check_files(path: Path, rows: list[Row]) -> None:
    """Raises UserError where two rows write one file, or a row writes over what some row reads."""
    lines: dict[Path, int] = {}
    for row in rows:
        for file in {written.resolve() for written in row.written()}:
            if file in lines:
                raise UserError(f"{path}: lines {lines[file]} and {row.line} both write {file}; name two outputs.")
            lines[file] = row.line
    for row in rows:
        for file in itertools.chain(*row.inputs().values()):
            if file.resolve() in lines:
                line = lines[file.resolve()]
                raise UserError(f"{path}: line {line} would write over {file}, which line {row.line} reads.")
