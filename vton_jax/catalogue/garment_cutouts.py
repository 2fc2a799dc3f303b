"""Cuts fitted garments out of their photos, as cloth that is stored.

Conventions: see photo_cloth.py.
"""

import cv2
import numpy as np

from vton_jax.catalogue.garment_outlines import resampled
from vton_jax.catalogue.garment_photos import Fit
from vton_jax.catalogue.photo_cloth import PhotoCloth, coverage

_SIDE, _RIM = 256, 7  # longest side of a picture, and what is left round the garment, in pixels
_CONTOUR = 160  # points
_GRADIENT = 0.25  # of its brightness, across a garment: a stronger one is the light's and is flattened


def _flattened(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A picture float32 [h, w, 3] of which a strong gradient of brightness within a mask is taken away."""
    grey = np.log(np.clip(picture.mean(-1), 0.02, 1))
    row, column = np.nonzero(mask)
    places = np.stack([column / mask.shape[1], row / mask.shape[0], np.ones(len(row))], 1)
    values, weights = grey[mask > 0], np.ones(len(row))
    for _ in range(4):  # dark and bright parts of a pattern count little
        slope, *_ = np.linalg.lstsq(places * weights[:, None], values * weights, rcond=None)
        weights = 1 / (1 + np.abs(values - places @ slope) / 0.1)
    total = float(np.hypot(*slope[:2]))
    if total < _GRADIENT:
        return picture
    height, width = mask.shape
    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1) - 0.5
    light = (slope[0] * x + slope[1] * y) * (1 - _GRADIENT / total)
    return np.clip(picture * np.exp(-light)[..., None], 0, 1).astype(np.float32)


def _spread(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A picture [h, w, 3] whose colours go on beyond a mask, ever smoother."""
    known = cv2.erode(mask, np.ones((3, 3), np.uint8)).astype(np.float32)[..., None]
    found, still = picture * known, known.copy()
    for sigma in (1.5, 3, 8, 30, 200):
        colour, weight = cv2.GaussianBlur(picture * known, (0, 0), sigma), cv2.GaussianBlur(known, (0, 0), sigma)
        weight = weight[..., None] if weight.ndim == 2 else weight
        near = np.where(weight > 0.02, 1 - still, 0)
        found += near * colour / np.maximum(weight, 1e-6)
        still = np.maximum(still, np.where(weight > 0.02, 1, 0))
    return np.clip(np.where(mask[..., None] > 0, picture * known + found * (1 - known), found), 0, 1)


def cut_out(image: np.ndarray, fit: Fit, about: dict[str, str]) -> PhotoCloth:
    """The cloth of a fitted photo uint8 RGB [H, W, 3]: cropped, and nothing but the garment's colours.

    Args: about: `name`, `photo_type`, `split` and `source` of `PhotoCloth`.
    """
    contour = fit.contour
    low = np.maximum(np.floor(contour.min(0)) - _RIM, 0).astype(int)
    high = np.minimum(np.ceil(contour.max(0)) + _RIM + 1, image.shape[1::-1]).astype(int)
    scale = min(1.0, _SIDE / max(high - low))
    size = tuple(round(side * scale) for side in high - low)
    crop = image[low[1] : high[1], low[0] : high[0]].astype(np.float32) / 255
    crop = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
    place = lambda points: (points - low + 0.5) * scale - 0.5  # noqa: E731
    closed = np.concatenate([contour, contour[:1]])
    polygon = place(resampled(closed, _CONTOUR + 1)[:-1])
    mask = (coverage(polygon, size[::-1]) > 0.5).astype(np.uint8)
    crop = _spread(_flattened(crop, mask), mask)
    return PhotoCloth(
        **about, shape=fit.outline.shape, cuts=fit.cuts, arms=fit.arms, picture=np.round(255 * crop).astype(np.uint8),
        polygon=polygon, corners=place(fit.outline.corners), points=fit.points, pixels=place(fit.pixels),
        score=fit.score,
    )  # fmt: skip
