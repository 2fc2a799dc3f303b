"""Whom a picture shows, as a square of the networks' frame, and what moves laid back into the whole picture.

Conventions: pictures are uint8 [H, W, 3]; a box is (left, top, side), whole pixels of a square that may reach beyond
the picture, where the border's colours go on. The square is seen by the network at `first_order.WORKING` pixels a side.
"""

import functools
from collections.abc import Sequence

import cv2
import numpy as np

from vton_jax.core import keypoints
from vton_jax.core.errors import NoPersonFound
from vton_jax.models.first_order import WORKING
from vton_jax.reading import person_crop
from vton_jax.reading.picture_reader import PictureReader, Seen, box_of

REGIONS = ("face", "body")
Box = tuple[int, int, int]
_BODY_MARGIN = 0.11  # around a body, of its larger side, as the networks have learned
_LARGE_HEAD = 0.3  # of the picture's shorter side: whose head's frame is larger is driven as a face
_WHOLE = 0.85  # of the picture's shorter side: a head's frame that is larger is all that the picture shows
_SURE = 0.5
_SOFT = 0.12  # of the box's side: how wide its motion fades out towards an edge within the picture
_LOOKED_AT = 5  # frames of a clip


def region_of(seen: Seen, size: tuple[int, int]) -> str:
    """Whether somebody in a picture of `size` is better driven as a face or as a body."""
    left, _, right, _ = keypoints.head_box(seen.keypoints)
    return "face" if right - left > _LARGE_HEAD * min(size) else "body"


def _square(edges) -> Box:
    left, top, right, bottom = (float(edge) for edge in edges)
    side = max(right - left, bottom - top, 8.0)
    x, y = (left + right) / 2, (top + bottom) / 2
    return round(x - side / 2), round(y - side / 2), round(side)


def box_in(seen: Seen, region: str, size: tuple[int, int]) -> Box | None:
    """The square of a region of what was read in a picture of `size`; None where nobody is seen."""
    around = box_of(seen.segmentation > 0)
    if seen.is_a != "person" or around is None:
        return None
    if region == "body":
        return _square(person_crop.widened(around, (1, 1), _BODY_MARGIN))
    head = keypoints.head_box(seen.keypoints)
    if head[2] - head[0] > _WHOLE * min(size):  # a portrait that is framed as the networks know it
        side = min(size)
        middle = np.clip([(head[0] + head[2]) / 2, (head[1] + head[3]) / 2], side / 2, np.array(size[::-1]) - side / 2)
        return round(middle[0] - side / 2), round(middle[1] - side / 2), side
    return _square(head)


def find(reader: PictureReader, photo: np.ndarray, region: str, where: str) -> tuple[Box, str]:
    """(box, region) of the person in a photo. Args: region: 'auto' too. Raises: NoPersonFound."""
    seen = reader.read(photo, thorough=False)
    region = region_of(seen, photo.shape[:2]) if region == "auto" else region
    if (box := box_in(seen, region, photo.shape[:2])) is None:
        raise NoPersonFound(where)
    return box, region


def find_in_clip(reader: PictureReader, frames: Sequence[np.ndarray], region: str) -> Box:
    """One box for all frames of a clip, so that whoever moves in it moves in the box. Raises: NoPersonFound."""
    found = []
    for index in np.unique(np.linspace(0, len(frames) - 1, min(_LOOKED_AT, len(frames))).round().astype(int)):
        seen = reader.read(frames[index], thorough=False)
        box = box_in(seen, region, frames[index].shape[:2])
        found += [] if box is None else [box]
    if not found:
        raise NoPersonFound("the driving clip")
    corners, sides = np.array(found, float)[:, :2], np.array(found, float)[:, 2]
    middles = corners + sides[:, None] / 2
    side = float(np.median(sides))
    # Somebody who walks about needs room; half of the way keeps the person large enough.
    side = min(side + 0.5 * float(np.ptp(middles, 0).max()), 1.5 * side)
    x, y = (middles.min(0) + middles.max(0)) / 2
    return round(x - side / 2), round(y - side / 2), round(side)


def crop(picture: np.ndarray, box: Box) -> np.ndarray:
    """What the network sees of a picture, uint8 [WORKING, WORKING, 3]."""
    left, top, side = box
    return person_crop.crop_to(picture, (left, top, left + side, top + side), (WORKING, WORKING))[0]


# ------------------------------------------------------------------------------------------------------------ laid back


def _spread(maps: np.ndarray, side: int) -> np.ndarray:
    """Maps [n, n, C] of the network, corners aligned to its crop's, at every pixel of a box, [side, side, C]."""
    step = WORKING / side * (len(maps) - 1) / (WORKING - 1)
    first = (0.5 * WORKING / side - 0.5) * (len(maps) - 1) / (WORKING - 1)
    matrix = np.float32([[step, 0, first], [0, step, first]])
    found = cv2.warpAffine(np.float32(maps), matrix, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                           borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    return found.reshape(side, side, -1)


@functools.lru_cache(maxsize=16)
def fading(box: Box, size: tuple[int, int]) -> np.ndarray:
    """How much of the motion is shown at each pixel of a box, [side, side, 1]: less and less towards those of its edges
    that lie within a picture of `size`, and nothing at them."""
    left, top, side = box
    far, soft = 10.0 * side, _SOFT * side
    ends = ((left <= 0, left + side >= size[1]), (top <= 0, top + side >= size[0]))
    line = np.arange(side, dtype=np.float32)
    across, down = (
        np.minimum(far if first else line, far if last else side - 1 - line) * np.ones(side) for first, last in ends
    )
    near = np.clip(np.minimum(across[None], down[:, None]) / soft, 0, 1)
    return np.float32(near * near * (3 - 2 * near))[..., None]


def lay_back(photo: np.ndarray, box: Box, maps: dict, *, fade: bool = True) -> np.ndarray:
    """The photo with what moves in its box: the photo's own pixels, moved, and what the network paints over them.

    Towards the box's edges motion and paint fade out, so that they show the photo as it was, without a seam.

    Args: maps: of one frame, `FirstOrder.move`'s 'offsets', 'painted' and 'kept'. fade: whether it fades; not where the
    box is all that is shown.
    """
    left, top, side = box
    size = photo.shape[:2]
    shown = fading(box, size) if fade else np.ones((1, 1, 1), np.float32)
    # An offset of 2 is the way from the centre of the crop's first pixel to that of the last one.
    flow = _spread(maps["offsets"], side) * shown * np.float32((WORKING - 1) / 2 * side / WORKING)
    columns, rows = np.arange(left, left + side, dtype=np.float32), np.arange(top, top + side, dtype=np.float32)
    moved = cv2.remap(photo, flow[..., 0] + columns, flow[..., 1] + rows[:, None], cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    both = _spread(np.concatenate([maps["painted"], maps["kept"]], -1), side)
    paint = (1 - both[..., 3:]) * shown
    whole = moved + (255 * both[..., :3] - moved) * paint
    y, x = slice(max(top, 0), min(top + side, size[0])), slice(max(left, 0), min(left + side, size[1]))
    found = photo.copy()
    inner = whole[y.start - top : y.stop - top, x.start - left : x.stop - left]
    found[y, x] = np.clip(np.rint(inner), 0, 255).astype(np.uint8)
    return found
