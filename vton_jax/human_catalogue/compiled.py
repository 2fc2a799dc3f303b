"""Inner loops, for numba, an extra of its own, to compile.

Each does in loops what a function of `rasteriser`, `textures` or `pictures` does in NumPy, which says what it is for;
both draw the same, within rounding.
"""

import functools
import math
from types import SimpleNamespace

import numpy as np

NOTHING_FACES = 1e-9  # pixels, twice a triangle's area: thinner ones show nothing


@functools.cache
def kernels() -> SimpleNamespace | None:
    """The functions of this module, compiled; None where numba is not installed."""
    try:
        import numba
    except ImportError:
        return None
    compile_one = numba.njit(cache=True)
    return SimpleNamespace(
        **{kernel.__name__: compile_one(kernel) for kernel in (draw, nearest, move, cloth, normals, blend, sample, lit)}
    )


def draw(points, triangles, both_sides, keep, picture):
    """Draws triangles [T, 3] of points [V, 3], `both_sides` [T] of them where they look away, too, with the points'
    `keep` [V], into a picture's arrays, which begin empty: triangle int32 [H, W], weights [H, W, 3] and inverse depth
    [H, W]."""
    triangle, weights, inverse_depth = picture
    height, width = triangle.shape
    for t in range(len(triangles)):
        a, b, c = triangles[t]
        ax, ay, az = points[a]
        bx, by, bz = points[b]
        cx, cy, cz = points[c]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if not (area < -NOTHING_FACES or (both_sides[t] and area > NOTHING_FACES)) or min(az, bz, cz) <= 0:
            continue
        left, right = max(math.ceil(min(ax, bx, cx)), 0), min(math.floor(max(ax, bx, cx)), width - 1)
        top, bottom = max(math.ceil(min(ay, by, cy)), 0), min(math.floor(max(ay, by, cy)), height - 1)
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                x, y = column - ax, row - ay
                second = (x * (cy - ay) - y * (cx - ax)) / area
                third = ((bx - ax) * y - (by - ay) * x) / area
                first = 1 - second - third
                if first < 0 or second < 0 or third < 0:
                    continue
                one, two, three = first * az, second * bz, third * cz
                if one * keep[a] + two * keep[b] + three * keep[c] <= 0:
                    continue
                inverse = one + two + three
                if inverse > inverse_depth[row, column]:  # of equals the first stays
                    inverse_depth[row, column] = inverse
                    triangle[row, column] = t
                    weights[row, column, 0] = one / inverse
                    weights[row, column, 1] = two / inverse
                    weights[row, column, 2] = three / inverse


def nearest(points, triangles, both_sides, keep, asked):
    """The inverse depth of what is nearest at places. asked: the places [N, 2] in the order of the cells between pixels
    that they lie in, where each cell's begin [H + 1, W + 1] and end, and what is found [N], which begins as 0."""
    places, begin, end, found = asked
    height, width = begin.shape
    for t in range(len(triangles)):
        a, b, c = triangles[t]
        ax, ay, az = points[a]
        bx, by, bz = points[b]
        cx, cy, cz = points[c]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if not (area < -NOTHING_FACES or (both_sides[t] and area > NOTHING_FACES)) or min(az, bz, cz) <= 0:
            continue
        left, right = max(math.floor(min(ax, bx, cx)), 0), min(math.floor(max(ax, bx, cx)), width - 1)
        top, bottom = max(math.floor(min(ay, by, cy)), 0), min(math.floor(max(ay, by, cy)), height - 1)
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                for place in range(begin[row, column], end[row, column]):
                    x, y = places[place, 0] - ax, places[place, 1] - ay
                    second = (x * (cy - ay) - y * (cx - ax)) / area
                    third = ((bx - ax) * y - (by - ay) * x) / area
                    first = 1 - second - third
                    if first < -1e-9 or second < -1e-9 or third < -1e-9:  # an edge belongs to both triangles
                        continue
                    one, two, three = first * az, second * bz, third * cz
                    if one * keep[a] + two * keep[b] + three * keep[c] > 0:
                        found[place] = max(found[place], one + two + three)


