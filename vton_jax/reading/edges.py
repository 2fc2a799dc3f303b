"""Label probabilities brought to a picture's own edges.

ReaderCNN sees a picture small, so that its labels are round where cloth, hair and fingers are not. The guided filter
explains them, in every small window, by the colours: what is read then changes where the picture does.

K. He, J. Sun, X. Tang, "Guided Image Filtering", ECCV 2010; with coefficients at a smaller size, K. He, J. Sun, "Fast
Guided Filter", 2015.
"""

import dataclasses

import cv2
import numpy as np

from vton_jax.core import framing


@dataclasses.dataclass(frozen=True)
class Proportions:
    """By the photos of Clothing Co-Parsing whose number ends in 1, of reaches from 2 to 8 pixels of 256 and softness
    from .0001 to .001: all labels gain with each, most with these.
    """

    reach: float = 4 / 256  # of the picture's longer side: half a window
    softness: float = 1e-4  # variance of colours in [0, 1] below which a window is even
    least: float = 0.01  # probability that a label has somewhere: others are nowhere


PROPORTIONS = Proportions()
_SIDE = 256  # pixels of the longer side at which windows are looked at


def sharpened(picture: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Probabilities float32 [H, W, C] of labels, each explained by the colours of the picture uint8 [H, W, 3].

    They still lie in [0, 1] and add up to 1.
    """
    size = picture.shape[:2]
    factor = min(1.0, _SIDE / max(size))
    smaller = tuple(max(1, round(factor * side)) for side in size)
    window = 2 * max(1, round(PROPORTIONS.reach * max(smaller))) + 1
    mean = lambda values: cv2.blur(values, (window, window))  # noqa: E731
    colours = framing.resize(picture, smaller).astype(np.float32) / 255
    middle = mean(colours)
    products = mean(np.concatenate([colours * colours[..., c : c + 1] for c in range(3)], -1).reshape(*smaller, 9))
    spread = products.reshape(*smaller, 3, 3) - middle[..., :, None] * middle[..., None, :]
    inverse = np.linalg.inv(spread + PROPORTIONS.softness * np.eye(3, dtype=np.float32))
    full = picture.astype(np.float32) / 255
    found = np.array(probabilities, np.float32)
    for label in np.flatnonzero(found.max((0, 1)) > PROPORTIONS.least):
        small = cv2.resize(found[..., label], smaller[::-1], interpolation=cv2.INTER_AREA)
        along = mean(colours * small[..., None]) - middle * mean(small)[..., None]
        slopes = (inverse @ along[..., None])[..., 0]
        terms = mean(np.concatenate([slopes, (mean(small) - (slopes * middle).sum(-1))[..., None]], -1))
        terms = cv2.resize(terms, size[::-1], interpolation=cv2.INTER_LINEAR)
        found[..., label] = np.clip((terms[..., :3] * full).sum(-1) + terms[..., 3], 0, 1)
    return found / np.maximum(found.sum(-1, keepdims=True), 1e-6)
