"""Where rays meet people: an orthographic camera, and the nearest rounded cone behind every sample.

A ray meets a rounded cone where a quadratic says so (the body of the cone, or a sphere at either end); its terms are
three dot products that are affine or quadratic in the sample's place. See `render` for the two ways to visit samples.
"""

import flax.struct
import jax
import jax.numpy as jnp

from vton_jax.mannequin import body

_TILE = 16
_TILES_A_STEP = 24
FAR = -1e3  # the depth of a miss


@flax.struct.dataclass
class Camera:
    scale: jax.Array  # pixels a body height
    centre: jax.Array  # [2] pixel (x, y) of the world's origin


@flax.struct.dataclass
class Stage:
    """A posed person or garment before the camera, ready to be drawn."""

    bones: body.Bones
    primitives: body.Primitives
    camera: Camera


def project(camera: Camera, points: jax.Array) -> jax.Array:
    """World points [..., 3] -> pixels [..., 2]."""
    return camera.centre + camera.scale * points[..., :2] * jnp.array([1.0, -1.0])


def ray_table(primitives: body.Primitives, bones: body.Bones) -> dict:
    """Per primitive, everything of the intersection that does not depend on the pixel."""
    rotation = bones.rotation[primitives.bone]  # [P, 3, 3]
    inverse = jnp.swapaxes(rotation, -1, -2) / primitives.scale[:, :, None]  # world -> unit space
    offset = -jnp.einsum("pij,pj->pi", inverse, bones.origin[primitives.bone]) - primitives.start / primitives.scale
    direction = -inverse[:, :, 2]
    speed = jnp.linalg.norm(direction, axis=-1, keepdims=True)
    direction = direction / speed
    ba, (ra, rb) = primitives.axis, (primitives.radii[:, 0], primitives.radii[:, 1])
    along_x, along_y = inverse[:, :, 0], inverse[:, :, 1]
    dot = lambda a, b: jnp.einsum("pi,pi->p", a, b)  # noqa: E731
    m0, rr, m2 = dot(ba, ba), ra - rb, dot(ba, direction)
    d2 = jnp.maximum(m0 - rr * rr, 1e-9)
    return {
        "m1": (dot(ba, along_x), dot(ba, along_y), dot(ba, offset)),
        "m3": (dot(direction, along_x), dot(direction, along_y), dot(direction, offset)),
        "m5": (
            dot(along_x, along_x),
            dot(along_y, along_y),
            2 * dot(along_x, along_y),
            2 * dot(along_x, offset),
            2 * dot(along_y, offset),
            dot(offset, offset),
        ),
        "unit": tuple((along_x[:, i], along_y[:, i], offset[:, i], direction[:, i]) for i in range(3)),
        "m0": m0,
        "m2": m2,
        "rr": rr,
        "ra": ra,
        "rb": rb,
        "d2": d2,
        "k2": d2 - m2 * m2,
        "speed": speed[:, 0],
        "start": tuple(primitives.start[:, i] for i in range(3)),
        "scale": tuple(primitives.scale[:, i] for i in range(3)),
        "clip": (primitives.clip[:, 0], primitives.clip[:, 1]),
        "cut": tuple(primitives.cut[:, i] for i in range(6)),
    }


def rows_of(table, index: jax.Array):
    """The rows of a pytree of tables; `index` is known to lie inside, which saves a program the checks."""
    return jax.tree.map(lambda a: a.at[index].get(mode="promise_in_bounds", wrap_negative_indices=False), table)


def hit(row: dict, x: jax.Array, y: jax.Array) -> tuple[jax.Array, ...]:
    """Where rays at world `(x, y)` meet primitives: depth (world Z; `FAR` for a miss) and the unit-space point."""
    affine = lambda c: c[0] * x + c[1] * y + c[2]  # noqa: E731
    m1, m3 = affine(row["m1"]), affine(row["m3"])
    c = row["m5"]
    m5 = c[0] * x * x + c[1] * y * y + c[2] * x * y + c[3] * x + c[4] * y + c[5]
    m0, m2, rr, ra, rb, d2 = row["m0"], row["m2"], row["rr"], row["ra"], row["rb"], row["d2"]
    # The side of the cone.
    k2 = jnp.where(jnp.abs(row["k2"]) < 1e-9, 1e-9, row["k2"])
    k1 = d2 * m3 - m1 * m2 + m2 * rr * ra
    k0 = d2 * m5 - m1 * m1 + m1 * rr * ra * 2 - m0 * ra * ra
    h = k1 * k1 - k0 * k2
    t = (-jnp.sqrt(jnp.maximum(h, 0)) - k1) / k2
    place = m1 - ra * rr + t * m2
    far = -FAR
    t_side = jnp.where((h > 0) & (place > 0) & (place < d2), t, far)
    # The spheres at the ends.
    h1 = m3 * m3 - m5 + ra * ra
    t_a = jnp.where(h1 > 0, -m3 - jnp.sqrt(jnp.maximum(h1, 0)), far)
    m6 = m3 - m2
    h2 = m6 * m6 - (m5 - 2 * m1 + m0) + rb * rb
    t_b = jnp.where(h2 > 0, -m6 - jnp.sqrt(jnp.maximum(h2, 0)), far)
    t = jnp.minimum(t_side, jnp.minimum(t_a, t_b))
    ux, uy, uz = (affine(u) + t * u[3] for u in row["unit"])
    # Cloth ends at hems and cuffs and opens at the neck.
    lx = row["start"][0] + ux * row["scale"][0]
    ly = row["start"][1] + uy * row["scale"][1]
    lz = row["start"][2] + uz * row["scale"][2]
    cx, cy, half, before, behind, is_v = row["cut"]
    deep = jnp.where(lz > 0, before, behind)
    dx, dy = jnp.abs(lx - cx) / half, jnp.abs(ly - cy) / jnp.maximum(deep, 1e-6)
    opening = jnp.where(is_v > 0.5, dx + dy, jnp.sqrt(dx * dx + dy * dy))
    keep = (ly > row["clip"][0]) & (ly < row["clip"][1]) & ((opening > 1) | (deep <= 0)) & (t < 0.5 * far)
    return jnp.where(keep, -t / row["speed"], FAR), (ux, uy, uz)


