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
    compile_one = numba.njit(cache=True, error_model="numpy", nogil=True)  # threads draw side by side
    inner = (project, place, shift, draw, weigh, nearest, move, cloth, normals, blend, sample, lit, light, add)
    return SimpleNamespace(**{kernel.__name__: compile_one(kernel) for kernel in inner})


def project(points, camera, found):
    """Points [N, 3] as a camera's numbers show them, see `camera.Camera`, into `found` [N, 3]."""
    focal, distance, height, middle_column, middle_row = camera
    for n in range(len(points)):
        depth = distance - points[n, 2]
        inverse = 1 / depth if depth > 1e-6 else 0.0
        found[n, 0] = middle_column + focal * points[n, 0] * inverse
        found[n, 1] = middle_row - focal * (points[n, 1] - height) * inverse
        found[n, 2] = inverse


def place(points, matrix, found):
    """Points [N, 3] moved by a matrix [3, 4], into `found` [N, 3]."""
    for n in range(len(points)):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        for axis in range(3):
            found[n, axis] = x * matrix[axis, 0] + y * matrix[axis, 1] + z * matrix[axis, 2] + matrix[axis, 3]


def shift(vertices, deltas, weight, moved):
    """Adds `weight` times deltas [n, 3] to the rows [n] of `moved` [V, 3]."""
    for n in range(len(vertices)):
        for axis in range(3):
            moved[vertices[n], axis] += weight * deltas[n, axis]


def draw(points, triangles, both_sides, keep, picture):
    """Draws triangles [T, 3] of points [V, 3], `both_sides` [T] of them where they look away, too, with the points'
    `keep` [V], into a picture's arrays: triangle int32 [H, W], -1 at first, and inverse depth [H, W], 0 at first."""
    triangle, inverse_depth = picture
    height, width = triangle.shape
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, az = points[a, 0], points[a, 1], points[a, 2]
        bx, by, bz = points[b, 0] - ax, points[b, 1] - ay, points[b, 2]
        cx, cy, cz = points[c, 0] - ax, points[c, 1] - ay, points[c, 2]
        area = bx * cy - by * cx
        if not (area < -NOTHING_FACES or (both_sides[t] and area > NOTHING_FACES)) or min(az, bz, cz) <= 0:
            continue
        left, right = max(math.ceil(ax + min(0, bx, cx)), 0), min(math.floor(ax + max(0, bx, cx)), width - 1)
        top, bottom = max(math.ceil(ay + min(0, by, cy)), 0), min(math.floor(ay + max(0, by, cy)), height - 1)
        if left > right or top > bottom:
            continue
        keep_a, keep_b, keep_c = keep[a], keep[b], keep[c]
        whole, closest = min(keep_a, keep_b, keep_c) > 0, max(az, bz, cz)
        if area < 0:
            area, bx, by, cx, cy = -area, -bx, -by, -cx, -cy
        most = area * (1 + 1e-9)
        for row in range(top, bottom + 1):
            y = row - ay
            y_cx, bx_y = y * cx, bx * y
            for column in range(left, right + 1):
                x = column - ax
                second, third = x * cy - y_cx, bx_y - by * x
                # One branch for most of what shows nothing, before it is divided: branches are what takes the time.
                if (second < 0) | (third < 0) | (second + third > most) | (inverse_depth[row, column] > closest):
                    continue
                second, third = second / area, third / area
                first = 1 - second - third
                one, two, three = first * az, second * bz, third * cz
                inverse = one + two + three
                if (first >= 0 and inverse > inverse_depth[row, column]) and (  # of equals the first stays
                    whole or one * keep_a + two * keep_b + three * keep_c > 0
                ):
                    inverse_depth[row, column] = inverse
                    triangle[row, column] = t


