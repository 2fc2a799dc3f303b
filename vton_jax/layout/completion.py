"""Holes of coarse maps, filled: by the nearest label, or by what the decoder expects there. NumPy.

Conventions: coarse maps are label maps uint8 [H, W] in ATR's table, with `UNKNOWN` where there is a hole.
"""

import dataclasses

import cv2
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.segmentation import GARMENTS, UNKNOWN

_BEFORE = (segmentation.ID["scarf"], segmentation.ID["bag"])
_LOOSE = 0.5  # of a piece that is limbs or cloth, from which on it is no shoe, head or bag
_NARROW = 4.0  # pixels a Gaussian's sigma keeps, where the picture is made smaller for it


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """How `reconcile` weighs its two witnesses.

    Chosen among several ways on Clothing Co-Parsing's training photos, whose validation photos are scored
    (docs/evaluation.md); it was also seen to help on every 64th frame of the clips of the suite `ubc`, which are scored
    too, before they were. `trust` and `least_probability` were chosen again, on 48 cases of the catalogue's validation
    split, when the decoder had learned from people: right in 0.621 of the holes, in 0.595 with 0.5 and 1e-4 as before.
    """

    # How known pixels count around them: (sigma in fractions of the frame's height, weight).
    near: tuple[tuple[float, float], ...] = ((5 / 256, 1.0), (15 / 256, 0.1), (30 / 256, 0.01))
    doubt: float = 1e-3  # how likely a label is that none of them has
    trust: float = 1.0  # the weight of the decoder's answer
    # How much rarer other labels than garments and the background are in holes: limbs and heads are drawn before.
    rarer: float = 0.1
    least_probability: float = 3e-3  # to which the decoder's probabilities are lifted


def fill_unknown(coarse: np.ndarray) -> np.ndarray:
    """Fills the holes of a coarse map uint8 [H, W] (or a batch [..., H, W]) with the nearest known label. NumPy."""
    coarse = np.asarray(coarse, dtype=np.uint8)
    if coarse.ndim > 2:
        return np.stack([fill_unknown(one) for one in coarse])
    return segmentation.fill_from_nearest(coarse, coarse == UNKNOWN)


def reconcile(coarse: np.ndarray, probabilities: np.ndarray, thresholds: Thresholds = Thresholds()) -> np.ndarray:
    """A coarse map uint8 [H, W] whose holes the decoder's label probabilities [H, W, 18] fill. NumPy.

    What the coarse map knows stays. In a hole two witnesses are weighed: the known pixels around, the nearest ones
    most, and the decoder, whose word for a label that is known nowhere near hardly counts.
    """
    known, hole = coarse != UNKNOWN, coarse == UNKNOWN
    if not known.any():
        return np.argmax(probabilities, -1).astype(np.uint8)
    garments = np.isin(np.arange(segmentation.NUM_LABELS), (0, *GARMENTS))
    in_holes = np.where(garments, 1.0, thresholds.rarer).astype(np.float32)
    near = np.zeros((int(hole.sum()), segmentation.NUM_LABELS), np.float32)
    total = np.full((len(near), 1), 1e-6, np.float32)
    for sigma, weight in thresholds.near:
        sigma *= len(coarse)
        for label in np.unique(coarse[known]):
            near[:, label] += weight * _blurred(coarse == label, sigma)[hole]
        total[:, 0] += weight * _blurred(known, sigma)[hole]
    around = np.log(near / total + thresholds.doubt)
    score = around + thresholds.trust * np.log(probabilities[hole] + thresholds.least_probability) + np.log(in_holes)
    final = coarse.copy()
    final[hole] = score.argmax(-1)
    return final


def _blurred(mask: np.ndarray, sigma: float) -> np.ndarray:
    """A mask [H, W] as a Gaussian blurs it; a wide one on a smaller picture, which costs a tenth and looks the same."""
    picture, factor = mask.astype(np.float32), max(1, int(sigma // _NARROW))
    size = mask.shape[1] // factor, mask.shape[0] // factor
    small = picture if factor == 1 else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigmaX=sigma / factor, borderType=cv2.BORDER_REPLICATE)
    return small if factor == 1 else cv2.resize(small, mask.shape[::-1], interpolation=cv2.INTER_LINEAR)


def in_own_pose(final: np.ndarray, own: np.ndarray, garment_type: int, hands: np.ndarray) -> np.ndarray:
    """The final map [H, W] of somebody in the pose of their own photo, whose labels `own` [H, W] are. NumPy.

    It changes where the garment of the type, an index in `segmentation.GARMENT_TYPES`, comes or what it replaces was;
    all else is the photo's. So are scarves, bags and `hands`, bool [H, W], everywhere: what is seen of them lies before
    all cloth.
    """
    kind = segmentation.GARMENT_TYPES[garment_type]
    changed = segmentation.region(final, segmentation.TARGET_LABELS[kind])
    changed |= segmentation.region(own, segmentation.REPLACED_LABELS[kind])
    return np.where(changed & ~segmentation.region(own, _BEFORE) & ~hands, final, own).astype(np.uint8)


def without_islands(final: np.ndarray) -> np.ndarray:
    """A final map [H, W] without pieces of limbs and cloth that hang together with nobody. NumPy.

    Shoes, heads and what is carried may lie apart: what joins them is often not seen.
    """
    _, pieces, about, _ = cv2.connectedComponentsWithStats(np.uint8(final > 0), connectivity=8)
    if len(about) <= 2:
        return final
    main = 1 + about[1:, cv2.CC_STAT_AREA].argmax()
    loose = segmentation.region(final, (*segmentation.ARMS, *segmentation.LEGS, *GARMENTS))
    part = np.bincount(pieces[loose], minlength=len(about)) / np.maximum(about[:, cv2.CC_STAT_AREA], 1)
    gone = (part > _LOOSE) & (np.arange(len(about)) != main)
    return np.where(gone[pieces] & (final > 0), 0, final).astype(np.uint8)
