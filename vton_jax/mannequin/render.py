"""Rendering with exact truth: `render(identity, outfit, pose, scene)` is pure, so every counterfactual exists.

Conventions: see `people` and `body`. The camera is orthographic: pixel x = centre_x + scale X, pixel y = centre_y -
scale Y for a world point (X, Y, Z); a larger Z is nearer. Where a ray meets a body is a closed-form expression
(`rays`).

Two ways to the same picture: `culled=True` visits, primitive by primitive, only the 16x16 tiles of its bounding box
(for CPUs); `culled=False` visits every pixel, which `vmap`s well (for accelerators). A test holds them equal.
"""

import functools

import flax.struct
import jax
import jax.numpy as jnp

from vton_jax.mannequin import body, patterns, rays
from vton_jax.mannequin.people import Identity, Outfit, Pose, Scene
from vton_jax.mannequin.rays import Camera, Stage, project

SIZE = (256, 192)


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


def _world_grid(camera, size, samples):
    ys = (jnp.arange(size[0] * samples) + 0.5) / samples - 0.5
    xs = (jnp.arange(size[1] * samples) + 0.5) / samples - 0.5
    x, y = jnp.meshgrid(xs, ys)
    return (x - camera.centre[0]) / camera.scale, (camera.centre[1] - y) / camera.scale


def _shade(identity, outfit, scene, stage, which, *, table, world, size, samples):
    """Colours of what each sample shows; `world` are the samples' places (x, y)."""
    bones, primitives, camera = stage.bones, stage.primitives, stage.camera
    index = jnp.maximum(which, 0)
    take = functools.partial(rays.rows_of, index=index)
    _, (ux, uy, uz) = rays.hit(take(table), *world)
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
        both("pattern"), both("colours"), both("pattern_scale"), both("text"), u=u, v=v, x=lx, y=ly,
        front=torso & (lz > 0), grain=grain,
    )  # fmt: skip
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
    fraction_y, fraction_x = jnp.meshgrid(
        (jnp.arange(size[0] * samples) + 0.5) / (size[0] * samples),
        (jnp.arange(size[1] * samples) + 0.5) / (size[1] * samples),
        indexing="ij",
    )
    behind = patterns.background(scene, fraction_x, fraction_y)
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
    return inside & (front > 0.25 * rays.FAR) & (front - joints[:, 2] < tolerance)


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
    table = rays.ray_table(primitives, bones)

    def nearest(samples_a_pixel):
        x, y = _world_grid(camera, size, samples_a_pixel)
        if culled:
            found = rays.nearest_culled(table, stage, x, y, 1.0 / samples_a_pixel)
        else:
            found = rays.nearest_everywhere(table, primitives, x, y)
        return found, x, y

    (depth, which), x, y = nearest(1)
    surface = Surface(primitive=which, depth=depth, camera=camera, bones=bones, primitives=primitives)
    fine_which = which
    if samples > 1:
        (_, fine_which), x, y = nearest(samples)
    drawn = {"table": table, "world": (x, y), "size": size, "samples": samples}
    image = _shade(identity, outfit, scene, stage, fine_which, **drawn)
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
