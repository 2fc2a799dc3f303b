"""Finds pictures that show the same scene: recompressed, resized, shifted, cropped, recoloured or mirrored copies.

Conventions: a `Look` is what is kept of a picture. Two pictures resemble each other when three things agree: a
perceptual hash (of 255 bits, at most `HASH_DISTANCE` differ), the edges where they fit best (a correlation of at least
`EDGES` over shifts and small changes of scale), and the colours. A person or a garment before a plain background shows
little but an outline, which many share: there the edges must agree more closely. Each picture is compared twice, as it
is and mirrored.

Calibrated by benchmarks/near_duplicates.py on the 1,997 photos of Clothing Co-Parsing: of their two million pairs, the
16 that resemble each other by this rule are all copies to the eye; their edges correlate by 0.79 or more, those of the
next pair, two people in one street, by 0.71. Garments on white of one cut reach 0.86, drawn people in one pose 0.84.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import cv2
import numpy as np

HASH_DISTANCE = 90
EDGES = 0.75
EDGES_BEFORE_PLAIN = 0.9
PLAIN = 0.58  # a picture is plain where a smaller fraction of it has any edges; street photos have 0.6 and more
COLOURS = 30  # mean difference of thumbnails, of 255; the most among the 16 copies is 25
_WHITE = 230
_FAINT = 2  # edges that noise makes
_HASH = 16  # side of the block of lowest frequencies
_SIZE = (96, 72)  # (height, width) at which edges are compared
_SCALES = (0.85, 0.92, 1.0, 1.08, 1.17)
_MARGIN = 0.15  # cut off each side of the picture that is shifted over the other


@dataclasses.dataclass(frozen=True)
class Look:
    """What is kept of a picture."""

    bits: np.ndarray  # uint64 [4]
    mirrored_bits: np.ndarray  # uint64 [4], those of the picture mirrored left to right
    edges: np.ndarray  # uint8 [96, 72]
    colours: np.ndarray  # uint8 [8, 6, 3]

    @property
    def is_plain(self) -> bool:
        return (self.edges > _FAINT).mean() < PLAIN

    def mirrored(self) -> "Look":
        """The look of the picture mirrored left to right."""
        return Look(self.mirrored_bits, self.bits, self.edges[:, ::-1].copy(), self.colours[:, ::-1].copy())


def look(image: np.ndarray) -> Look:
    """Image uint8 RGB [H, W, 3] -> Look."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (4 * _HASH, 4 * _HASH), interpolation=cv2.INTER_AREA).astype(np.float32)
    bits, mirrored_bits = _hash(small), _hash(small[:, ::-1].copy())
    fitted = cv2.resize(grey, _SIZE[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    fitted = cv2.GaussianBlur(fitted, (0, 0), 1.0)
    edges = np.hypot(cv2.Sobel(fitted, cv2.CV_32F, 1, 0), cv2.Sobel(fitted, cv2.CV_32F, 0, 1)) / 4
    colours = cv2.resize(image, (6, 8), interpolation=cv2.INTER_AREA)
    return Look(bits, mirrored_bits, np.clip(edges, 0, 255).astype(np.uint8), colours)


def _hash(small: np.ndarray) -> np.ndarray:
    """Grey float32 [64, 64] -> uint64 [4]: which of the lowest frequencies are stronger than most."""
    low = cv2.dct(small)[:_HASH, :_HASH].ravel()
    low[0] = -np.inf  # the mean brightness says nothing
    return np.packbits(low > np.median(low[1:])).view(np.uint64)


def edge_correlation(a: Look, b: Look) -> float:
    """The best normalized correlation of the inner part of one picture's edges, scaled, within the other's."""
    best = -1.0
    for moved, still in ((a.edges, b.edges), (b.edges, a.edges)):
        for scale in _SCALES:
            inner = cv2.resize(moved, None, fx=scale, fy=scale)
            top, left = (int(side * _MARGIN) for side in inner.shape)
            inner = inner[top : inner.shape[0] - top, left : inner.shape[1] - left]
            if inner.std() > 0:
                best = max(best, float(cv2.matchTemplate(still, inner, cv2.TM_CCOEFF_NORMED).max()))
    return best


def hash_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How many bits differ: hashes uint64 [..., 4] and [..., 4] -> [...]."""
    return np.bitwise_count(a ^ b).sum(-1, dtype=np.int32)


def colour_difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mean difference of thumbnails uint8 [..., 8, 6, 3] where either is not white, of 255 -> [...]."""
    shown = ((a < _WHITE) | (b < _WHITE)).any(-1)
    apart = np.abs(a.astype(np.int16) - b).mean(-1)
    return (apart * shown).sum((-2, -1)) / np.maximum(shown.sum((-2, -1)), 1)


def resembling(looks: Sequence[Look], others: Sequence[Look]) -> list[tuple[int, int, int, float, bool]]:
    """All pairs that resemble each other, as they are or mirrored (which is tried where they do not as they are).

    (index in `looks`, index in `others`, hash distance, edge correlation, mirrored)
    """
    if not looks or not others:
        return []
    bits, colours = np.stack([o.bits for o in others]), np.stack([o.colours for o in others])
    found = {}
    for (index, straight), mirrored in itertools.product(enumerate(looks), (False, True)):
        one = straight.mirrored() if mirrored else straight
        apart = hash_distance(one.bits, bits)
        near = np.nonzero(apart <= HASH_DISTANCE)[0]
        for other in near[colour_difference(one.colours, colours[near]) <= COLOURS]:
            if (index, other) in found:
                continue
            correlation = edge_correlation(one, others[other])
            plain = one.is_plain or others[other].is_plain
            if correlation >= (EDGES_BEFORE_PLAIN if plain else EDGES):
                found[index, other] = (index, int(other), int(apart[other]), correlation, mirrored)
    return list(found.values())
