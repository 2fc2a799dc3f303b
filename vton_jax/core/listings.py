"""Folders and lists of files, read in one way everywhere: what a system has put among the files is none of them.

Conventions: a list is a text in UTF-8, with or without a byte-order mark, one entry a line; empty lines are skipped.
A line of a pair list names a person and a garment, apart by a tab where a name has spaces.
"""

import csv
import io
from collections.abc import Callable
from pathlib import Path

from vton_jax.core.errors import UserError

_FLAGS = ("paired", "unpaired")  # what lists say in a third column, or a number


def hidden(path: Path, folder: Path | None = None) -> bool:
    """Whether a file, or a folder between `folder` and it, begins with a dot, as the `._NAME.jpg` of macOS do."""
    return any(part.startswith(".") for part in (path.relative_to(folder).parts if folder else path.parts[-1:]))


def files_in(folder: str | Path, *patterns: str, suffixes: tuple[str, ...] | None = None) -> list[Path]:
    """The files in a folder that match one of the patterns (`glob`'s, by default `*`), sorted, without hidden ones.

    Args: suffixes: lower case; `.jpg` finds `.JPG` too. None: any. A folder that is not there has no files.
    """
    folder = Path(folder)
    found = {path for pattern in patterns or ("*",) for path in folder.glob(pattern)}
    return sorted(
        path
        for path in found
        if not hidden(path, folder) and (suffixes is None or path.suffix.lower() in suffixes) and path.is_file()
    )


def read_text(path: str | Path) -> str:
    """A text in UTF-8 without its byte-order mark. Raises: UserError for a file that is missing or none."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8; save it as UTF-8.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); check its name and permissions.") from None


def read_lines(path: str | Path, read: Callable[[str], object] = str.strip) -> list:
    """`read` of every line that is not empty.

    Raises: UserError for a file that cannot be read, and with the number of the line where `read` raises ValueError.
    """
    found = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            try:
                found.append(read(line))
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{path}, line {number}, is not as it should be: {line[:80]!r} ({error}).") from None
    return found


def read_table(path: str | Path) -> list[dict[str, str]]:
    """The rows of a CSV file with a header. Raises: UserError where it cannot be read."""
    try:
        return list(csv.DictReader(io.StringIO(read_text(path), newline="")))
    except csv.Error as error:
        raise UserError(f"{path} is no CSV file ({error}); save it as one.") from None


def pair_of(line: str) -> tuple[str, str]:
    """The names of a line such as `000003_0.jpg 000003_1.jpg`; a third column, a flag or a number, is passed over.

    Raises: ValueError where it is not clear which two files are meant: a name with spaces would be two of them.
    """
    tabs = "\t" in line.strip()
    names = [name.strip() for name in line.strip().split("\t")] if tabs else line.split()
    if len(names) == 3 and (names[2].isdigit() or names[2] in _FLAGS) and _suffixed(names[0]) == _suffixed(names[1]):
        names = names[:2]
    if len(names) != 2 or not all(names):
        raise ValueError("it should name a person and a garment; put a tab between names that have spaces")
    if not tabs and _suffixed(names[0]) != _suffixed(names[1]):
        raise ValueError("one name ends like a picture's and one does not; put a tab between names that have spaces")
    if any(hidden(Path(name)) for name in names):
        raise ValueError("a name that begins with a dot is no photo's; take the line out")
    return names[0], names[1]


def _suffixed(name: str) -> bool:
    return Path(name).suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")


def read_pairs(path: str | Path) -> list[tuple[str, str]]:
    """`pair_of` every line. Raises: UserError."""
    return read_lines(path, pair_of)
