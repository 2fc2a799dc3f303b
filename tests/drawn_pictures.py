"""Tiny pictures for the tests of what ReaderCNN learns from: a figure of four colours, whose joints bear marks."""

import numpy as np

from vton_jax.core import keypoints, segmentation
from vton_jax.inputs import pictures

SIZE = (64, 48)
BOX = (10, 8, 38, 56)  # left, top, right, bottom of the figure
# Where marks are, far enough apart to be told from each other; (x, y).
MARKS = {"nose": (24, 12), "right-wrist": (14, 32), "left-wrist": (34, 32), "right-ankle": (18, 52)}
COLOURS = {"nose": (255, 0, 0), "right-wrist": (0, 255, 0), "left-wrist": (0, 0, 255), "right-ankle": (255, 255, 0)}


def person(**changes) -> dict:
    """Somebody in a top and trousers, grey on black; their right is on the picture's left."""
    left, top, right, bottom = BOX
    labels = np.zeros(SIZE, np.uint8)
    labels[top:bottom, left:right] = segmentation.ID["upper-clothes"]
    labels[40:bottom, left:24] = segmentation.ID["right-leg"]
    labels[40:bottom, 24:right] = segmentation.ID["left-leg"]
    image = np.where(labels[..., None] > 0, np.uint8(128), np.uint8(0)).repeat(3, -1)
    points, known = np.zeros((18, 2), np.float32), np.zeros(18, bool)
    for name, (x, y) in MARKS.items():
        image[y - 2 : y + 3, x - 2 : x + 3] = COLOURS[name]
        points[keypoints.ID[name]], known[keypoints.ID[name]] = (x, y), True
    return pictures.NOTHING_KNOWN | {
        "image": image, "segmentation": labels, "kind": 1, "keypoints": points, "known": known, "seen": known,
        "sleeves": 3, "facing": np.float32([0.6, 0.8]),
    } | changes  # fmt: skip


def garment(**changes) -> dict:
    """A garment laid flat, a white block on blue."""
    labels = np.zeros(SIZE, np.uint8)
    labels[16:48, 12:36] = segmentation.ID["dress"]
    image = np.where(labels[..., None] > 0, np.uint8([255, 255, 255]), np.uint8([0, 0, 200]))
    known = {"kind": 2, "garment_type": 2, "sleeves": 0}
    return pictures.NOTHING_KNOWN | {"image": image, "segmentation": labels} | known | changes


def write(path, found: list[dict], canvas: tuple[int, int] = SIZE) -> str:
    """A file of pictures."""
    pictures.write(path, pictures.packed(found, canvas))
    return str(path)
