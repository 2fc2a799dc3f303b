"""Which triangle each pixel shows, and where on it: in plain NumPy, or compiled where numba is installed.

Conventions: corners are (column, row, inverse depth), as `Camera.project` gives them; a pixel is looked at in its
centre, (0, 0) being that of the top-left one. Barycentric coordinates are those of the triangle in space, corrected for
perspective: blending the corners' places by them gives the place that the pixel shows.
"""

import dataclasses
import functools

import numpy as np

from vton_jax.catalogue import compiled


@dataclasses.dataclass(frozen=True)
class Raster:
    """What the pixels [H, W] of a picture show."""

    triangle: np.ndarray  # int32 [H, W], -1 where nothing is
    weights: np.ndarray  # float64 [H, W, 3], of the triangle's corners, 0 where nothing is
    inverse_depth: np.ndarray  # float64 [H, W], 0 where nothing is

    @property
    def covered(self) -> np.ndarray:
        return self.triangle >= 0

    @functools.cached_property
    def pixels(self) -> np.ndarray:
        """Where something is, [N], as row * W + column."""
        return np.flatnonzero(self.triangle >= 0)

    @property
    def shown(self) -> np.ndarray:
        """The triangles [N] of `pixels`."""
        return self.triangle.reshape(-1)[self.pixels]

    def at_pixels(
        self, triangles: np.ndarray, values: np.ndarray, pixels: np.ndarray | None = None, *, plain: bool = False
    ) -> np.ndarray:
        """Values [V, C] of vertices at `pixels`, [N, C]. Args: pixels: others of them. plain: see `rasterise`."""
        pixels = self.pixels if pixels is None else pixels
        corners, weights = triangles[self.triangle.reshape(-1)[pixels]], self.weights.reshape(-1, 3)
        kernels = None if plain else compiled.kernels()
        if kernels is None:
            return np.einsum("pk,pkc->pc", weights[pixels], values[corners])
        found = np.empty((len(corners), values.shape[-1]))
        kernels.blend(pixels, weights, corners, values, found)
        return found

    def blend(self, triangles: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Values [V, C] of vertices at every pixel, [H, W, C]; 0 where nothing is."""
        out = np.zeros((self.triangle.size, values.shape[-1]))
        out[self.pixels] = self.at_pixels(triangles, values)
        return out.reshape(*self.triangle.shape, -1)


def _boxes(corners: np.ndarray, size: tuple[int, int], low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(triangle, pixel) of every pixel, as row * width + column, from `low` [T, 2] to each triangle's [T, 3, 2] end."""
    low = np.maximum(low, 0).astype(np.int64)
    high = np.minimum(np.floor(corners.max(1)), np.array(size[::-1]) - 1).astype(np.int64)
    across, down = np.maximum(high - low + 1, 0).T
    triangle, number = _numbered(across * down)
    row, column = np.divmod(number, across[triangle])
    return triangle, (low[triangle, 1] + row) * size[1] + low[triangle, 0] + column


def _numbered(count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For counts [N]: index i, `count[i]` times each, and 0, 1, 2 ... within each."""
    index = np.repeat(np.arange(len(count)), count)
    return index, np.arange(len(index)) - np.repeat(np.cumsum(count) - count, count)


def _wanted(corners: np.ndarray, both_sides: np.ndarray | bool) -> np.ndarray:
    """Which triangles [T, 3, 3] are drawn, their numbers."""
    area = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # below 0 where it faces the camera
    drawn = (area < -compiled.NOTHING_FACES) | (both_sides & (area > compiled.NOTHING_FACES))
    return np.flatnonzero(drawn & (corners[..., 2] > 0).all(1))


def _cross(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]


def _flat_weights(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Barycentric coordinates [N, 3] of points [N, 2] in the pictures of triangles [N, 3, 3]."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    at, area = points - corners[:, 0, :2], _cross(first, second)
    b, c = _cross(at, second) / area, _cross(first, at) / area
    return np.stack([1 - b - c, b, c], -1)


def _filled(both_sides, keep, triangles: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `rasterise` takes as defaults, for every triangle [T] and every vertex [V]."""
    sides = np.broadcast_to(both_sides, len(triangles))
    return np.ascontiguousarray(sides), np.ones(len(points)) if keep is None else keep


def which(
    points: np.ndarray, triangles: np.ndarray, size: tuple[int, int], *, both_sides=False, keep=None
) -> tuple[np.ndarray, np.ndarray]:
    """What `rasterise` finds without the weights: triangle and inverse depth. Where numba is installed it is faster."""
    kernels = compiled.kernels()
    if kernels is None:
        raster = rasterise(points, triangles, size, both_sides=both_sides, keep=keep)
        return raster.triangle, raster.inverse_depth
    shown, inverse = np.full(size, -1, np.int32), np.zeros(size)
    kernels.draw(points, triangles, *_filled(both_sides, keep, triangles, points), (shown, inverse))
    return shown, inverse


def rasterise(
    points: np.ndarray,
    triangles: np.ndarray,
    size: tuple[int, int],
    *,
    both_sides: np.ndarray | bool = False,
    keep: np.ndarray | None = None,
    plain: bool = False,
) -> Raster:
    """Draws triangles [T, 3] of projected points [V, 3] into a picture of `size` (height, width).

    Args: both_sides: which triangles [T] are drawn where they look away, too. Of equally near ones the first one shows.
    keep: a value [V] of every vertex; where what lies between is not above 0, a triangle has a hole. plain: in NumPy,
    though numba is installed.
    Triangles that reach behind the camera are left out.
    """
    kernels = None if plain else compiled.kernels()
    if kernels is not None:
        shown, inverse = which(points, triangles, size, both_sides=both_sides, keep=keep)
        weights = np.empty((*size, 3))
        kernels.weigh(points, triangles, shown, weights)
        return Raster(shown, weights, inverse)
    corners = points[triangles]  # [T, 3, 3]
    kept = _wanted(corners, both_sides)
    flat = corners[kept, :, :2]
    triangle, pixel = _boxes(flat, size, np.ceil(flat.min(1)))
    triangle = kept[triangle]
    weights = _flat_weights(corners[triangle], np.stack([pixel % size[1], pixel // size[1]], -1))
    inside = (weights >= 0).all(1)
    triangle, pixel = triangle[inside], pixel[inside]
    by_depth = weights[inside] * corners[triangle, :, 2]
    if keep is not None:
        there = (by_depth * keep[triangles[triangle]]).sum(1) > 0
        triangle, pixel, by_depth = triangle[there], pixel[there], by_depth[there]
    inverse = by_depth.sum(1)

    nearest = np.zeros(size[0] * size[1])
    np.maximum.at(nearest, pixel, inverse)
    shown = np.flatnonzero(inverse == nearest[pixel])[::-1]  # backwards: the first of equals is written last
    raster = Raster(np.full(size, -1, np.int32), np.zeros((*size, 3)), nearest.reshape(size))
    raster.triangle.reshape(-1)[pixel[shown]] = triangle[shown]
    raster.weights.reshape(-1, 3)[pixel[shown]] = by_depth[shown] / inverse[shown, None]
    return raster


def nearest_at(
    places: np.ndarray,
    points: np.ndarray,
    triangles: np.ndarray,
    size: tuple[int, int],
    *,
    both_sides: np.ndarray | bool = False,
    keep: np.ndarray | None = None,
    plain: bool = False,
) -> np.ndarray:
    """The inverse depth [N] of what is nearest at any places [N, 2] of a picture, between pixels too; 0 for nothing.

    Arguments as in `rasterise`. Triangles are looked up by the cells between pixels that they touch.
    """
    column, row = np.floor(places).astype(np.int64).T
    inside = (column >= 0) & (column < size[1]) & (row >= 0) & (row < size[0])
    own = np.where(inside, row * size[1] + column, -1)
    kernels = None if plain else compiled.kernels()
    if kernels is not None:
        order = np.argsort(own, kind="stable")
        counts, found = np.bincount(own + 1, minlength=size[0] * size[1] + 1), np.zeros(len(places))
        sides, holes = _filled(both_sides, keep, triangles, points)
        kernels.nearest(points, triangles, sides, holes, (places[order], np.cumsum(counts), tuple(size), found))
        nearest = np.zeros(len(places))
        nearest[order] = found
        return nearest
    corners = points[triangles]
    kept = _wanted(corners, both_sides)
    flat = corners[kept, :, :2]
    triangle, cell = _boxes(flat, size, np.floor(flat.min(1)))
    order = np.argsort(cell, kind="stable")
    triangle, cell = kept[triangle[order]], cell[order]
    first = np.searchsorted(cell, own, "left")
    place, number = _numbered(np.searchsorted(cell, own, "right") - first)
    triangle = triangle[first[place] + number]
    weights = _flat_weights(corners[triangle], places[place])
    # A place on an edge belongs to both triangles, whatever was rounded.
    hit = (weights >= -1e-9).all(1)
    by_depth = weights * corners[triangle, :, 2]
    if keep is not None:
        hit &= (by_depth * keep[triangles[triangle]]).sum(1) > 0
    nearest = np.zeros(len(places))
    np.maximum.at(nearest, place[hit], by_depth[hit].sum(1))
    return nearest
