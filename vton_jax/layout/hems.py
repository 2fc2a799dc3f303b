"""Skirts, and the skirts of dresses, as what they are: one tube of cloth with an even hem, as that of tops is.

Where LayoutRefinementCNN does not know how wide or how long a skirt falls, it follows the legs: hems come out arched,
ragged, or as those of culottes.

Conventions: NumPy; labels are uint8 [H, W], ATR's; lengths are in pixels where nothing else is said.
"""

import dataclasses

import cv2
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.types import Layout

_HANGS = (segmentation.ID["skirt"], *segmentation.DRESS)
_BEHIND = (0, *segmentation.LEGS)  # what a skirt hides
_HIPS = (JOINTS["left-hip"], JOINTS["right-hip"])


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Chosen on 90 changes of clothes of the catalogue's validation split."""

    fewest: int = 12  # rows below the hips, and columns, of a hem that is looked at
    sides: float = 0.15  # of what hangs below the hips: so far above the hem the sides go on to its ends
    rounds: int = 4  # of the fit of a hem; columns far from it count less each time
    near: float = 0.03  # of the frame's height: how far columns usually end from the hem


CHOSEN = Thresholds()


def even(labels: np.ndarray, pose: Layout) -> np.ndarray:
    """A target layout whose skirt has no gap between its outlines, and whose hem is straight.

    Args: pose: the target's joints, for the hips. The layout itself where nothing hangs below them, or they are hidden.
    """
    if not np.asarray(pose.visible)[list(_HIPS)].any():
        return labels
    hips = [np.asarray(pose.keypoints)[joint, 1] for joint in _HIPS if np.asarray(pose.visible)[joint]]
    below = max(0, round(float(np.mean(hips))))
    worn = segmentation.region(labels, _HANGS)
    counts = np.bincount(labels[below:][worn[below:]], minlength=segmentation.NUM_LABELS)
    label = int(counts.argmax())
    skirt = labels == label
    skirt[:below] = False
    skirt = _largest(skirt) & (label > 0)
    rows, columns = (np.flatnonzero(skirt.any(axis)) for axis in (1, 0))
    if len(rows) < CHOSEN.fewest or len(columns) < CHOSEN.fewest:
        return labels
    before = skirt | ~segmentation.region(labels, _BEHIND)
    tube = np.zeros_like(skirt)
    for row in rows:
        places = np.flatnonzero(skirt[row])
        tube[row, places[0] : places[-1] + 1] = True
    # Columns that end higher up are the sides of the tube, not its hem.
    ends = len(tube) - 1 - tube[::-1, columns].argmax(0)
    above = round(float(np.median(ends)) - CHOSEN.sides * (np.median(ends) - rows[0]))
    columns = np.flatnonzero(tube[above])
    if len(columns) < CHOSEN.fewest:
        return labels
    ends = len(tube) - 1 - tube[::-1, columns].argmax(0)
    hem = _line(columns, ends, len(tube))
    out = labels.copy()
    for column, end, wanted in zip(columns, ends, hem, strict=True):
        first, last = sorted((end, wanted))
        part = out[first + 1 : last + 1, column]
        if wanted < end:  # what lies below goes on upwards
            under = labels[end + 1, column] if end + 1 < len(labels) else 0
            part[part == label] = under if under in _BEHIND else 0
            tube[first + 1 :, column] = False
        else:
            tube[first + 1 : last + 1, column] = True
    out[tube & ~before] = label
    return out


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest piece of a mask, bool [H, W]."""
    _, pieces, about, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = about[1:, cv2.CC_STAT_AREA]
    return pieces == 1 + areas.argmax() if len(areas) else mask.copy()


def _line(columns: np.ndarray, ends: np.ndarray, height: int) -> np.ndarray:
    """Rows [n] of a line through the rows `ends` [n] in which cloth ends in columns [n] of a map so high."""
    place = (columns - columns.mean()) / max(np.ptp(columns) / 2, 1)
    powers, weight = np.stack([np.ones_like(place), place], -1), np.ones(len(place))
    for _ in range(CHOSEN.rounds):
        root = np.sqrt(weight)[:, None]
        found = powers @ np.linalg.lstsq(powers * root, ends * root[:, 0], rcond=None)[0]
        weight = 1 / (1 + ((ends - found) / (CHOSEN.near * height)) ** 2)
    return np.clip(np.rint(found).astype(int), 0, height - 1)


def even_top(labels: np.ndarray) -> np.ndarray:
    """A target layout whose top ends evenly over what is worn below it; itself where no top does."""
    top, below = labels == segmentation.ID["upper-clothes"], segmentation.region(labels, segmentation.LOWER)
    meet = top[:-1] & below[1:]
    columns = np.flatnonzero(meet.any(0))
    if len(columns) < CHOSEN.fewest:
        return labels
    ends = len(meet) - 1 - meet[::-1, columns].argmax(0)
    hem, out = _line(columns, ends, len(labels)), labels.copy()
    for column, end, wanted in zip(columns, ends, hem, strict=True):
        if abs(wanted - end) > CHOSEN.near * len(labels):
            continue
        first, last = sorted((end, wanted))
        part = out[first + 1 : last + 1, column]
        here = (below if wanted > end else top)[first + 1 : last + 1, column]
        part[here] = segmentation.ID["upper-clothes"] if wanted > end else labels[end + 1, column]
    return out