def weigh(points, triangles, triangle, weights):
    """The barycentric coordinates [H, W, 3] of what `draw` drew, 0 where nothing is."""
    height, width = triangle.shape
    for row in range(height):
        for column in range(width):
            t = triangle[row, column]
            if t < 0:
                weights[row, column, :] = 0
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            ax, ay = points[a, 0], points[a, 1]
            bx, by, cx, cy = points[b, 0] - ax, points[b, 1] - ay, points[c, 0] - ax, points[c, 1] - ay
            area, x, y = bx * cy - by * cx, column - ax, row - ay
            second, third = (x * cy - y * cx) / area, (bx * y - by * x) / area
            one, two, three = (1 - second - third) * points[a, 2], second * points[b, 2], third * points[c, 2]
            inverse = one + two + three
            weights[row, column, 0] = one / inverse
            weights[row, column, 1] = two / inverse
            weights[row, column, 2] = three / inverse


def nearest(points, triangles, both_sides, keep, asked):
    """The inverse depth of what is nearest at places. asked: the places [N, 2] in the order of the cells between pixels
    that they lie in, where each cell's begin [H W + 1], the picture's size, and what is found [N], which begins as
    0."""
    places, begin, (height, width), found = asked
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay, az = points[a, 0], points[a, 1], points[a, 2]
        bx, by, bz = points[b, 0] - ax, points[b, 1] - ay, points[b, 2]
        cx, cy, cz = points[c, 0] - ax, points[c, 1] - ay, points[c, 2]
        area = bx * cy - by * cx
        if not (area < -NOTHING_FACES or (both_sides[t] and area > NOTHING_FACES)) or min(az, bz, cz) <= 0:
            continue
        left, right = max(math.floor(ax + min(0, bx, cx)), 0), min(math.floor(ax + max(0, bx, cx)), width - 1)
        top, bottom = max(math.floor(ay + min(0, by, cy)), 0), min(math.floor(ay + max(0, by, cy)), height - 1)
        if left > right:
            continue
        for row in range(top, bottom + 1):
            for place in range(begin[row * width + left], begin[row * width + right + 1]):
                x, y = places[place, 0] - ax, places[place, 1] - ay
                second, third = (x * cy - y * cx) / area, (bx * y - by * x) / area
                first = 1 - second - third
                if first < -1e-9 or second < -1e-9 or third < -1e-9:  # an edge belongs to both triangles
                    continue
                one, two, three = first * az, second * bz, third * cz
                if one * keep[a] + two * keep[b] + three * keep[c] > 0:
                    found[place] = max(found[place], one + two + three)


def move(motion, vertices, found):
    """Vertices [V, 3] moved by a rotation and a translation each [V, 3, 4], into `found` [V, 3]."""
    for v in range(len(vertices)):
        x, y, z = vertices[v, 0], vertices[v, 1], vertices[v, 2]
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
    """Unit normals of vertices [V, 3], into `found` [V, 3], which begins as 0: those of their triangles [T, 3] added
    up, each as long as it is large."""
    for t in range(len(triangles)):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x, y, z = vertices[a, 0], vertices[a, 1], vertices[a, 2]
        ux, uy, uz = vertices[b, 0] - x, vertices[b, 1] - y, vertices[b, 2] - z
        vx, vy, vz = vertices[c, 0] - x, vertices[c, 1] - y, vertices[c, 2] - z
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            found[corner, 0] += x
            found[corner, 1] += y
            found[corner, 2] += z
    for v in range(len(vertices)):
        x, y, z = found[v, 0], found[v, 1], found[v, 2]
        if x != 0 or y != 0 or z != 0:
            scale = 1 / max(math.sqrt(x * x + y * y + z * z), 1e-12)
            found[v, 0], found[v, 1], found[v, 2] = x * scale, y * scale, z * scale


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


