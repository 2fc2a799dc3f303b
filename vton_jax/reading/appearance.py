"""A small embedder of our own, which needs no face model: skin, hair and the head's shape, read from the parse.

Conventions: `features` [NUM_FEATURES] of one frame; the embedding is a linear map of them, found by Fisher's
discriminant analysis on capsule mannequins (`mannequin/fit_appearance.py` of commit fdce6ac), in which two frames of
one person lie about 1 apart. It does not look at a face: people with alike skin and hair are one person to it, and
one person under two lamps may be two. For a shop's own videos a face model or people.csv is the better choice.
"""

import json
from pathlib import Path

import cv2
import numpy as np

from vton_jax.core import segmentation
from vton_jax.reading import Face

FILE = Path(__file__).with_suffix(".json")
_SKIN = segmentation.ARMS + segmentation.LEGS
_FACE = segmentation.FACE
_HAIR = (segmentation.ID["hair"],)
NUM_FEATURES = 13
_LEAST_FACE = 0.002  # of the frame


def features(frame: np.ndarray, labels: np.ndarray) -> np.ndarray | None:
    """Lab colours of face, limbs and hair, the hair's spread and reach; None where no face is labelled."""
    face, hair, skin = (segmentation.region(labels, which) for which in (_FACE, _HAIR, _SKIN))
    if face.mean() < _LEAST_FACE:
        return None
    lab = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2LAB).astype(np.float32)
    face_colour = np.median(lab[_inner(face)], 0)
    hair_colour = np.median(lab[_inner(hair)], 0) if hair.any() else face_colour
    skin_colour = np.median(lab[_inner(skin)], 0) if skin.any() else face_colour
    rows, hair_rows = np.nonzero(face.any(1))[0], np.nonzero(hair.any(1))[0]
    height = rows[-1] - rows[0] + 1
    reach = (hair_rows[-1] - rows[-1]) / height if len(hair_rows) else -1.0
    above = (rows[0] - hair_rows[0]) / height if len(hair_rows) else 0.0
    spread = lab[_inner(hair)].std(0)[0] if hair.any() else 0.0
    shape = [10 * np.log1p(hair.sum() / face.sum()), 10 * reach, 10 * above, spread]
    return np.concatenate([face_colour, hair_colour, skin_colour, shape]).astype(np.float32)


def _inner(mask: np.ndarray) -> np.ndarray:
    """The mask without its rim, where colours mix; the mask itself where nothing would be left."""
    eroded = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return eroded if eroded.any() else mask


class Appearance:
    """See `FaceEmbedder`; it needs the frame's labels."""

    def __init__(self, path: str | Path = FILE):
        text = Path(path).read_text()
        about = json.loads(text)
        self.matrix, self.threshold = np.array(about["matrix"], np.float32), float(about["threshold"])
        self.name = f"Appearance-{about['fitted_on']}"

    def faces(self, frame: np.ndarray, labels: np.ndarray | None = None) -> list[Face]:
        found = None if labels is None else features(frame, labels)
        if found is None:
            return []
        rows, columns = np.nonzero(segmentation.region(labels, _FACE))
        box = tuple(float(v) for v in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
        return [Face(box, 1.0, found @ self.matrix)]
