"""Holes of coarse maps, filled: by the nearest label, or by what the decoder expects there. NumPy.

Alphabet: coarse maps are label maps uint8 [H, W] in ATR's table, with `UNKNOWN` where there is a hole.
"""

import functools

import cv2
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.segmentation import GARMENTS, UNKNOWN

# Of `reconcile`: how known pixels count around them, (sigma in pixels, weight); how likely a label is that none of them
# has; the weight of the decoder's answer. Limbs and heads are drawn before holes are left: there they are rarer.
_NEAR, _DOUBT, _TRUST = ((5.0, 1.0), (15.0, 0.1), (30.0, 0.01)), 1e-3, 0.5
_IN_HOLES = np.where(np.isin(np.arange(segmentation.NUM_LABELS), (0, *GARMENTS)), 1.0, 0.1).astype(np.float32)


def fill_unknown(coarse: np.ndarray) -> np.ndarray:
    """Fills the holes of a coarse map uint8 [H, W] (or a batch [..., H, W]) with the nearest known label. NumPy."""
    coarse = np.asarray(coarse, dtype=np.uint8)
    if coarse.ndim > 2:
        return np.stack([fill_unknown(one) for one in coarse])
    return segmentation.fill_from_nearest(coarse, coarse == UNKNOWN)


def reconcile(coarse: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """A coarse map uint8 [H, W] whose holes the decoder's label probabilities [H, W, 18] fill. NumPy.

    What the coarse map knows stays. In a hole two witnesses are weighed: the known pixels around, the nearest ones
    most, and the decoder, whose word for a label that is known nowhere near hardly counts.
    """
    known = coarse != UNKNOWN
    if not known.any():
        return np.argmax(shares, -1).astype(np.uint8)
    maps = (coarse[..., None] == np.arange(segmentation.NUM_LABELS)).astype(np.float32)
    near, weight = np.zeros_like(maps), np.full(coarse.shape, 1e-6, np.float32)
    for sigma, share in _NEAR:
        blur = functools.partial(cv2.GaussianBlur, ksize=(0, 0), sigmaX=sigma, borderType=cv2.BORDER_REPLICATE)
        for label in np.flatnonzero(maps.any((0, 1))):
            near[..., label] += share * blur(maps[..., label])
        weight += share * blur(known.astype(np.float32))
    score = np.log(near / weight[..., None] + _DOUBT) + _TRUST * np.log(shares + 1e-4) + np.log(_IN_HOLES)
    return np.where(known, coarse, score.argmax(-1)).astype(np.uint8)
