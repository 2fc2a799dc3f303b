"""A garment's own photo as the flat picture of it, and the exact flow from what is worn to that picture.

Conventions: as in views.py; pictures are float32 RGB [H, W, 3] in [0, 1]. The garment lies with its front up.
"""

import dataclasses
import functools
from collections.abc import Sequence

import cv2
import numpy as np

from vton_jax.catalogue import flat_layout, textures
from vton_jax.catalogue.photo_cloth import PhotoCloth, coverage
from vton_jax.catalogue.views import View
from vton_jax.core import segmentation
from vton_jax.core.keypoints import JOINTS

GROUNDS = ("white", "grey", "wood", "cloth")
_MARGIN = 0.06  # of the picture, round the garment
_CLOTHS = ((0.55, 0.12, 0.14), (0.85, 0.82, 0.76), (0.30, 0.33, 0.42), (0.72, 0.62, 0.66), (0.50, 0.52, 0.48))
_WOODS = ((0.66, 0.50, 0.34), (0.80, 0.68, 0.50), (0.45, 0.36, 0.30), (0.62, 0.60, 0.58))


@dataclasses.dataclass(frozen=True)
class FlatPhoto:
    """A garment's photo, in the middle of a picture."""

    cloth: PhotoCloth
    size: tuple[int, int]
    scale: float  # pixels of the picture over those of the photo
    offset: np.ndarray  # [2], of the photo's pixel (0, 0)

    def at(self, pixels: np.ndarray) -> np.ndarray:
        """Where the photo's pixels [..., 2] lie in the picture."""
        return pixels * self.scale + self.offset

    @functools.cached_property
    def alpha(self) -> np.ndarray:
        """How much of each pixel the garment covers, float32 [H, W]."""
        return coverage(self.at(self.cloth.polygon), self.size)

    @functools.cached_property
    def segmentation(self) -> np.ndarray:
        """Labels uint8 [H, W]: the garment's, its sleeves included."""
        label = segmentation.ID[
            "dress" if all(self.cloth.cuts) else "upper-clothes" if self.cloth.cuts[0] is not None
            else "pants" if self.cloth.shape == "trousers" else "skirt"
        ]  # fmt: skip
        return np.where(self.alpha >= 0.5, label, 0).astype(np.uint8)

    @property
    def landmarks(self) -> dict[str, np.ndarray]:
        """The garment's corners [2] by their names."""
        return {name: self.at(place) for name, place in self.cloth.landmarks.items()}

    def keypoints(self) -> tuple[np.ndarray, np.ndarray]:
        """OpenPose's 18 joints [18, 2] where they would be in the garment, and which the garment reaches to [18]."""
        flat = flat_layout.joints(self.cloth.arms)
        places = self.at(self.cloth.spline(np.stack([flat.get(name, np.zeros(2)) for name in JOINTS])))
        column, row = np.rint(places).astype(int).T
        height, width = self.size
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        on = self.alpha[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)] > 0.5
        known = np.array([name in flat for name in JOINTS])
        return places.astype(np.float32), inside & on & known

    def picture(self, ground: np.ndarray) -> np.ndarray:
        """The garment on a ground [H, W, 3], which its shadow darkens a little."""
        height, width = self.size
        matrix = np.float32([[self.scale, 0, self.offset[0]], [0, self.scale, self.offset[1]]])
        shown = cv2.warpAffine(self.cloth.picture, matrix, (width, height), flags=cv2.INTER_LINEAR,
                               borderMode=cv2.BORDER_REPLICATE).astype(np.float32) / 255  # fmt: skip
        down = np.float32([[1, 0, 0.006 * height], [0, 1, 0.008 * height]])
        shadow = cv2.GaussianBlur(cv2.warpAffine(self.alpha, down, (width, height)), (0, 0), 0.008 * height)
        part = self.alpha[..., None]
        return part * shown + (1 - part) * ground * (1 - 0.3 * shadow)[..., None]


def lay(cloth: PhotoCloth, size: tuple[int, int]) -> FlatPhoto:
    """The photo as large as fits into a picture of `size` (height, width)."""
    low, high = cloth.polygon.min(0), cloth.polygon.max(0)
    room = np.array(size[::-1]) * (1 - 2 * _MARGIN)
    scale = float((room / (high - low)).min())
    return FlatPhoto(cloth, size, scale, (np.array(size[::-1]) - 1) / 2 - scale * (low + high) / 2)


