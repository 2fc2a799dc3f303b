"""Cropping a frame to its person, framed as the networks were trained to see people.

Conventions: a box is (left, top, right, bottom) in pixels of the frame's edges (0 is the left edge of the first pixel);
it may reach beyond the frame, where the border's colours continue.
"""

import numpy as np

from vton_jax.core import framing, keypoints

_HEAD = [keypoints.ID[name] for name in ("nose", "right-eye", "left-eye", "right-ear", "left-ear")]
_ANKLES = [keypoints.ID["right-ankle"], keypoints.ID["left-ankle"]]
# Of capsule mannequins (10 people, 20 videos, seed 5) the joints from head to ankles span 0.74 of the frame's
# height in the median, and what is above them 0.11.
_SPAN, _ABOVE = 0.74, 0.11


def head_and_feet(points: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The highest head joint's y [T] and the lowest ankle's y [T]; NaN where none is visible."""
    head = np.where(visible[:, _HEAD], points[:, _HEAD, 1], np.inf).min(1)
    feet = np.where(visible[:, _ANKLES], points[:, _ANKLES, 1], -np.inf).max(1)
    return np.where(np.isfinite(head), head, np.nan), np.where(np.isfinite(feet), feet, np.nan)


def crop_boxes(points: np.ndarray, visible: np.ndarray, size: tuple[int, int], extent=None) -> np.ndarray:
    """Boxes [T, 4] of `size`'s aspect around people; NaN where head or feet are missing.

    Args: points [T, 18, 2], visible [T, 18]. extent: the least pixels from head to ankles that a box shows, such as a
    shot's median, so that a person who crouches is not enlarged; None: each frame's own.
    """
    head, feet = head_and_feet(points, visible)
    extent = np.maximum(feet - head, 8 if extent is None else extent)
    height = extent / _SPAN
    width = height * size[1] / size[0]
    seen = np.where(visible[..., None], points, np.nan)
    with np.errstate(all="ignore"):
        low, high = (np.where(visible.any(1), f(seen[..., 0], axis=1), np.nan) for f in (_nanmin, _nanmax))
    middle, top = (low + high) / 2 + 0.5, feet - extent - _ABOVE * height + 0.5
    return np.stack([middle - width / 2, top, middle + width / 2, top + height], -1)


def _nanmin(values, axis):
    return np.where(np.isnan(values), np.inf, values).min(axis)


def _nanmax(values, axis):
    return np.where(np.isnan(values), -np.inf, values).max(axis)


def windows(frame: tuple[int, int], size: tuple[int, int]) -> list[tuple[float, float, float, float]]:
    """Boxes of `size`'s aspect to look at: the whole frame, and in a wide one also parts of its full height.

    Networks overlook people who are small in the middle of what a frame's edges are continued to.
    """
    height, width = frame
    whole = max(height, width * size[0] / size[1]) / 2, max(width, height * size[1] / size[0]) / 2
    boxes = [(width / 2 - whole[1], height / 2 - whole[0], width / 2 + whole[1], height / 2 + whole[0])]
    part = height * size[1] / size[0]
    if width > 1.2 * part:
        number = int(np.ceil(2 * (width - part) / part)) + 1  # neighbours overlap by half
        boxes += [(left, 0, left + part, height) for left in np.linspace(0, width - part, number)]
    return boxes


def crop_to(
    image: np.ndarray, box, size: tuple[int, int], nearest: bool = False
) -> tuple[np.ndarray, framing.Placement]:
    """The box of an image [H, W] or [H, W, C] at `size`, and the placement of the whole image relative to the crop.

    The placement's `points` and `restore_points` bring points there and back.
    """
    left, top, right, bottom = (round(float(edge)) for edge in box)
    right, bottom = max(right, left + 2), max(bottom, top + 2)
    height, width = image.shape[:2]
    rows = np.clip(np.arange(top, bottom), 0, height - 1)
    columns = np.clip(np.arange(left, right), 0, width - 1)
    cut = image[rows][:, columns]
    fitted = framing.resize(cut, size, nearest)
    factor = np.array(size) / cut.shape[:2]
    offset = (-top * factor[0], -left * factor[1])
    inner = (height * factor[0], width * factor[1])
    return fitted, framing.Placement((height, width), tuple(size), inner, offset, float(factor[0]))


def widened(box: np.ndarray, size: tuple[int, int], margin: float) -> np.ndarray:
    """A box [4] of `size`'s aspect around a box [4], with a margin of a part of its sides."""
    left, top, right, bottom = box
    height, width = bottom - top, right - left
    height = (1 + 2 * margin) * max(height, width * size[0] / size[1])
    width = height * size[1] / size[0]
    x, y = (left + right) / 2, (top + bottom) / 2
    return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
