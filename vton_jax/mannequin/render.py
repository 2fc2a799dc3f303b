"""Rendering with exact truth: `render(identity, outfit, pose, scene)` is pure, so every counterfactual exists.

Conventions: see `people` and `body`. The camera is orthographic: pixel x = centre_x + scale X, pixel y = centre_y -
scale Y for a world point (X, Y, Z); a larger Z is nearer. A ray meets a rounded cone where a quadratic says so (the
body of the cone, or a sphere at either end), so a frame is a closed-form expression; the intersection of an
orthographic ray follows from three dot products that are affine or quadratic in the pixel's place.

Two ways to the same picture: `culled=True` visits, primitive by primitive, only the 16x16 tiles of its bounding box
(for CPUs); `culled=False` visits every pixel, which `vmap`s well (for accelerators). A test holds them equal.
"""

import flax.struct
import jax
import jax.numpy as jnp

from vton_jax.mannequin import body, patterns
from vton_jax.mannequin.people import Identity, Outfit, Pose, Scene

SIZE = (256, 192)
_TILE = 16
_TILES_A_STEP = 24
_FAR = -1e3


@flax.struct.dataclass
class Camera:
    scale: jax.Array  # pixels a body height
    centre: jax.Array  # [2] pixel (x, y) of the world's origin


@flax.struct.dataclass
class Frame:
    """A rendered frame and its truth."""

    image: jax.Array  # float [H, W, 3] in [0, 1]
    segmentation: jax.Array  # uint8 [H, W]
    keypoints: jax.Array  # float [18, 2]
    visible: jax.Array  # bool [18]
    surface: "Surface"


@flax.struct.dataclass
class Surface:
    """What each pixel shows: enough to compute exact flows between two frames of one outfit."""

    primitive: jax.Array  # int [H, W], -1 for background
    depth: jax.Array  # [H, W] world Z
    camera: Camera
    bones: body.Bones
    primitives: body.Primitives


def camera_for(identity: Identity, pose: Pose, size: tuple[int, int]) -> Camera:
    height = body.height(identity)
    scale = 0.84 * size[0] * pose.zoom / height
    x = size[1] * (0.5 + pose.x) - 0.5
    y = size[0] * (0.5 + pose.y) - 0.5 + scale * 0.5 * height
    return Camera(scale=scale, centre=jnp.stack([x, y]))


def project(camera: Camera, points: jax.Array) -> jax.Array:
    """World points [..., 3] -> pixels [..., 2]."""
    return camera.centre + camera.scale * points[..., :2] * jnp.array([1.0, -1.0])


def _ray_table(primitives: body.Primitives, bones: body.Bones) -> dict:
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


def _hit(row: dict, x: jax.Array, y: jax.Array) -> tuple[jax.Array, ...]:
    """Where rays at world `(x, y)` meet primitives: depth (world Z; `_FAR` for a miss) and the unit-space point."""
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
    far = -_FAR
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
    return jnp.where(keep, -t / row["speed"], _FAR), (ux, uy, uz)


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


def _nearest_everywhere(table, primitives, world_x, world_y):
    count = primitives.bone.shape[0]

    def visit(i, best):
        depth, _ = _hit(jax.tree.map(lambda a: a[i], table), world_x, world_y)
        depth = jnp.where(primitives.enabled[i], depth, _FAR)
        nearer = depth > best[0]
        return jnp.where(nearer, depth, best[0]), jnp.where(nearer, i, best[1])

    start = (jnp.full(world_x.shape, 0.5 * _FAR), jnp.full(world_x.shape, -1, jnp.int32))
    return jax.lax.fori_loop(0, count, visit, start)