def _boxes(primitives: body.Primitives, bones: body.Bones, camera: Camera):
    """Bounding boxes in pixels: low [P, 2] and high [P, 2]."""
    rotation = bones.rotation[primitives.bone]
    end = primitives.start + primitives.axis * primitives.scale
    world = lambda p: bones.origin[primitives.bone] + jnp.einsum("pij,pj->pi", rotation, p)  # noqa: E731
    # A sphere of radius r in unit space reaches r |row of R diag(scale)| along a world axis.
    reach = jnp.linalg.norm(rotation * primitives.scale[:, None, :], axis=-1)[:, :2] * camera.scale
    a, b = project(camera, world(primitives.start)), project(camera, world(end))
    ra, rb = primitives.radii[:, :1] * reach, primitives.radii[:, 1:] * reach
    return jnp.minimum(a - ra, b - rb) - 1, jnp.maximum(a + ra, b + rb) + 1


def nearest_everywhere(table: dict, primitives: body.Primitives, world_x: jax.Array, world_y: jax.Array):
    """For samples at world places [H, W]: the depth of the nearest primitive, and which it is (-1: none)."""
    count = primitives.bone.shape[0]

    def visit(i, best):
        depth, _ = hit(rows_of(table, i), world_x, world_y)
        depth = jnp.where(primitives.enabled[i], depth, FAR)
        nearer = depth > best[0]
        return jnp.where(nearer, depth, best[0]), jnp.where(nearer, i, best[1])

    start = (jnp.full(world_x.shape, 0.5 * FAR), jnp.full(world_x.shape, -1, jnp.int32))
    return jax.lax.fori_loop(0, count, visit, start)


def nearest_culled(table: dict, stage: Stage, world_x: jax.Array, world_y: jax.Array, step: float):
    """The same, visiting only tiles inside bounding boxes. `step` is the size of a sample in pixels."""
    primitives, size = stage.primitives, world_x.shape
    rows, columns = -(-size[0] // _TILE), -(-size[1] // _TILE)
    pad = ((0, rows * _TILE - size[0]), (0, columns * _TILE - size[1]))

    def tiled(a):
        padded = jnp.pad(a, pad, mode="edge").reshape(rows, _TILE, columns, _TILE)
        return padded.swapaxes(1, 2).reshape(rows * columns, -1)

    xs, ys = tiled(world_x), tiled(world_y)
    low, high = _boxes(primitives, stage.bones, stage.camera)
    top = jnp.arange(rows) * _TILE * step
    left = jnp.arange(columns) * _TILE * step
    span = _TILE * step
    over_rows = (top[None] <= high[:, 1:]) & (top[None] + span >= low[:, 1:])
    over_columns = (left[None] <= high[:, :1]) & (left[None] + span >= low[:, :1])
    over = (over_rows[:, :, None] & over_columns[:, None, :]).reshape(-1, rows * columns) & primitives.enabled[:, None]
    order = jnp.argsort(~over, axis=1)  # the tiles of each primitive first
    number = over.sum(1)
    last = max(rows * columns - _TILES_A_STEP, 0)

    def visit(state):
        i, first, depth, which = state
        # A window that would run off the list is moved back: visiting a tile twice changes nothing.
        tiles = jax.lax.dynamic_slice(order, (i, jnp.minimum(first, last)), (1, min(_TILES_A_STEP, rows * columns)))[0]
        found, _ = hit(rows_of(table, i), xs[tiles], ys[tiles])
        found = jnp.where(over[i, tiles][:, None], found, FAR)
        before = depth[tiles]
        nearer = found > before
        depth = depth.at[tiles].set(jnp.where(nearer, found, before), unique_indices=True)
        which = which.at[tiles].set(jnp.where(nearer, i, which[tiles]), unique_indices=True)
        first = first + _TILES_A_STEP
        done = first >= number[i]
        return i + done, jnp.where(done, 0, first), depth, which

    start = (jnp.int32(0), jnp.int32(0), jnp.full(xs.shape, 0.5 * FAR), jnp.full(xs.shape, -1, jnp.int32))
    state = jax.lax.while_loop(lambda s: s[0] < number.shape[0], visit, start)

    def untiled(a):
        return a.reshape(rows, columns, _TILE, _TILE).swapaxes(1, 2).reshape(rows * _TILE, -1)[: size[0], : size[1]]

    return untiled(state[2]), untiled(state[3])
