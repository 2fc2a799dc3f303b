"""The default parser: MultiPathCNN for mannequins, the only people that it knows, and ParserCNN for all others.

How certain MultiPathCNN is of its labels tells which they are. Over four frames each its mean certainty was 0.949 to
0.977 on 20 mannequins as they are rendered, at most 0.920 on crops of nine real clips, and on single street photos, 40
of them, at most 0.940; `benchmarks/annotators.py --parsers=20 --ccp=DIR --clips=DIR` measures it.
"""

import numpy as np

from vton_jax.annotators.multi_path import MultiPath
from vton_jax.annotators.photo_parser import PhotoParser

MANNEQUIN = 0.945  # mean certainty from which frames are a mannequin's


class AutoParser:
    """See `Parser`; all frames of one call are of one shot, and one network parses them."""

    def __init__(self, multi_path: MultiPath | None = None, photo: PhotoParser | None = None):
        self.multi_path, self.photo = multi_path or MultiPath(), photo or PhotoParser()
        self.name = f"Auto-{MANNEQUIN}-{self.multi_path.name}-{self.photo.name}"

    def parse(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        labels, confidence = self.multi_path.parse(frames)
        return (labels, confidence) if confidence.mean() >= MANNEQUIN else self.photo.parse(frames)
