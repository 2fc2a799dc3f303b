"""Places without people, from photos of people with label maps: what the catalogue stands its people before.

Where somebody was, each row goes on from both sides as in a mirror, and one side fades into the other: no network, no
smear, and a drawn person hides most of it.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from vton_jax.core import framing
from vton_jax.core.errors import UserError
from vton_jax.core.files import replacing, writing
from vton_jax.media import photo_files
from vton_jax.media.progress import Progress

HEIGHT = 400  # pixels of what is written
_AROUND = 0.03  # of the photo's height: hair, shadows and what labels miss around somebody goes with them
_DOWN = 0.08  # and so far up and down, so that mirrors are straight and show no outline of somebody
_WIDEST = 0.6  # of a row's width that may be missing; by eye on 60 photos


def without_people(photo: np.ndarray, people: np.ndarray) -> np.ndarray | None:
    """A photo [H, W, 3] of which `people`, bool [H, W], are filled in; None where too much is missing."""
    around, down = (2 * round(part * len(photo)) + 1 for part in (_AROUND, _DOWN))
    missing = cv2.dilate(people.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (around, around)))
    missing = cv2.dilate(missing, np.ones((down, 1), np.uint8)) > 0
    if missing.mean(1).max() > _WIDEST:
        return None
    width = photo.shape[1]
    column = np.broadcast_to(np.arange(width), missing.shape)
    left = np.maximum.accumulate(np.where(missing, -1, column), 1)
    right = np.minimum.accumulate(np.where(missing, width, column)[:, ::-1], 1)[:, ::-1]
    left, right = np.where(left < 0, right, left), np.where(right >= width, left, right)
    from_left, from_right = (_known(2 * side - column, side, missing) for side in (left, right))
    part = ((column - left) / np.maximum(right - left, 1))[..., None]
    rows = np.arange(len(photo))[:, None]
    filled = photo[rows, from_left] * (1 - part) + photo[rows, from_right] * part
    return np.where(missing[..., None], np.rint(filled), photo).astype(np.uint8)


def _known(mirrored: np.ndarray, edge: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """The column that each pixel takes, its mirror image, or the edge where that is missing, too."""
    mirrored = np.clip(mirrored, 0, missing.shape[1] - 1)
    return np.where(np.take_along_axis(missing, mirrored, 1), edge, mirrored)


def build(source: str | Path, data_dir: str | Path) -> int:
    """Writes grounds of all training photos of Clothing Co-Parsing in `source` to `data_dir`/grounds, as JPEG.

    Returns how many. Photos kept for validation give none. Raises: UserError for a folder without photos or label maps.
    """
    from data.ccp import ccp

    photos = ccp.Source(source, ccp.Settings())
    pairs, folder, count = photos.pairs()["train"], Path(data_dir).expanduser() / "grounds", 0
    progress = Progress(len(pairs), unit="photos")
    for number, pair in enumerate(pairs):
        place = folder / f"{pair.person}.jpg"
        if not place.exists():
            image = photo_files.read_photo(photos.path("person photo", "train", pair, pair.person))
            labels = photos.person("train", pair, pair.person).labels
            size = HEIGHT, round(HEIGHT * image.shape[1] / image.shape[0])
            found = without_people(framing.resize(image, size), framing.resize(labels, size, nearest=True) > 0)
            if found is None:
                continue
            with replacing(place) as temporary, writing(place):
                cv2.imwrite(str(temporary), found[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
        count += 1
        progress.advance(number + 1)
    progress.close()
    if not count:
        raise UserError(f"{source} gives no grounds: its photos show nothing but people.")
    print(f"{folder}: {count} grounds of {len(pairs)} photos", file=sys.stderr)
    return count