def _nearest_culled(table, primitives, bones, camera, world_x, world_y, size, step):
    """The same, visiting only tiles inside bounding boxes. `step` is the size of a sample in pixels."""
    rows, columns = -(-size[0] // _TILE), -(-size[1] // _TILE)
    pad = ((0, rows * _TILE - size[0]), (0, columns * _TILE - size[1]))

    def tiled(a):
        padded = jnp.pad(a, pad, mode="edge").reshape(rows, _TILE, columns, _TILE)
        return padded.swapaxes(1, 2).reshape(rows * columns, -1)

    xs, ys = tiled(world_x), tiled(world_y)
    low, high = _boxes(primitives, bones, camera)
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
        found, _ = _hit(jax.tree.map(lambda a: a[i], table), xs[tiles], ys[tiles])
        found = jnp.where(over[i, tiles][:, None], found, _FAR)
        before = depth[tiles]
        nearer = found > before
        depth = depth.at[tiles].set(jnp.where(nearer, found, before), unique_indices=True)
        which = which.at[tiles].set(jnp.where(nearer, i, which[tiles]), unique_indices=True)
        first = first + _TILES_A_STEP
        done = first >= number[i]
        return i + done, jnp.where(done, 0, first), depth, which

    start = (jnp.int32(0), jnp.int32(0), jnp.full(xs.shape, 0.5 * _FAR), jnp.full(xs.shape, -1, jnp.int32))
    state = jax.lax.while_loop(lambda s: s[0] < number.shape[0], visit, start)

    def untiled(a):
        return a.reshape(rows, columns, _TILE, _TILE).swapaxes(1, 2).reshape(rows * _TILE, -1)[: size[0], : size[1]]

    return untiled(state[2]), untiled(state[3])


def _world_grid(camera, size, samples):
    ys = (jnp.arange(size[0] * samples) + 0.5) / samples - 0.5
    xs = (jnp.arange(size[1] * samples) + 0.5) / samples - 0.5
    x, y = jnp.meshgrid(xs, ys)
    return (x - camera.centre[0]) / camera.scale, (camera.centre[1] - y) / camera.scale


def _shade(identity, outfit, scene, bones, primitives, table, which, world_x, world_y, camera, size, samples):
    """Colours of what each sample shows."""
    row = jax.tree.map(lambda a: a[jnp.maximum(which, 0)], table)
    _, (ux, uy, uz) = _hit(row, world_x, world_y)
    index = jnp.maximum(which, 0)
    take = lambda a: a[index]  # noqa: E731
    # The normal of a rounded cone: away from the axis point, tilted by the change of radius.
    axis, radii, scale = take(primitives.axis), take(primitives.radii), take(primitives.scale)
    point = jnp.stack([ux, uy, uz], -1)
    m0 = jnp.sum(axis * axis, -1)
    along = jnp.sum(axis * point, -1)
    ra, rb = radii[..., 0], radii[..., 1]
    d2 = jnp.maximum(m0 - jnp.square(ra - rb), 1e-9)
    across = jnp.linalg.norm(point - axis * (along / m0)[..., None], axis=-1)
    place = jnp.clip((along + across * (ra - rb) * jnp.sqrt(m0 / d2) * 1.0 - 0.0) / m0, 0, 1)
    normal = (point - axis * place[..., None]) / scale
    normal = jnp.einsum("...ij,...j->...i", bones.rotation[take(primitives.bone)], normal)
    normal = normal / jnp.maximum(jnp.linalg.norm(normal, axis=-1, keepdims=True), 1e-6)

    local = take(primitives.start) + point * scale
    lx, ly, lz = local[..., 0], local[..., 1], local[..., 2]
    angle = jnp.arctan2(lx, lz)
    u, v = angle * take(primitives.wrap), ly
    grain = 1.0 / (camera.scale * samples)
    material = take(primitives.material)
    is_lower = material == body.LOWER_CLOTH
    both = lambda name: jnp.where(  # noqa: E731
        is_lower.reshape(is_lower.shape + (1,) * getattr(outfit.upper, name).ndim),
        getattr(outfit.lower, name),
        getattr(outfit.upper, name),
    )
    torso = take(primitives.bone) == body.TORSO
    colour = patterns.cloth(
        both("pattern"), both("colours"), both("pattern_scale"), both("text"), u, v, lx, ly, torso & (lz > 0), grain
    )
    # Folds belong to the cloth, so they move with it.
    colour = colour * (1 + 0.05 * jnp.sin(70 * v + 9 * jnp.sin(31 * u)) * jnp.sin(23 * u + 11 * v))[..., None]
    strands = identity.hair * (1 + 0.16 * jnp.sin(700 * lx + 9 * jnp.sin(90 * ly)))[..., None]
    face = patterns.face(identity, lx, ly, lz, grain)
    pick = lambda value, kind, colour: jnp.where((material == kind)[..., None], value, colour)  # noqa: E731
    colour = pick(identity.skin, body.SKIN, colour)
    colour = pick(face, body.FACE, colour)
    colour = pick(strands, body.HAIR, colour)
    colour = pick(outfit.shoes, body.SHOE, colour)
    lit = jnp.clip(normal @ scene.light, 0, 1)
    light = scene.ambient + (1 - scene.ambient) * (0.85 * lit + 0.25 * jnp.clip(normal[..., 2], 0, 1))
    colour = jnp.clip(colour * light[..., None], 0, 1)
    share_y, share_x = jnp.meshgrid(
        (jnp.arange(size[0] * samples) + 0.5) / (size[0] * samples),
        (jnp.arange(size[1] * samples) + 0.5) / (size[1] * samples),
        indexing="ij",
    )
    behind = patterns.background(scene, share_x, share_y)
    return jnp.where((which >= 0)[..., None], colour, behind)


def _visible(joints, pixels, depth, size):
    """A joint is visible when it lies in the frame, on the person, and nothing far in front of it hides it.

    Joints lie inside the body: up to 0.085 of flesh and cloth does not hide one, an arm before the hip does not either,
    the whole torso before the far shoulder does. Points of the face lie on the skin and need to be seen.
    """
    x = jnp.round(pixels[:, 0]).astype(jnp.int32)
    y = jnp.round(pixels[:, 1]).astype(jnp.int32)
    inside = (x >= 0) & (x < size[1]) & (y >= 0) & (y < size[0])
    front = depth[jnp.clip(y, 0, size[0] - 1), jnp.clip(x, 0, size[1] - 1)]
    tolerance = jnp.array([0.025] + [0.1] * 13 + [0.025] * 4)
    return inside & (front > 0.25 * _FAR) & (front - joints[:, 2] < tolerance)


@flax.struct.dataclass
class Stage:
    """A posed person or garment before the camera, ready to be drawn."""

    bones: body.Bones
    primitives: body.Primitives
    camera: Camera


def stage_person(identity: Identity, outfit: Outfit, pose: Pose, size: tuple[int, int]) -> Stage:
    bones = body.bones_of(identity, pose)
    return Stage(bones, body.primitives_of(identity, outfit, bones), camera_for(identity, pose, size))


def stage_flat(
    identity: Identity, outfit: Outfit, pose: Pose, lower: jax.Array | bool, size: tuple[int, int]
) -> tuple[Stage, jax.Array, jax.Array]:
    """The outfit's upper garment or dress (or its lower one) alone, filling most of the frame whatever its length.

    Returns the stage, the landmarks [12, 2] in pixels, and which of them it has [12].
    """
    bones = body.bones_of(identity, pose)
    points, present = body.landmarks_of(identity, outfit, bones, lower)
    low = jnp.where(present[:, None], points[:, :2], jnp.inf).min(0)
    high = jnp.where(present[:, None], points[:, :2], -jnp.inf).max(0)
    low, high = jnp.where(jnp.isfinite(low), low, 0.0), jnp.where(jnp.isfinite(high), high, 1.0)
    extent = jnp.maximum(high - low, 0.05)
    scale = 0.84 * pose.zoom * jnp.minimum(size[1] / (extent[0] + 0.03), size[0] / (extent[1] + 0.03))
    middle = 0.5 * (low + high)
    x = size[1] * (0.5 + pose.x) - 0.5 - scale * middle[0]
    y = size[0] * (0.5 + pose.y) - 0.5 + scale * middle[1]
    camera = Camera(scale=scale, centre=jnp.stack([x, y]))
    show = jnp.where(lower, body.ONLY_LOWER, body.ONLY_UPPER)
    stage = Stage(bones, body.primitives_of(identity, outfit, bones, show), camera)
    return stage, jnp.where(present[:, None], project(camera, points), 0.0), present


_ARMS, _LEGS = (1, 2, 3, 4, 5, 6, 7, 8, 11), (8, 9, 10, 11, 12, 13)


def wearer_joints(outfit: Outfit, lower: jax.Array | bool) -> jax.Array:
    """Which joints of its invisible wearer a flat garment tells of [18]."""
    arms, legs = jnp.zeros(18, bool).at[jnp.array(_ARMS)].set(True), jnp.zeros(18, bool).at[jnp.array(_LEGS)].set(True)
    return jnp.where(lower, legs, jnp.where(outfit.dress > 0.5, arms | legs, arms))


def shoot(
    identity: Identity, outfit: Outfit, scene: Scene, stage: Stage, *, size: tuple[int, int] = SIZE, samples: int = 1,
    culled: bool = True, joints: jax.Array | None = None,
) -> Frame:  # fmt: skip
    """Draws a stage with its truth. `joints` [18]: name the visible joints instead of looking for them."""
    bones, primitives, camera = stage.bones, stage.primitives, stage.camera
    table = _ray_table(primitives, bones)

    def nearest(samples_a_pixel):
        x, y = _world_grid(camera, size, samples_a_pixel)
        if culled:
            fine = (size[0] * samples_a_pixel, size[1] * samples_a_pixel)
            found = _nearest_culled(table, primitives, bones, camera, x, y, fine, 1.0 / samples_a_pixel)
        else:
            found = _nearest_everywhere(table, primitives, x, y)
        return found, x, y

    (depth, which), x, y = nearest(1)
    surface = Surface(primitive=which, depth=depth, camera=camera, bones=bones, primitives=primitives)
    fine_which = which
    if samples > 1:
        (_, fine_which), x, y = nearest(samples)
    image = _shade(identity, outfit, scene, bones, primitives, table, fine_which, x, y, camera, size, samples)
    if samples > 1:
        image = image.reshape(size[0], samples, size[1], samples, 3).mean((1, 3))
    labels = jnp.where(which >= 0, primitives.label[jnp.maximum(which, 0)], 0).astype(jnp.uint8)
    points = body.joints_of(identity, bones)
    pixels = project(camera, points)
    visible = _visible(points, pixels, depth, size) if joints is None else joints
    keypoints = jnp.where(visible[:, None], pixels, 0.0)
    return Frame(image=image, segmentation=labels, keypoints=keypoints, visible=visible, surface=surface)


def render(
    identity: Identity, outfit: Outfit, pose: Pose, scene: Scene, *, size: tuple[int, int] = SIZE, samples: int = 1,
    culled: bool = True,
) -> Frame:  # fmt: skip
    """Renders one frame with its truth.

    Args:
      size: (height, width) in pixels.
      samples: colour samples a pixel and axis (2 smooths edges at four times the cost).
      culled: see the module's docstring.
    """
    stage = stage_person(identity, outfit, pose, size)
    return shoot(identity, outfit, scene, stage, size=size, samples=samples, culled=culled)


@flax.struct.dataclass
class FlatGarment:
    """A garment alone, laid flat on white, with its truth; the frame's keypoints are the invisible wearer's joints."""

    frame: Frame
    landmarks: jax.Array  # float [12, 2] pixels
    present: jax.Array  # bool [12]


def render_flat(
    identity: Identity, outfit: Outfit, pose: Pose, scene: Scene, *, lower: jax.Array | bool = False,
    size: tuple[int, int] = SIZE, samples: int = 1, culled: bool = True,
) -> FlatGarment:  # fmt: skip
    """The outfit's upper garment (or dress), or its lower one, alone; `identity` gives the size it is cut for.

    The pose should be `motion.flat_pose()`.
    """
    stage, landmarks, present = stage_flat(identity, outfit, pose, lower, size)
    frame = shoot(
        identity, outfit, scene, stage, size=size, samples=samples, culled=culled, joints=wearer_joints(outfit, lower)
    )
    return FlatGarment(frame=frame, landmarks=landmarks, present=present)


def flow_between(source: Surface, target: Surface, size: tuple[int, int] = SIZE) -> tuple[jax.Array, jax.Array]:
    """The exact backward flow [H, W, 2] by which `warp(source image, flow)` shows the target, and where it is visible.

    Both surfaces must be of one identity and one outfit (or of a flat garment and its wearer). The flow is zero and not
    visible where the target shows background, or a point of the surface that the source hides.
    """
    height, width = size
    x, y = _world_grid(target.camera, size, 1)
    which = jnp.maximum(target.primitive, 0)
    world = jnp.stack([x, y, target.depth], -1)
    bone = target.primitives.bone[which]
    local = jnp.einsum("...ji,...j->...i", target.bones.rotation[bone], world - target.bones.origin[bone])
    unit = (local - target.primitives.start[which]) / target.primitives.scale[which]
    local = source.primitives.start[which] + unit * source.primitives.scale[which]
    there = source.bones.origin[bone] + jnp.einsum("...ij,...j->...i", source.bones.rotation[bone], local)
    pixels = project(source.camera, there)
    column, line = jnp.round(pixels[..., 0]).astype(jnp.int32), jnp.round(pixels[..., 1]).astype(jnp.int32)
    inside = (column >= 0) & (column < width) & (line >= 0) & (line < height)
    index = jnp.clip(line, 0, height - 1) * width + jnp.clip(column, 0, width - 1)
    seen = jnp.take(source.primitive.reshape(-1), index)
    depth = jnp.take(source.depth.reshape(-1), index)
    label = lambda surface, i: surface.primitives.label[jnp.maximum(i, 0)]  # noqa: E731
    same = (seen >= 0) & (label(source, seen) == label(target, which)) & (jnp.abs(depth - there[..., 2]) < 0.02)
    visible = inside & same & (target.primitive >= 0)
    ys, xs = jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij")
    flow = pixels - jnp.stack([xs, ys], -1)
    return jnp.where(visible[..., None], flow, 0.0), visible
