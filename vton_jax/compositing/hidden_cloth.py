"""What the photo hides of clothes that stay: below a long coat that comes off trousers go on as they are seen further
down, and a skirt goes on behind the bag, which only the photo's own pose keeps.

Every hidden pixel is another pixel of the same clothes, as `backdrops` fills in what lies behind people.

Conventions: NumPy; pictures are float [H, W, 3] in [0, 1], labels uint8 [H, W], ATR's; flows (x, y) in pixels.
"""

import dataclasses

import cv2
import numpy as np

from vton_jax.compositing import backdrops
from vton_jax.core import framing, segmentation
from vton_jax.core.types import Dressed, User


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """By eye on photos set aside for choosing (Clothing Co-Parsing, numbers that end in 1)."""

    least: float = 0.002  # of the frame: less of the clothes, seen or hidden, is not worth it
    edge: float = 2 / 256  # of the height: so near to an outline colours are mixed
    rows: float = 0.5  # of the height: as far as what is copied may lie above or below


CHOSEN = Thresholds()
_BAG = segmentation.ID["bag"]
_OTHER = {"upper": (segmentation.ID["skirt"], segmentation.ID["pants"]), "lower": (segmentation.ID["upper-clothes"],)}


@dataclasses.dataclass(frozen=True)
class Completed:
    """A user whose clothes that stay are whole, and where these come from."""

    user: User  # with the picture and the labels of whole clothes
    hole: np.ndarray  # bool [H, W], where they were hidden
    flow: np.ndarray  # float32 [H, W, 2], from there to where the photo shows them
    sure: np.ndarray  # float32 [H, W], 0 where the flow may not be interpolated

    def copied(self, dressed: Dressed) -> Dressed:
        """`dressed`, one frame that holds copies of the user's picture, with flows that lead to the photo's pixels."""
        rows, columns = np.indices(self.hole.shape, np.float32)
        flow = np.float32(dressed.photo_flow)
        there = columns + flow[..., 0], rows + flow[..., 1]
        read = lambda of: cv2.remap(of, *there, cv2.INTER_NEAREST)  # noqa: E731
        moved = read(np.float32(self.hole)) > 0
        along = np.where(moved[..., None], flow + read(self.flow), flow)
        moved_weight = np.asarray(dressed.moved_weight) * np.where(moved, read(self.sure), 1)
        # What was kept in its place was not there either.
        in_place = self.hole & (np.asarray(dressed.photo_weight) > moved_weight)
        return dressed.replace(
            photo_flow=np.where(in_place[..., None], self.flow, along),
            moved_weight=np.where(in_place, dressed.photo_weight * self.sure, moved_weight),
            photo_weight=np.where(self.hole, 0, dressed.photo_weight),
        )


def completed(user: User, final: np.ndarray, garment_type: int, *, bag_stays: bool) -> Completed | None:
    """The user with whole clothes, where something hid them that comes off; None where nothing did.

    Args: final: the target layout in the photo's own pose. garment_type: of what is put on, an index in
    `segmentation.GARMENT_TYPES`.
    """
    other = _OTHER.get(segmentation.GARMENT_TYPES[garment_type])
    labels = np.asarray(user.layout.segmentation)
    if other is None:
        return None
    gone = segmentation.GARMENTS
    if not bag_stays:
        gone, final = (*gone, _BAG), segmentation.fill_from_nearest(final, final == _BAG)
    whole, own = segmentation.region(final, other) & user.shown, segmentation.region(labels, other)
    hole = whole & segmentation.region(labels, gone) & ~own
    # At outlines a little of others is seen: nothing is copied from there, and what joins the hole belongs to it.
    seen = cv2.erode(np.uint8(own & user.shown), framing.square(CHOSEN.edge, len(labels))) > 0
    hole |= whole & ~seen & (cv2.dilate(np.uint8(hole), framing.square(CHOSEN.edge, len(labels))) > 0)
    if min(hole.mean(), seen.mean()) < CHOSEN.least:
        return None
    photo = np.float32(user.image)
    shifts = backdrops.find_shifts(photo, hole, seen, CHOSEN.rows)
    image = backdrops.fill_by_shifts(photo, hole, shifts, seen)
    flow, sure = backdrops.flow_of(shifts, hole, seen)
    layout = user.layout.replace(segmentation=np.where(hole, final, labels).astype(np.uint8))
    return Completed(user.replace(image=image, layout=layout), hole, flow, np.float32(sure))