def ground(generator: np.random.Generator, kind: str, size: tuple[int, int]) -> np.ndarray:
    """What a garment lies on, [H, W, 3]. Args: kind: one of GROUNDS. Raises: ValueError for another."""
    height, width = size
    row, column = np.mgrid[:height, :width].astype(np.float32) / height
    if kind == "white":
        return np.ones((*size, 3), np.float32)
    if kind == "grey":
        tilt = generator.uniform(-0.15, 0.15, 2)
        shade = generator.uniform(0.35, 0.92) * (1 + tilt[0] * (row - 0.5) + tilt[1] * (column - 0.4))
        return np.clip(np.repeat(shade[..., None], 3, -1), 0, 1).astype(np.float32)
    noise = lambda x, y: _noise(generator, size, x, y)  # noqa: E731
    if kind == "wood":
        across, along = (column, row) if generator.random() < 0.5 else (row, column)
        board = np.floor(across * generator.uniform(4, 9))
        tone = 1 + 0.06 * np.sin(board * 12.9898 + generator.uniform(0, 6))
        streaks = noise(1.0, 14.0) if along is row else noise(14.0, 1.0)
        seam = np.pad(np.abs(np.diff(board, axis=1)), ((0, 0), (1, 0))) if across is column else np.pad(
            np.abs(np.diff(board, axis=0)), ((1, 0), (0, 0))
        )  # fmt: skip
        shade = tone * (1 + 0.05 * streaks) * (1 - 0.4 * np.clip(seam, 0, 1))
        return np.clip(np.float32(_WOODS[generator.integers(len(_WOODS))]) * shade[..., None], 0, 1).astype(np.float32)
    if kind == "cloth":
        colour = np.float32(_CLOTHS[generator.integers(len(_CLOTHS))])
        pattern = "plain" if generator.random() < 0.7 else textures.PATTERNS[generator.integers(len(textures.PATTERNS))]
        weave = textures.cloth(generator, pattern, np.stack([colour, colour * 0.75]), int(generator.integers(4, 10)))
        shown = weave[(np.arange(height) % len(weave))][:, np.arange(width) % len(weave)]
        folds = noise(0.06 * height, 0.03 * height)
        return np.clip(shown * (1 + 0.07 * folds)[..., None], 0, 1).astype(np.float32)
    raise ValueError(f"there is no ground {kind!r}; known are {', '.join(GROUNDS)}")


def _noise(generator: np.random.Generator, size: tuple[int, int], across: float, down: float) -> np.ndarray:
    raw = generator.standard_normal(size).astype(np.float32)
    raw = cv2.GaussianBlur(raw, (0, 0), sigmaX=across, sigmaY=down)
    return raw / max(float(raw.std()), 1e-6)


def flow_to_photo(view: View, flat: FlatPhoto, layers: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Where in a flat photo lies what a view of its garment shows: backward flow float32 [H, W, 2], and whether it is
    seen there, bool [H, W]: on the garment's front. 0 where no garment is.

    Args: layers: the garment's among the person's. Raises: ValueError for pictures of different sizes.
    """
    person, raster = view.person, view.raster
    if raster.triangle.shape != tuple(flat.size):
        raise ValueError(f"the view has {raster.triangle.shape} pixels, the flat picture {flat.size}")
    wanted = [person.layers.index(name) for name in layers]
    seen = raster.covered & np.isin(person.layer[raster.triangle], wanted)
    corners = person.triangles_uv[raster.triangle[seen]]
    uv = np.einsum("pk,pkc->pc", raster.weights[seen], person.uv[corners])
    pixels, front = flat.cloth.pixel(uv)
    there = flat.at(pixels)
    row, column = np.nonzero(seen)
    flow, visible = np.zeros((*seen.shape, 2), np.float32), np.zeros(seen.shape, bool)
    flow[seen] = np.where(front[:, None], there - np.stack([column, row], -1), 0)
    height, width = seen.shape
    inside = (there >= 0).all(1) & (there <= [width - 1, height - 1]).all(1)
    visible[seen] = front & inside
    return flow, visible
