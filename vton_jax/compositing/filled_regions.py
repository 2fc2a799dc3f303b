"""A region that was filled in, at the photo's own size: the garment is painted, what the region leaves is the photo's.

Conventions: the frame [h, w] shows a box (left, top, right, bottom) of the photo [H, W], which may reach beyond it;
pictures are float [.., 3] in [0, 1], labels uint8, ATR's, or names that `full_size.grow` takes for parts.
"""

import cv2
import numpy as np

from vton_jax.compositing import backdrops, full_size
from vton_jax.core import framing

_HALO = 3 / 256  # of the box's height, about the garment that was there: its rest would show
_NEW = 32  # is added to a part's label
_SOFT = 1.2 / 256  # of the box's height: sigma of edges


def put_back(
    photo: np.ndarray,
    box: tuple[int, int, int, int],
    frame: tuple[np.ndarray, np.ndarray, np.ndarray],
    old: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """The photo [H, W, 3] with what was filled in.

    Args:
      photo: float.
      box: what the frame shows.
      frame: the picture [h, w, 3], its parts [h, w], and where it is new, bool [h, w].
      old: of the photo, bool [H, W] each: the garment that is taken away, and everybody. Where it is new and shows
        nobody, the photo's background goes on.
    """
    picture, parts, new = frame
    left, top, right, bottom = box
    size = bottom - top, right - left
    maps = np.concatenate([picture, new[..., None], (parts == 0)[..., None]], -1).astype(np.float32)
    # What is new of a part is a part of its own: its colours do not run into what stays.
    grown = full_size.grow(maps, parts + np.uint8(_NEW) * new, size)
    rows, columns = _cut(box, photo.shape[:2])
    grown = grown[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    here, (garment, anybody) = photo[rows, columns], (one[rows, columns] for one in old)
    reach = framing.pixels(_HALO, size[0])
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    weight = np.maximum(grown[..., 3], cv2.dilate(garment.astype(np.float32), disk))
    weight = cv2.GaussianBlur(weight, (0, 0), _SOFT * size[0])
    empty = cv2.dilate(anybody.astype(np.float32), disk)
    ground = here if empty.all() else backdrops.fill(here.astype(np.float32), 1 - empty)
    nobody = grown[..., 4:5] * (not empty.all())
    painted = grown[..., :3] + (ground - grown[..., :3]) * nobody
    out = photo.copy()
    out[rows, columns] = here + (painted - here) * weight[..., None]
    return out


def _cut(box: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[slice, slice]:
    """The part of a box within a photo, (rows, columns)."""
    left, top, right, bottom = box
    return slice(max(top, 0), min(bottom, size[0])), slice(max(left, 0), min(right, size[1]))
