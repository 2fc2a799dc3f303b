"""What somebody wears, by colour: which pieces there are, and whether two shots show the same ones.

Nobody tells a raw video's garments. Their colours, averaged over the frames of a shot, stand for them: two white shirts
of different cut are one garment here, and one shirt in two kinds of light may be two.
"""

import re

import cv2
import numpy as np

from vton_jax.core import segmentation

PIECES = ("upper", "lower", "dress")
_LABELS = {"upper": segmentation.UPPER, "lower": segmentation.LOWER, "dress": segmentation.DRESS}
_LEAST_FRACTION = 0.02  # of the person's pixels
_BINS = 6
# Among 20 videos of capsule mannequins (as MultiPathCNN parsed them) the distance is at most 0.05 where a piece is worn
# again, at least 0.39 where it is exchanged, and 0.26 to 1 between people.
SAME = 0.2


def describe(frames: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Colour fractions [3, 216] of upper, lower and dress over frames [N, H, W, 3]; zeros for what is not worn."""
    person = max(int((labels > 0).sum()), 1)
    worn = {piece: segmentation.region(labels, _LABELS[piece]) for piece in PIECES}
    areas = {piece: mask.sum() / person for piece, mask in worn.items()}
    one_piece = areas["dress"] > areas["upper"] + areas["lower"]
    out = np.zeros((len(PIECES), _BINS**3), np.float32)
    for row, piece in enumerate(PIECES):
        if areas[piece] < _LEAST_FRACTION or (piece == "dress") != one_piece:
            continue
        colours = cv2.cvtColor(frames[worn[piece]][None], cv2.COLOR_RGB2LAB)[0].astype(np.float32)
        out[row] = _soft_histogram(colours)
    return out


def _soft_histogram(colours: np.ndarray) -> np.ndarray:
    """Fractions of colours [N, 3] in Lab bins, each spread over its neighbours so that a small shift moves little."""
    # Lightness spans 255, but cloth's chroma stays within about 60 of grey.
    place = np.stack([colours[:, 0] / 255, *(np.clip((colours[:, 1:] - 128).T / 120 + 0.5, 0, 1))], 1) * (_BINS - 1)
    low = np.clip(np.floor(place).astype(int), 0, _BINS - 2)
    part, total = place - low, np.zeros((_BINS,) * 3, np.float32)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, part, 1 - part), axis=1)
        np.add.at(total, tuple((low + corner).T), weight)
    return (total / len(colours)).ravel()


def distance(one: np.ndarray, two: np.ndarray) -> float:
    """0 for the same colours [216] in the same fractions, 1 for none in common."""
    return float(np.abs(one - two).sum() / 2)


def name_in_ids(person: str) -> str:
    """A person's name as garment ids hold it: without blanks, which stand between ids."""
    return re.sub(r"[%\s]", lambda blank: f"%{ord(blank[0]):02x}", person)


def garment_ids(person: str, described: list[np.ndarray]) -> list[tuple[str, str, str]]:
    """Ids of upper, lower and dress for the shots of one person, '' where there is none.

    The ids hold the person's name: the same garment on somebody else is not recognised.
    """
    known: dict[str, list[np.ndarray]] = {piece: [] for piece in PIECES}
    name = name_in_ids(person)
    out = []
    for shot in described:
        worn = []
        for piece, colours in zip(PIECES, shot, strict=True):
            if not colours.any():
                worn.append("")
                continue
            near = [i for i, other in enumerate(known[piece]) if distance(colours, other) < SAME]
            if not near:
                known[piece].append(colours)
            worn.append(f"{piece}-{name}-{near[0] if near else len(known[piece]) - 1}")
        out.append(tuple(worn))
    return out
