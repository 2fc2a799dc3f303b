"""The cells of the suite `strangers`: a user, a garment, and what the try-on command makes of them, as one picture.

Conventions: pictures are uint8 [H, W, 3]. A cell names nothing and nobody, so that who judges it does not know which
system made it.
"""

import dataclasses
import hashlib
from pathlib import Path

import cv2
import numpy as np

from vton_jax.core import framing
from vton_jax.core.errors import UserError
from vton_jax.evaluate import judging
from vton_jax.media import photo_files, progress, visualize
from vton_jax.models import weights
from vton_jax.systems.job import TryOnJob
from vton_jax.systems.options import JobOptions
from vton_jax.systems.protocol import TryOnSystem

PANEL = (512, 384)  # size of each of the three pictures
_GAP = 8  # pixels between them
_PROGRAM = ("core", "media", "models", "reading", "layout", "warping", "compositing", "systems")
_GREY = 225  # of what was refused


def make_cells(
    output: Path, cells: list[tuple[Path, Path]], system: TryOnSystem, asked: JobOptions
) -> list[judging.Cell]:
    """Makes the pictures of the cells (person, garment), the key and the empty table; returns the key.

    Args: asked: how, but for person and garment. Cells that the folder has of the same pictures, made by the same
    program (`made_by`), are kept. Raises: UserError where the folder cannot be written to, or its table is filled.
    """
    judging.require_unjudged(output)
    folder, done, program = judging.cells_folder(output), [], made_by(asked)
    kept = {cell.cell: cell for cell in judging.read_key(output)}
    bar = progress.Progress(len(cells), unit="cell")
    for number, (person, garment) in enumerate(cells):
        path = folder / f"{judging.name_of(number)}.png"
        made_of = program.encode() + person.read_bytes() + garment.read_bytes()
        stamp = hashlib.sha256(made_of).hexdigest()[:12]
        cell = judging.Cell(path.stem, person.name, garment.name, judging.MADE, "", stamp)
        earlier = kept.get(path.stem)
        if earlier and earlier.made_by == stamp and path.exists():
            cell = dataclasses.replace(earlier, person=person.name, garment=garment.name)
        else:
            picture, why = make_cell(system, asked, person, garment)
            photo_files.write_image(path, picture)
            cell = dataclasses.replace(cell, outcome=judging.REFUSED, why=why) if why else cell
        done.append(cell)
        judging.write_key(output, done)
        bar.advance(number + 1)
        bar.show(number + 1, {"refused": sum(one.outcome == judging.REFUSED for one in done)})
    bar.close()
    names = {f"{cell.cell}.png" for cell in done}
    for path in folder.glob("cell_[0-9][0-9][0-9].png"):
        if path.name not in names:
            path.unlink()  # of an evaluation with more cells: nobody should judge it
    judging.write_empty(output, [cell.cell for cell in done])
    return done


def made_by(asked: JobOptions) -> str:
    """A text that stands for what a result depends on but its pictures: options, weights and the program itself."""
    package = Path(__file__).resolve().parents[1]
    used = [Path(__file__), *sorted(path for name in _PROGRAM for path in (package / name).rglob("*.py"))]
    used += sorted(Path(asked.weights or weights.FOLDER).glob("*.safetensors"))
    digest = hashlib.sha256(repr(asked).encode())
    for path in used:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def make_cell(system: TryOnSystem, asked: JobOptions, person: Path, garment: Path) -> tuple[np.ndarray, str]:
    """The cell's picture, and why it was refused, "" where it was not."""
    job = TryOnJob(dataclasses.replace(asked, person=str(person), garment=str(garment)), system=system)
    pictures = job.pictures()
    try:
        reading = job.read(pictures)
        (result,) = job.clip(reading, [(result.image, result) for result in job.results(reading)])
        return side_by_side(pictures.photo, pictures.garment, visualize.to_uint8(result)), ""
    except UserError as error:
        return side_by_side(pictures.photo, pictures.garment, refused()), " ".join(str(error).split())


def side_by_side(*pictures: np.ndarray) -> np.ndarray:
    """Pictures of any size in a row, on white."""
    gap = np.full((PANEL[0], _GAP, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (framing.fit(picture, PANEL, 255)[0], gap)]
    return np.concatenate(parts[:-1], 1)


def refused() -> np.ndarray:
    """What stands where a result would."""
    panel = np.full((*PANEL, 3), _GREY, np.uint8)
    (width, height), _ = cv2.getTextSize(judging.REFUSED, cv2.FONT_HERSHEY_SIMPLEX, 1.5, 3)
    place = ((PANEL[1] - width) // 2, (PANEL[0] + height) // 2)
    cv2.putText(panel, judging.REFUSED, place, cv2.FONT_HERSHEY_SIMPLEX, 1.5, (60, 60, 60), 3, cv2.LINE_AA)
    return panel
