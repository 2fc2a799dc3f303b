"""A pinhole camera that stands before a person and looks level at them."""

import dataclasses

import numpy as np

from vton_jax.catalogue import compiled


@dataclasses.dataclass(frozen=True)
class Camera:
    """Looks along -z from `distance` before the origin, at `height` above the floor.

    A point at (x, y, z) is seen at column `middle[0] + focal * x / depth` and row `middle[1] - focal * (y - height) /
    depth`, its depth being `distance - z`.
    """

    focal: float  # pixels
    distance: float  # decimetres
    height: float
    middle: tuple[float, float]  # where the picture shows the point straight ahead

    def scaled(self, factor: int) -> "Camera":
        """The same view in a picture of `factor` times the side: a pixel's centre is that of those it falls into."""
        middle = tuple(factor * at + (factor - 1) / 2 for at in self.middle)
        return dataclasses.replace(self, focal=factor * self.focal, middle=middle)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points [..., 3] -> column, row and inverse depth [..., 3]; what lies behind the camera has none (0)."""
        kernels = compiled.kernels() if points.ndim == 2 else None
        if kernels is not None:
            found = np.empty((len(points), 3))
            kernels.project(points, (self.focal, self.distance, self.height, *self.middle), found)
            return found
        depth = self.distance - points[..., 2]
        inverse = np.where(depth > 1e-6, 1 / np.maximum(depth, 1e-6), 0.0)
        column = self.middle[0] + self.focal * points[..., 0] * inverse
        row = self.middle[1] - self.focal * (points[..., 1] - self.height) * inverse
        return np.stack([column, row, inverse], -1)


def around(places: np.ndarray, size: tuple[int, int], *, fraction: float = 0.86, distance: float = 400.0) -> Camera:
    """A camera so far away that nothing looks foreshortened, which shows places [N, 3] in the middle of a picture.

    Args: fraction: of the picture that they fill, along the side that is the tighter one.
    """
    low, high = places[:, :2].min(0), places[:, :2].max(0)
    scale = fraction * min(size[1] / (high[0] - low[0]), size[0] / (high[1] - low[1]))
    focal, middle = scale * distance, (low + high) / 2
    return Camera(focal, distance, float(middle[1]), ((size[1] - 1) / 2 - scale * middle[0], (size[0] - 1) / 2))


def frame(
    size: tuple[int, int], tall: float, *, fraction: float = 0.84, distance: float = 42.0, height: float = 9.5
) -> Camera:
    """A camera that shows somebody whole, in the middle of a picture of `size` (height, width).

    Args: tall: of the person, in decimetres. fraction: of the picture's height that they fill. distance: of the camera.
    height: of the camera above the floor.
    """
    focal = fraction * size[0] * distance / tall
    middle = (size[1] - 1) / 2, (size[0] - 1) / 2 + focal * (tall / 2 - height) / distance
    return Camera(focal, distance, height, middle)
