"""The folder of the suite `strangers`: people and garments that nobody here tuned for, and what is known of them.

    person/, garment/   photos
    garments.csv        file,type,sleeves: what garments are; sleeves may be empty
    pairs.csv           person,garment: people who wear a garment that there is a shop's picture of; maybe type

`pairs.csv` names files of person/ and garment/, or paths below the folder. Without it, pairs are found by their names,
as the suite `pairs` does, in the folder and in the folders in it; VITON's are of tops. Imports no JAX.
"""

import dataclasses
import hashlib
from pathlib import Path

from vton_jax.core import listings
from vton_jax.core.errors import UserError, WrongOption
from vton_jax.evaluate import pairs_suite, tables

TYPES = ("upper", "lower", "dress")
SLEEVES = ("none", "short", "three-quarter", "long")
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_OF_TOPS = ("image", "test_img")  # VITON's folders of people, whose garments are all tops


@dataclasses.dataclass(frozen=True)
class Truth:
    """What a garment is; sleeves "" where it has no place for any, or nobody says."""

    type: str
    sleeves: str = ""


@dataclasses.dataclass(frozen=True)
class TruePair:
    """A person who wears the garment; `type` "" where nobody says what it is."""

    person: Path
    garment: Path
    type: str = ""


@dataclasses.dataclass(frozen=True)
class Folder:
    """What there is."""

    people: tuple[Path, ...]
    garments: tuple[Path, ...]
    truth: dict[str, Truth]  # of garments, by their files' names
    pairs: tuple[TruePair, ...]


def open_folder(path: str | Path, listed: str | Path | None = None) -> Folder:
    """Looks into the folder. Args: listed: a table of pairs other than its own. Raises: WrongOption."""
    path = Path(path)
    people, garments = (_photos(path / name) for name in ("person", "garment"))
    if not people or not garments:
        raise WrongOption("data", path, "holds no people and garments: photos in person/ and garment/.")
    truth = _truth(path / "garments.csv", {file.name for file in garments})
    if listed is None and (path / "pairs.csv").exists():
        listed = path / "pairs.csv"
    pairs = _pairs_by_name(path) if listed is None else _listed_pairs(path, Path(listed))
    known = tuple(
        dataclasses.replace(pair, type=pair.type or truth[pair.garment.name].type)
        if pair.garment.name in truth and pair.garment.parent == path / "garment"
        else pair
        for pair in pairs
    )
    return Folder(people, garments, truth, known)


def draw_cells(folder: Folder, count: int, seed: int) -> list[tuple[Path, Path]]:
    """(person, garment) of cells, as many as there are at most, in an order by chance; none is a true pair.

    The first cells are the same however many are drawn, and another file puts its own cells between them.
    """
    pairs = {(pair.person, pair.garment) for pair in folder.pairs}
    cells = [(a, b) for a in folder.people for b in folder.garments if (a, b) not in pairs]
    place = lambda cell: hashlib.sha256(f"{seed}/{cell[0].name}/{cell[1].name}".encode()).digest()  # noqa: E731
    return sorted(cells, key=place)[:count]


def _photos(folder: Path) -> tuple[Path, ...]:
    return tuple(listings.files_in(folder, suffixes=_SUFFIXES))


def _truth(path: Path, names: set[str]) -> dict[str, Truth]:
    if not path.exists():
        return {}
    found = {}
    for line in tables.read("data", path, ("file", "type"), ("sleeves",)):
        if line["file"] not in names:
            raise WrongOption("data", path, f"lists {line['file']}, which is not in garment/.")
        for column, known in (("type", TYPES), ("sleeves", ("", *SLEEVES))):
            if line[column] not in known:
                said = f"says the {column} of {line['file']} is '{line[column]}'"
                why = f"{said}; known are {', '.join(filter(None, known))}."
                raise WrongOption("data", path, why)
        found[line["file"]] = Truth(line["type"], line["sleeves"])
    return found


def _listed_pairs(folder: Path, listed: Path) -> list[TruePair]:
    pairs = []
    for line in tables.read("pairs", listed, ("person", "garment"), ("type",)):
        if line["type"] not in ("", *TYPES):
            raise WrongOption("pairs", listed, f"has the type '{line['type']}'; known are {', '.join(TYPES)}.")
        files = [_file(folder, kind, line[kind], listed) for kind in ("person", "garment")]
        pairs.append(TruePair(*files, line["type"]))
    return pairs


def _file(folder: Path, kind: str, name: str, listed: Path) -> Path:
    for path in (folder / kind / name, folder / name):
        if path.is_file():
            return path
    raise WrongOption("pairs", listed, f"lists '{name}', which is neither in {kind}/ nor below the folder.")


def _pairs_by_name(folder: Path) -> list[TruePair]:
    pairs = []
    for root in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        try:
            found = pairs_suite.find_pairs(root)
        except UserError:  # no such folders in it, or nobody of a garment's name
            continue
        for person, garment in found:
            if person.name.startswith(".") or person.stem.endswith("_1") or person.read_bytes() == garment.read_bytes():
                continue  # by VITON's naming a garment, which some folders hold among the people
            pairs.append(TruePair(person, garment, "upper" if person.parent.name in _OF_TOPS else ""))
    return pairs
