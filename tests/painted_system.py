"""A try-on system of a few lines, which stands in for networks where a test is about what happens around them."""

import numpy as np
from reads_shades import ReadsShades

from vton_jax.core import segmentation
from vton_jax.core.types import Dressed, Garment, Layout, Pose, Result, Target, User
from vton_jax.layout import coarse_map

SIZE = (64, 48)
POINTS = np.stack([np.full(18, 24.0), np.linspace(6, 58, 18)], -1).astype(np.float32)


def layout_of(frame):
    """What is dark is worn."""
    labels = np.where(np.asarray(frame).mean(-1) < 200, segmentation.ID["upper-clothes"], 0).astype(np.uint8)
    return Layout(labels, POINTS, np.ones(18, bool))


class PaintedSystem(ReadsShades):
    """Paints everybody in the garment's mean colour. Args: pause: called before each frame."""

    size, layout_of = SIZE, staticmethod(layout_of)

    def __init__(self, pause=lambda: None):
        self.reader, self.pause, self.dressed = self, pause, 0

    def read_user(self, frame, shown=None):
        return User(frame.astype(np.float32) / 255, layout_of(frame), np.zeros(2), shown)

    def read_garment(self, frame, garment_type=None, flat=None, mask=None):
        layout = layout_of(frame)
        if mask is not None:
            worn = np.where(mask, segmentation.ID["upper-clothes"], 0).astype(np.uint8)
            layout = layout.replace(segmentation=worn)
        kind = np.int32(segmentation.GARMENT_TYPES.index(garment_type or "upper"))
        image = np.where(layout.segmentation[..., None] > 0, frame.astype(np.float32) / 255, 1)
        return Garment(image, layout, kind, np.bool_(bool(flat)))

    def read_poses(self, frames):
        return Pose(*self.read_layouts(frames))

    def dress(self, user, garments, poses):
        worn = [garment.image[np.asarray(garment.layout.segmentation) > 0] for garment in garments]
        colour = worn[0].mean(0) if worn else np.zeros(3)
        for labels in poses.layout.segmentation:
            self.pause()
            image = np.where(labels[..., None] > 0, np.float32(colour), user.image)
            zero, flow = np.zeros(SIZE, np.float32), np.ones((*SIZE, 2), np.float32)
            steps = dict.fromkeys(coarse_map.STEPS, labels)
            self.dressed += 1
            dressed = Dressed(image, labels, flow, zero, zero + 1, flow, zero)
            yield Result(dressed, Target(labels, labels, 1 / np.arange(1, 20), steps))


class PaintedSystems:
    """Stands in for `studio.try_on.Systems`."""

    def __init__(self, pause=lambda: None):
        self.system = PaintedSystem(pause)

    def of(self, options):
        return self.system
