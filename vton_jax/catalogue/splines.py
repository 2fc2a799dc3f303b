"""Thin-plate splines in the plane."""

import dataclasses

import numpy as np


def _bending(apart: np.ndarray) -> np.ndarray:
    """r^2 log r of distances."""
    return apart**2 * np.log(np.maximum(apart, 1e-12))


@dataclasses.dataclass(frozen=True)
class ThinPlate:
    """The least bent map of the plane that leads (nearly) from some points to others."""

    points: np.ndarray  # [n, 2]
    centre: np.ndarray  # [2], and `scale`: points are looked at in these units
    scale: float
    weights: np.ndarray  # [n + 3, 2]

    @classmethod
    def fit(cls, points: np.ndarray, wanted: np.ndarray, stiffness: float = 0.02) -> "ThinPlate":
        """From points [n, 2] to others [n, 2]. Args: stiffness: how much it would rather miss points than bend."""
        points = np.asarray(points, np.float64)
        centre, scale = points.mean(0), float(points.std())
        own, count = (points - centre) / scale, len(points)
        bend = _bending(np.linalg.norm(own[:, None] - own, axis=-1)) + stiffness * np.eye(count)
        affine = np.pad(own, ((0, 0), (1, 0)), constant_values=1)
        matrix = np.block([[bend, affine], [affine.T, np.zeros((3, 3))]])
        return cls(points, centre, scale, np.linalg.solve(matrix, np.pad(wanted, ((0, 3), (0, 0)))))

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """Where places [..., 2] are led, [..., 2]."""
        flat = (places.reshape(-1, 2) - self.centre) / self.scale
        own = (self.points - self.centre) / self.scale
        found = np.empty_like(flat)
        weights, squares_of_own = self.weights[: len(own)], (own**2).sum(1)
        for start in range(0, len(flat), 256):  # so few at once that what is computed stays in the processor's cache
            part = flat[start : start + 256]
            squares = np.maximum((part**2).sum(1)[:, None] + squares_of_own - 2 * part @ own.T, 1e-24)
            squares *= 0.5 * np.log(squares)
            found[start : start + 256] = squares @ weights
        affine = np.pad(flat, ((0, 0), (1, 0)), constant_values=1)
        return (found + affine @ self.weights[len(own) :]).reshape(places.shape)
