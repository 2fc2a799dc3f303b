"""Bringing any picture to a network's size and numbers, and results back.

Conventions: images are [H, W] or [H, W, C] NumPy arrays; sizes are (height, width); points are `(x, y)` with the
top-left pixel's centre at (0, 0).
"""

import dataclasses

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where `fit` put an image: `source_size` resized to `inner_size` at `offset` (top, left) within `size`.

    All sizes are (height, width); `scale` is the factor from source to fitted pixels.
    """

    source_size: tuple[int, int]
    size: tuple[int, int]
    inner_size: tuple[int, int]
    offset: tuple[int, int]
    scale: float

    def restore(self, image: np.ndarray, nearest: bool = False) -> np.ndarray:
        """An image [H, W] or [H, W, C] of `size`, cut and resized to `source_size`; `nearest` for label maps."""
        if image.shape[:2] != tuple(self.size):
            raise ValueError(f"restore expects size {tuple(self.size)}, got {image.shape[:2]}")
        top, left = self.offset
        inner = image[top : top + self.inner_size[0], left : left + self.inner_size[1]]
        return resize(np.ascontiguousarray(inner), self.source_size, nearest)

    def points(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 2] `(x, y)` of the source in the fitted image (pixel centres: x -> (x + 0.5) s - 0.5)."""
        return (np.asarray(points) + 0.5) * self._factor() - 0.5 + np.array(self.offset[::-1], np.float32)

    def restore_points(self, points: np.ndarray) -> np.ndarray:
        """The inverse of `points`: fitted `(x, y)` -> source `(x, y)`."""
        return (np.asarray(points) - np.array(self.offset[::-1], np.float32) + 0.5) / self._factor() - 0.5

    def _factor(self) -> np.ndarray:
        (height, width), (inner_height, inner_width) = self.source_size, self.inner_size
        return np.array([inner_width / width, inner_height / height], np.float32)


def fit(
    image: np.ndarray, size: tuple[int, int], fill: str | int | tuple[int, ...] = "edge", nearest: bool = False
) -> tuple[np.ndarray, Placement]:
    """Resizes an image [H, W] or [H, W, C] into `size`, keeping its aspect ratio, and pads it, centred.

    `fill` is "edge" (the border's own colours continue) or a constant. Shrinking averages areas; `nearest` is for
    label maps. Returns the image of `size` and the `Placement` that brings results back.
    """
    height, width = image.shape[:2]
    scale = min(size[0] / height, size[1] / width)
    inner = (min(size[0], max(1, round(height * scale))), min(size[1], max(1, round(width * scale))))
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    border = [(top, size[0] - inner[0] - top), (left, size[1] - inner[1] - left)]
    resized = resize(image, inner, nearest)
    if fill == "edge":
        padded = np.pad(resized, border + [(0, 0)] * (image.ndim - 2), mode="edge")
    else:
        padded = np.empty(tuple(size) + image.shape[2:], image.dtype)
        padded[...] = fill
        padded[top : top + inner[0], left : left + inner[1]] = resized
    return padded, Placement((height, width), tuple(size), inner, (top, left), scale)


def pixels(fraction: float, height: int) -> int:
    """A fraction of a frame's height in whole pixels, at least 1."""
    return max(1, round(fraction * height))


def square(fraction: float, height: int) -> np.ndarray:
    """A kernel uint8 [n, n] that reaches a fraction of the frame's height to every side."""
    return np.ones((2 * pixels(fraction, height) + 1,) * 2, np.uint8)


def parse_size(text: str) -> tuple[int, int]:
    """`256x192` -> (256, 192). Raises: ValueError."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise ValueError("a size is HEIGHTxWIDTH in pixels, for example 256x192")
    return int(parts[0]), int(parts[1])


def to_float(image):
    """A uint8 picture [...], NumPy's or JAX's, as float32 in [0, 1]."""
    return image.astype(np.float32) / 255


def resize(image: np.ndarray, size: tuple[int, int], nearest: bool = False) -> np.ndarray:
    """Area averages when shrinking, bilinear when enlarging; both keep pixel centres aligned."""
    if image.shape[:2] == tuple(size):
        return image.copy()
    if nearest:
        method = cv2.INTER_NEAREST_EXACT
    else:
        method = cv2.INTER_AREA if size[0] * size[1] < image.shape[0] * image.shape[1] else cv2.INTER_LINEAR
    return cv2.resize(image, (size[1], size[0]), interpolation=method).reshape(tuple(size) + image.shape[2:])
