"""FirstOrder, tiny and by chance, in the released files' format, and a reader that knows where somebody is."""

import functools
from pathlib import Path

import jax
import numpy as np

from vton_jax.core import keypoints
from vton_jax.core.segmentation import NUM_LABELS
from vton_jax.models import weights
from vton_jax.models.first_order import FirstOrder
from vton_jax.reading.picture_reader import Seen
from vton_jax.tasks.first_order import drawn

TINY = FirstOrder(num_points=4, detector_widths=(8, 8), motion_widths=(8, 8), generator_widths=(8, 8, 8))


@functools.cache
def params():
    return jax.device_get(drawn(TINY, jax.random.PRNGKey(0)))


def write(folder: Path) -> Path:
    """The weights of both regions."""
    widths = {name: getattr(TINY, name) for name in ("num_points", "detector_widths", "motion_widths",
                                                     "generator_widths")}  # fmt: skip
    for region in ("face", "body"):
        settings = {"model": "first_order", "region": region, "size": (128, 128)} | widths
        weights.save(folder / f"first_order_{region}.safetensors", params(), settings)
    return folder


def head_joints(x: float, y: float, reach: float) -> np.ndarray:
    """Joints [18, 2] of somebody whose eyes lie at (x, y), a `reach` above the neck."""
    places = {"nose": (0, 0.25), "neck": (0, 1), "left-eye": (0.15, 0), "right-eye": (-0.15, 0),
              "left-ear": (0.35, 0.1), "right-ear": (-0.35, 0.1)}  # fmt: skip
    found = np.full((18, 2), (x, y + 2 * reach), float)
    for name, (across, down) in places.items():
        found[keypoints.ID[name]] = x + across * reach, y + down * reach
    return found


class Reader:
    """Stands in for PictureReader: a person whose eyes lie in the middle of every picture, or nobody."""

    def __init__(self, reach: float = 0.3, empty: bool = False):
        self.reach, self.empty = reach, empty

    def read(self, picture, *, thorough=True):
        height, width = picture.shape[:2]
        labels = np.zeros((height, width), int)
        labels[height // 4 : 3 * height // 4, width // 3 : 2 * width // 3] = not self.empty
        sure = np.ones(18)
        points = head_joints(width / 2, height / 2, self.reach * min(height, width))
        return Seen(np.eye(3)[0 if self.empty else 1], np.eye(NUM_LABELS, dtype=np.float32)[labels], points, sure,
                    sure, sure, np.full(3, 1 / 3), np.full(4, 0.25), np.zeros(2))  # fmt: skip
