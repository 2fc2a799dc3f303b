"""Reads files and folders of pictures one by one, and draws what was read.

Conventions: as in `picture_reader`. A picture's own alpha channel is its mask.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from vton_jax.core import listings
from vton_jax.core.errors import UserError
from vton_jax.core.files import require_writable
from vton_jax.core.keypoints import JOINTS
from vton_jax.media import photo_files, visualize
from vton_jax.reading.descriptions import Description, describe
from vton_jax.reading.picture_reader import MAX_SIDE, PictureReader, Seen

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic")
_LABELS = 0.45  # how much of the labels' colour lies on the picture
_OUTLINE = (255, 255, 255), (200, 30, 60)  # two lines, which show on any picture
_IN_SIGHT = 0.5
_HEAD = ("nose", "right-eye", "left-eye", "right-ear", "left-ear")
_LEGS = ("right-knee", "left-knee", "right-ankle", "left-ankle")
_ARMS = ("neck", "right-shoulder", "left-shoulder", "right-elbow", "left-elbow", "right-wrist", "left-wrist")
_LEFT_OUT = {"upper": _HEAD + _LEGS, "lower": _HEAD + _ARMS, "dress": _HEAD}  # of a garment alone: what it covers not


def pictures_of(names: Sequence[str | Path]) -> Iterator[Path | UserError]:
    """The files that names of files and folders mean, in order; an error for a folder without pictures."""
    for name in names:
        path = Path(name).expanduser()
        if not path.is_dir():
            yield path
            continue
        found = listings.files_in(path, "**/*", suffixes=SUFFIXES)
        yield from found or [UserError(f"{path} holds no pictures ({', '.join(SUFFIXES)}).")]


def read_files(
    names: Sequence[str | Path], output: str | Path | None = None, reader: PictureReader | None = None, *,
    thorough: bool = True,
) -> Iterator[tuple[Path, Description | UserError]]:  # fmt: skip
    """(file, what it shows) of every picture, or the error that keeps it from being read.

    Args: names: files and folders. output: folder for pictures with what was read drawn on them. reader: by default
    the released one. thorough: see `PictureReader.read`. Raises: UserError where there are no names, or no such folder.
    """
    if not names:
        raise UserError("Name at least one picture, or a folder of pictures.")
    if output:
        require_writable(Path(output) / "picture.png")
    used: set[str] = set()
    for path in pictures_of(names):
        if isinstance(path, UserError):
            yield Path(), path
            continue
        try:
            picture, mask = photo_files.read_cut_out(path, MAX_SIDE)
            reader = reader or PictureReader()
            seen = reader.read(picture, thorough=thorough)
            found = describe(seen, mask)
            if output:
                photo_files.write_image(Path(output) / _name(path, used), drawn(picture, seen, found, mask))
        except UserError as error:
            yield path, error
        else:
            yield path, found


def _name(path: Path, used: set[str]) -> str:
    """A name for the drawn picture that no other file of this run has."""
    name, number = f"{path.name}.png", 2
    while name in used:
        name, number = f"{path.name}-{number}.png", number + 1
    used.add(name)
    return name


def drawn(picture: np.ndarray, seen: Seen, found: Description, mask: np.ndarray | None = None) -> np.ndarray:
    """A picture uint8 [H, W, 3] with labels, outline and the joints in sight, and above it what was read."""
    shown, labels = picture.copy(), seen.segmentation
    if found.kind != "none":
        there = mask
        if mask is None:
            there = seen.cut_out if found.kind == "garment" else labels > 0
        colours = visualize.colour_segmentation(labels)
        mixed = (1 - _LABELS) * picture + _LABELS * colours
        shown = np.where((there & (labels > 0))[..., None], np.rint(mixed).astype(np.uint8), picture)
        unit = max(1, round(min(labels.shape) / 400))
        outlines, _ = cv2.findContours(there.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        for colour, width in zip(_OUTLINE, (3 * unit, unit), strict=True):
            cv2.drawContours(shown, outlines, -1, colour, width, cv2.LINE_AA)
        visible = (seen.inside > _IN_SIGHT) & (seen.seen > _IN_SIGHT) & ~np.isin(JOINTS, _LEFT_OUT.get(found.type, ()))
        shown = visualize.draw_skeleton(shown, seen.keypoints, visible)
    return _captioned(shown, found.parts())


def _captioned(picture: np.ndarray, lines: Sequence[str]) -> np.ndarray:
    """A picture with lines of text above it, as large as fit."""
    font, longest = cv2.FONT_HERSHEY_SIMPLEX, max(lines, key=len)
    size = min(0.9, 0.95 * picture.shape[1] / max(1, cv2.getTextSize(longest, font, 1.0, 1)[0][0]))
    step = max(8, round(34 * size))
    band = np.full((step * len(lines) + step // 3, picture.shape[1], 3), 255, np.uint8)
    for number, line in enumerate(lines, start=1):
        at = (round(0.02 * picture.shape[1]), round(number * step - step / 6))
        cv2.putText(band, line, at, font, size, (30, 30, 30), 1, cv2.LINE_AA)
    return np.concatenate([band, picture])
