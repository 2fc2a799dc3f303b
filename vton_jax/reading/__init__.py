"""What can be seen in a raw photo or frame: pose, parts and faces, each behind a small protocol.

Conventions: frames are uint8 RGB [T, H, W, 3] of any size, upright; one main person. Keypoints are float32 [T, 18, 2],
COCO-18, (x, y) in pixels of the frame as given; `confidence` is float32 in [0, 1]. A joint below an estimator's
`threshold` counts as not visible; its keypoint stays where it was guessed, and `visible_only` makes the project's
(0, 0)/False of it. Labels are ATR's 18.

A shop brings its own by giving an object with the method of a protocol; `name` says what made the annotations, weights
included, and enters a dataset's fingerprint. Nothing here downloads anything.
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import Protocol

import numpy as np

from vton_jax.core.errors import UserError


class PoseEstimator(Protocol):
    name: str
    threshold: float  # confidence from which a joint counts as visible

    def estimate(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames [T, H, W, 3] -> keypoints [T, 18, 2] and confidence [T, 18] of the main person."""
        ...


class Parser(Protocol):
    name: str

    def parse(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Frames [T, H, W, 3] -> labels uint8 [T, H, W] and confidence [T].

        The confidence is the mean certainty of the labels within the person, in [0, 1].
        """
        ...


@dataclasses.dataclass(frozen=True)
class Face:
    """A face (or what stands for one): `box` is (left, top, right, bottom) in pixels; `score` is the detector's."""

    box: tuple[float, float, float, float]
    score: float
    embedding: np.ndarray  # float32 [N]


class FaceEmbedder(Protocol):
    name: str
    threshold: float  # Euclidean distance below which two embeddings are taken for one person

    def faces(self, frame: np.ndarray, labels: np.ndarray | None = None) -> list[Face]:
        """The faces in a frame [H, W, 3], the largest first; `labels` [H, W] is its parse, where there is one."""
        ...


def visible_only(keypoints: np.ndarray, confidence: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints [..., 18, 2] and visible [..., 18] in the project's form: what is not visible is (0, 0)."""
    visible = confidence >= threshold
    return np.where(visible[..., None], keypoints, 0).astype(np.float32), visible


def digest_of(path: str | Path) -> str:
    """The first digits of a file's SHA-256, for names. UserError where there is no such file."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:12]
    except OSError as error:
        raise UserError(
            f"The weights {path} cannot be read ({error.strerror}); docs/datasets.md says where to get them."
        ) from None
