"""The rasteriser's inner loop, for numba, an extra of its own, to compile.

The same operations in the same order as `rasteriser.rasterise` does them in NumPy, so that both draw the same.
"""

import functools
import math
from collections.abc import Callable


@functools.cache
def loop() -> Callable | None:
    """`draw`, compiled; None where numba is not installed."""
    try:
        import numba
    except ImportError:
        return None
    return numba.njit(cache=True)(draw)


def draw(corners, wanted, keep, picture):
    """Draws triangles' corners [T, 3, 3] where `wanted` [T], with the corners' `keep` [T, 3], into a picture's arrays,
    which begin empty: triangle int32 [H, W], weights [H, W, 3] and inverse depth [H, W]."""
    triangle, weights, inverse_depth = picture
    height, width = triangle.shape
    for t in range(len(corners)):
        if not wanted[t]:
            continue
        ax, ay, az = corners[t, 0, 0], corners[t, 0, 1], corners[t, 0, 2]
        bx, by, bz = corners[t, 1, 0], corners[t, 1, 1], corners[t, 1, 2]
        cx, cy, cz = corners[t, 2, 0], corners[t, 2, 1], corners[t, 2, 2]
        left, right = max(math.ceil(min(ax, bx, cx)), 0), min(math.floor(max(ax, bx, cx)), width - 1)
        top, bottom = max(math.ceil(min(ay, by, cy)), 0), min(math.floor(max(ay, by, cy)), height - 1)
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                x, y = column - ax, row - ay
                second = (x * (cy - ay) - y * (cx - ax)) / area
                third = ((bx - ax) * y - (by - ay) * x) / area
                first = 1 - second - third
                if first < 0 or second < 0 or third < 0:
                    continue
                one, two, three = first * az, second * bz, third * cz
                if one * keep[t, 0] + two * keep[t, 1] + three * keep[t, 2] <= 0:
                    continue
                inverse = one + two + three
                if inverse > inverse_depth[row, column]:  # of equals the first stays
                    inverse_depth[row, column] = inverse
                    triangle[row, column] = t
                    weights[row, column, 0] = one / inverse
                    weights[row, column, 1] = two / inverse
                    weights[row, column, 2] = three / inverse
