"""What is kept of one video: a unit, a file that exists only when it is whole.

A unit's file name holds a digest of everything that it was made from, so that a unit is used again exactly where it
would be made the same.
"""

import dataclasses
import json
import os
import zipfile
from pathlib import Path

import numpy as np

from vton_jax.core.errors import UserError

_ARRAYS = (
    "numbers", "images", "segmentation", "keypoints", "visible", "confidence", "outfit", "embedding",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Shot:
    """The kept frames of one shot, cropped to the person; N frames by time."""

    name: str
    numbers: np.ndarray  # int32 [N], frame numbers in the video
    images: np.ndarray  # uint8 [N, H, W, 3]
    segmentation: np.ndarray  # uint8 [N, H, W]
    keypoints: np.ndarray  # float32 [N, 18, 2] in pixels of the crop
    visible: np.ndarray  # bool [N, 18]
    confidence: np.ndarray  # float32 [N, 18]
    outfit: np.ndarray  # float32 [3, 216], see outfits.describe
    embedding: np.ndarray  # float32 [E], the mean over the shot's faces; empty where none was found
    faces: int  # in how many frames a face was found


@dataclasses.dataclass(frozen=True)
class Unit:
    """A video: why it is rejected ('' if it is not), what is wrong with its file, its rejected frames, its shots."""

    name: str
    rejected: str
    problem: str
    total: int  # decoded frames
    looked_at: int
    rejected_frames: list[tuple[int, str]]
    shots: list[Shot]


def write(path: Path, unit: Unit) -> None:
    """Writes a unit whole or not at all. Raises UserError where the folder cannot be written to."""
    about = {f.name: getattr(unit, f.name) for f in dataclasses.fields(unit) if f.name != "shots"}
    about["shots"] = [{"name": shot.name, "faces": shot.faces} for shot in unit.shots]
    arrays = {f"{i}/{name}": getattr(shot, name) for i, shot in enumerate(unit.shots) for name in _ARRAYS}
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"{path.parent} cannot be written to ({error.strerror or error}); make room or choose another --work_dir: "
            "the same command then goes on where it was."
        ) from None


def sweep(folder: Path) -> None:
    """Removes what processes that are no more have left half-written."""
    for path in folder.glob("*/.*.part"):
        try:
            os.kill(int(path.suffixes[-2][1:]), 0)
        except (ProcessLookupError, ValueError):
            path.unlink(missing_ok=True)
        except OSError:  # somebody else's process
            continue


def read(path: Path, pixels: bool = True) -> Unit:
    """Reads a unit; without `pixels` images and segmentations stay on disk (they are empty). Raises UserError."""
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            shots = []
            for i, shot in enumerate(about.pop("shots")):
                arrays = {
                    name: file[f"{i}/{name}"]
                    if pixels or name not in ("images", "segmentation")
                    else np.zeros(0, np.uint8)
                    for name in _ARRAYS
                }
                shots.append(Shot(shot["name"], **arrays, faces=shot["faces"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged ({error}); remove it and give the command again.") from None
    about["rejected_frames"] = [tuple(pair) for pair in about["rejected_frames"]]
    return Unit(**about, shots=shots)