def move(motion, vertices, found):
    """Vertices [V, 3] moved by a rotation and a translation each [V, 3, 4], into `found` [V, 3]."""
    for v in range(len(vertices)):
        x, y, z = vertices[v]
        for axis in range(3):
            found[v, axis] = (
                motion[v, axis, 0] * x + motion[v, axis, 1] * y + motion[v, axis, 2] * z + motion[v, axis, 3]
            )


def cloth(figure, colours, weave, folds, found):
    """Cloth [side, side, 3]: `colours` [2, 3] by `figure` bool [side, side], times `weave`, (its [side, side, 1], row
    and column that come first) and 1 + `folds`, (its [side, side, 1], row, column, and how strong they are)."""
    side = len(figure)
    threads, first_row, first_column = weave
    creases, row_of_folds, column_of_folds, creased = folds
    for row in range(side):
        for column in range(side):
            thread = threads[(row + first_row) % side, (column + first_column) % side, 0]
            crease = creases[(row + row_of_folds) % side, (column + column_of_folds) % side, 0]
            shade = thread * min(max(1 + creased * crease, 0.55), 1.35)
            which = 1 if figure[row, column] else 0
            for c in range(3):
                found[row, column, c] = min(max(colours[which, c] * shade, 0), 1)


def normals(vertices, triangles, found):
    """Adds to every vertex [V, 3] of `found` the normals of its triangles [T, 3], each as long as it is large."""
    for t in range(len(triangles)):
        a, b, c = triangles[t]
        x, y, z = vertices[a]
        ux, uy, uz = vertices[b, 0] - x, vertices[b, 1] - y, vertices[b, 2] - z
        vx, vy, vz = vertices[c, 0] - x, vertices[c, 1] - y, vertices[c, 2] - z
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            found[corner, 0] += x
            found[corner, 1] += y
            found[corner, 2] += z


def blend(pixels, weights, corners, values, found):
    """Values [V, C] at pixels [N] whose triangle has the corners [N, 3] with weights [H W, 3], into `found` [N, C]."""
    for n in range(len(pixels)):
        for c in range(values.shape[1]):
            total = 0.0
            for k in range(3):
                total += weights[pixels[n], k] * values[corners[n, k], c]
            found[n, c] = total


def sample(texture, uv, repeats, found):
    """Bilinear samples of a texture [h, w, 3] at texture coordinates [N, 2]."""
    height, width = texture.shape[:2]
    for n in range(len(uv)):
        x, y = uv[n, 0] * width - 0.5, (1 - uv[n, 1]) * height - 0.5
        left, top = math.floor(x), math.floor(y)
        fx, fy = x - left, y - top
        right, below = left + 1, top + 1
        if repeats:
            left, right, top, below = left % width, right % width, top % height, below % height
        else:
            left, right = min(max(left, 0), width - 1), min(max(right, 0), width - 1)
            top, below = min(max(top, 0), height - 1), min(max(below, 0), height - 1)
        for c in range(3):
            above = texture[top, left, c] * (1 - fx) + texture[top, right, c] * fx
            under = texture[below, left, c] * (1 - fx) + texture[below, right, c] * fx
            found[n, c] = above * (1 - fy) + under * fy


def lit(nearness, places, leeway, found):
    """How much of the key light reaches places [N, 3], see `pictures`, into `found` [N]."""
    side = len(nearness)
    for n in range(len(places)):
        column, row, near = places[n]
        dark = 0
        for i in range(3):
            y = int(np.rint(row + 1.3 * (i - 1)))
            for j in range(3):
                x = int(np.rint(column + 1.3 * (j - 1)))
                if 0 <= x < side and 0 <= y < side and nearness[y, x] > near + leeway:
                    dark += 1
        found[n] = 1 - dark / 9
