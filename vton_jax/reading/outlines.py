"""Outlines of what was read: a picture's own alpha channel, or its colours where the network doubts.

Conventions: pictures are uint8 [H, W, 3], masks bool [H, W].
"""

import dataclasses

import cv2
import numpy as np

from vton_jax.core import framing


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Probabilities chosen by the IoU on flat garments of the catalogue's validation split, in their own colours and
    near-white (`benchmarks/reading_flats.py`), and by looking at flat photos of the CC0 validation split.
    """

    there: float = 0.5  # from which a pixel shows something
    sure: float = 0.9  # from which it is the garment, but between legs
    # Between legs: from this fraction of a garment's height on, so far from the middle of a row, in fractions of its
    # width. On the drawn flats ground between legs that is taken for cloth is .37% of the garment after .39%, cloth
    # that is missed .80% after .75%; of 40 photographed trousers six had whole wedges of ground between them.
    crotch: float = 0.3
    inner: float = 0.3
    nothing: float = 0.1  # below which it is not
    alike: float = 0.65  # IoU with the network's own mask: below it colours do not tell garment and ground apart
    hole: float = 0.012  # of the garment: what is smaller is no hole in it, but a print in the ground's colour


THRESHOLDS = Thresholds()
_SIDE = 256  # pixels of the longer side at which colours are looked at
_ROUNDS = 3  # of GrabCut
_FEWEST = 50  # pixels of garment and of ground whose colours can be told


def cut_out(picture: np.ndarray, probability: np.ndarray, *, legs: bool = False) -> np.ndarray:
    """A garment's mask: one piece of what is probably there; where the network doubts, its own colours and the ground's
    decide (Rother, Kolmogorov and Blake, "GrabCut", SIGGRAPH 2004).

    Args: probability: float [H, W], that a pixel is not background. legs: whether the garment may have some: between
    them colours decide, however sure the network is.
    """
    size = probability.shape
    factor = min(1.0, _SIDE / max(size))
    smaller = tuple(max(1, round(factor * a)) for a in size)
    probability = cv2.resize(probability.astype(np.float32), smaller[::-1], interpolation=cv2.INTER_AREA)
    there = probability > THRESHOLDS.there
    marks = np.where(there, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    piece, sure = one_piece(there), probability > THRESHOLDS.sure
    marks[sure & ~_between_legs(piece) if legs else sure] = cv2.GC_FGD
    marks[probability < THRESHOLDS.nothing] = cv2.GC_BGD
    if min(there.sum(), (~there).sum()) >= _FEWEST:
        cv2.setRNGSeed(0)  # clusters start at random
        image = np.ascontiguousarray(framing.resize(picture, smaller)[..., ::-1])
        cv2.grabCut(image, marks, None, np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK)
        found = one_piece(np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)))
        if (found & piece).sum() > THRESHOLDS.alike * (found | piece).sum():
            piece = found
    return cv2.resize(piece.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR) > 0.5


def _between_legs(piece: np.ndarray) -> np.ndarray:
    """Where the legs of a mask [H, W] may lie apart: the middle of its rows, bool [H, W]."""
    rows = np.flatnonzero(piece.any(1))
    if not len(rows):
        return piece
    columns, last = np.arange(piece.shape[1]), piece.shape[1] - 1
    left, right = piece.argmax(1), last - piece[:, ::-1].argmax(1)
    off = np.abs(columns - (left + right)[:, None] / 2) < THRESHOLDS.inner * (right - left)[:, None]
    below = np.arange(len(piece)) > rows[0] + THRESHOLDS.crotch * (rows[-1] - rows[0])
    return off & (below & piece.any(1))[:, None]


def one_piece(there: np.ndarray) -> np.ndarray:
    """The largest piece of a mask, its small holes filled."""
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(there.astype(np.uint8))
    if count == 1:
        return there
    piece = pieces == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    _, holes, stats, _ = cv2.connectedComponentsWithStats((~piece).astype(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < THRESHOLDS.hole * piece.sum()
    return piece | (small[holes] & ~piece)


def keep(labels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Labels [H, W] with the outline of `mask`, bool [H, W]: nothing outside, and inside the nearest label, if any."""
    labels = np.where(mask, labels, 0)
    if not labels.any():
        return labels
    _, nearest = cv2.distanceTransformWithLabels(
        (labels == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_pixel = np.zeros(nearest.max() + 1, labels.dtype)
    of_pixel[nearest[labels > 0]] = labels[labels > 0]
    return np.where(mask, of_pixel[nearest], 0).astype(labels.dtype)