def light(pixels, mesh, surface, lamp, found):
    """What light reaches samples [N] of a picture, which triangle [H W] they show being known, see `pictures.shade`.

    mesh: the picture's triangle and width, the mesh's points [V, 3], triangles [T, 3], normals and places side by side
    [V, 6], and the triangles' texture coordinates. surface: of `pictures.Surface`, its numbers. lamp: directions [3, 3]
    of key light, glint and fill, what the light sees and how places come to lie there [3, 4], and how open to the sky
    each sample is [H W]. found: float32 [N, 5]: texture coordinates, ambient light, key light and glint.
    """
    triangle, width, points, triangles, vertices, triangles_uv, uv = mesh
    (wrap, shine, sharpness), (towards, nearness, seen, open_to) = surface, lamp
    last, at, around = len(nearness) - 1, np.empty(6, np.float64), np.empty((2, 3), np.int64)
    for n in range(len(pixels)):
        t = triangle[pixels[n]]
        row = pixels[n] // width
        column = pixels[n] - row * width
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        ax, ay = points[a, 0], points[a, 1]
        bx, by, cx, cy = points[b, 0] - ax, points[b, 1] - ay, points[c, 0] - ax, points[c, 1] - ay
        area, x, y = bx * cy - by * cx, column - ax, row - ay
        second, third = (x * cy - y * cx) / area, (bx * y - by * x) / area
        one, two, three = (1 - second - third) * points[a, 2], second * points[b, 2], third * points[c, 2]
        inverse = 1 / (one + two + three)
        one, two, three = one * inverse, two * inverse, three * inverse
        i, j, k = triangles_uv[t, 0], triangles_uv[t, 1], triangles_uv[t, 2]
        found[n, 0] = one * uv[i, 0] + two * uv[j, 0] + three * uv[k, 0]
        found[n, 1] = one * uv[i, 1] + two * uv[j, 1] + three * uv[k, 1]
        for axis in range(6):
            at[axis] = one * vertices[a, axis] + two * vertices[b, axis] + three * vertices[c, axis]
        x, y, z = at[0], at[1], at[2]
        scale = (-1 if z < 0 else 1) / max(math.sqrt(x * x + y * y + z * z), 1e-9)  # below 0: the inside of cloth
        x, y, z = x * scale, y * scale, z * scale
        near = at[3] * seen[2, 0] + at[4] * seen[2, 1] + at[5] * seen[2, 2] + seen[2, 3] + 0.25
        for axis in range(2):  # nine looks around
            middle = at[3] * seen[axis, 0] + at[4] * seen[axis, 1] + at[5] * seen[axis, 2] + seen[axis, 3]
            around[axis, 0], around[axis, 1] = np.rint(middle - 1.3), np.rint(middle)
            around[axis, 2] = np.rint(middle + 1.3)
        dark = 0
        for i in range(3):
            down = around[1, i]
            if 0 <= down <= last:
                for j in range(3):
                    if 0 <= around[0, j] <= last and nearness[down, around[0, j]] > near:
                        dark += 1
        lit = 0.2 + 0.8 * (1 - dark / 9)
        fill = max(x * towards[2, 0] + y * towards[2, 1] + z * towards[2, 2], 0.0)
        found[n, 2] = (0.775 + 0.225 * y + 0.45 * fill) * open_to[pixels[n]]
        found[n, 3] = max((x * towards[0, 0] + y * towards[0, 1] + z * towards[0, 2] + wrap) / (1 + wrap), 0.0) * lit
        base, glint, power = max(x * towards[1, 0] + y * towards[1, 1] + z * towards[1, 2], 0.0), shine * lit, sharpness
        while power > 0:
            if power & 1:
                glint *= base
            base *= base
            power >>= 1
        found[n, 4] = glint


def add(pixels, colours, lights, tables, picture):
    """Adds lit samples to a picture, float32 [H, W, 4], colour and how much is covered, whose pixels have `samples` a
    side. colours: [N, 3] as screens show them. lights: what `light` found, [N, 5]. tables: linear values of 0 to 1 as
    screens show them [n + 1], colours [2, 3] of ambient and key light, and `samples`."""
    linear, tints, samples = tables
    width, last = samples * picture.shape[1], len(linear) - 1
    part = 1 / samples**2
    for n in range(len(pixels)):
        fine_row = pixels[n] // width
        row, column = fine_row // samples, (pixels[n] - fine_row * width) // samples
        ambient, key, glint = lights[n, 2], lights[n, 3], lights[n, 4]
        for c in range(3):
            at = min(max(colours[n, c], 0), 1) * last
            index = min(int(at), last - 1)
            own = linear[index] + (at - index) * (linear[index + 1] - linear[index])
            picture[row, column, c] += part * (own * (ambient * tints[0, c] + key * tints[1, c]) + glint * tints[1, c])
        picture[row, column, 3] += part
