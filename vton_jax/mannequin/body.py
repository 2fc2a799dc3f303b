"""The articulated body: bones posed by forward kinematics, and the rounded cones that clothe them.

Conventions: lengths in body heights; a bone is a rigid frame `rotation` [3, 3] (columns are its axes in the world) and
`origin` [3]; limbs point along their own -y. A primitive is a rounded cone in a bone's frame, stretched by `scale`
about its first end: local = start + scale * unit, where in unit space spheres of radius `radii` sit at 0 and at `axis`.
Left is index 0 of every pair; with yaw 0 the person faces the camera and their left is the picture's right (+x).
"""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import segmentation
from vton_jax.mannequin.people import Identity, Outfit, Pose

TORSO, HEAD = 0, 1
UPPER_ARM, FOREARM, THIGH, SHIN, FOOT = (2, 3), (4, 5), (6, 7), (8, 9), (10, 11)
HIP_HEIGHT, NECK, SHOULDER, SHOULDER_HALF, HIP_HALF = 0.53, 0.275, 0.262, 0.105, 0.055
UPPER_ARM_LENGTH, FOREARM_LENGTH, THIGH_LENGTH, SHIN_LENGTH = 0.17, 0.15, 0.245, 0.245
SKIN, FACE, HAIR, SHOE, UPPER_CLOTH, LOWER_CLOTH = range(6)
EVERYTHING, ONLY_UPPER, ONLY_LOWER = range(3)
_L = segmentation.ID


@flax.struct.dataclass
class Bones:
    rotation: jax.Array  # [12, 3, 3]
    origin: jax.Array  # [12, 3]


@flax.struct.dataclass
class Primitives:
    """The table of rounded cones, P rows."""

    bone: jax.Array  # [P] int
    start: jax.Array  # [P, 3] in the bone's frame
    axis: jax.Array  # [P, 3] in unit space
    radii: jax.Array  # [P, 2]
    scale: jax.Array  # [P, 3]
    clip: jax.Array  # [P, 2] lowest and highest y in the bone's frame that exist
    cut: jax.Array  # [P, 6] an opening: centre x, y; half width, depth in front, depth behind; 1 for a V shape
    label: jax.Array  # [P] int
    material: jax.Array  # [P] int
    wrap: jax.Array  # [P] radius that turns an angle around the bone into cloth length
    enabled: jax.Array  # [P] bool


# A turn about an axis is cosine and sine times the first two matrices, and the third.
_TURNS = np.array(
    [
        [[[0, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 0, 0], [0, 0, -1], [0, 1, 0]], [[1, 0, 0], [0, 0, 0], [0, 0, 0]]],
        [[[1, 0, 0], [0, 0, 0], [0, 0, 1]], [[0, 0, 1], [0, 0, 0], [-1, 0, 0]], [[0, 0, 0], [0, 1, 0], [0, 0, 0]]],
        [[[1, 0, 0], [0, 1, 0], [0, 0, 0]], [[0, -1, 0], [1, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 0, 0], [0, 0, 1]]],
    ],
    np.float32,
)


def _rotate(axis: int, angle: jax.Array) -> jax.Array:
    cosine, sine, rest = _TURNS[axis]
    return jnp.cos(angle) * cosine + jnp.sin(angle) * sine + rest


def height(identity: Identity) -> jax.Array:
    return HIP_HEIGHT * identity.legs + 0.47


def bones_of(identity: Identity, pose: Pose) -> Bones:
    """Forward kinematics: the frame of every bone in the world."""
    torso = _rotate(1, pose.yaw) @ _rotate(0, pose.lean) @ _rotate(2, pose.sway)
    root = jnp.array([0.0, HIP_HEIGHT, 0.0]) * identity.legs
    at = lambda rotation, origin, point: origin + rotation @ jnp.stack([jnp.asarray(p, jnp.float32) for p in point])  # noqa: E731
    rotations, origins = [torso], [root]
    rotations.append(torso @ _rotate(1, pose.head_yaw) @ _rotate(0, pose.head_pitch))
    origins.append(at(torso, root, (0.0, 0.32, 0.0)))
    arms, forearms, thighs, shins = [], [], [], []
    for i, side in enumerate((1.0, -1.0)):
        shoulder = at(torso, root, (side * SHOULDER_HALF * identity.shoulders, SHOULDER, 0.0))
        arm = torso @ _rotate(2, side * pose.shoulder_spread[i]) @ _rotate(0, -pose.shoulder_flex[i])
        elbow = at(arm, shoulder, (0.0, -UPPER_ARM_LENGTH, 0.0))
        arms.append((arm, shoulder))
        forearms.append((arm @ _rotate(1, -side * pose.forearm_turn[i]) @ _rotate(0, -pose.elbow[i]), elbow))
        hip = at(torso, root, (side * HIP_HALF * identity.hips, -0.005, 0.0))
        thigh = torso @ _rotate(2, side * pose.hip_spread[i]) @ _rotate(0, -pose.hip_flex[i])
        knee = at(thigh, hip, (0.0, -THIGH_LENGTH * identity.legs, 0.0))
        thighs.append((thigh, hip))
        shins.append((thigh @ _rotate(0, pose.knee[i]), knee))
    feet = [(r, at(r, o, (0.0, -SHIN_LENGTH * identity.legs, 0.0))) for r, o in shins]
    for rotation, origin in arms + forearms + thighs + shins + feet:
        rotations.append(rotation)
        origins.append(origin)
    return Bones(rotation=jnp.stack(rotations), origin=jnp.stack(origins))


def joints_of(identity: Identity, bones: Bones) -> jax.Array:
    """The 18 keypoints in the world [18, 3], in COCO-18 order."""
    vector = lambda point: jnp.stack([jnp.asarray(p, jnp.float32) for p in point])  # noqa: E731
    at = lambda bone, *point: bones.origin[bone] + bones.rotation[bone] @ vector(point)  # noqa: E731
    arm = lambda i: [bones.origin[UPPER_ARM[i]], bones.origin[FOREARM[i]], at(FOREARM[i], 0.0, -FOREARM_LENGTH, 0.0)]  # noqa: E731
    leg = lambda i: [bones.origin[THIGH[i]], bones.origin[SHIN[i]], bones.origin[FOOT[i]]]  # noqa: E731
    # On the skin, not before it: in profile an eye would lie beside the head.
    eye, ear = 0.025, 0.05 * identity.face_width
    return jnp.stack(
        [at(HEAD, 0.0, 0.06, 0.08), at(TORSO, 0.0, NECK, 0.0)]
        + arm(1)
        + arm(0)
        + leg(1)
        + leg(0)
        + [at(HEAD, -eye, 0.085, 0.055), at(HEAD, eye, 0.085, 0.055)]
        + [at(HEAD, -ear, 0.075, 0.0), at(HEAD, ear, 0.075, 0.0)]
    )


def _reach_of_legs(identity: Identity, bones: Bones) -> jax.Array:
    """How far knees and ankles lie before or behind the torso's plane: what a skirt must make room for."""
    points = jnp.stack([bones.origin[SHIN[0]], bones.origin[SHIN[1]]])
    local = (points - bones.origin[TORSO]) @ bones.rotation[TORSO]
    return jnp.abs(local[:, 2]).max()


class _Parts:
    """Rounded cones in the making. `show`: see `primitives_of`.

    A column is gathered from one vector of constants and traced numbers: a program of few operations is quickly traced
    and compiled.
    """

    def __init__(self, show):
        self.rows: list[dict] = []
        self.show = jnp.asarray(show)

    def add(self, bone, ends, radii, label, material, *, depth=1.0, wide=1.0, clip=(-10.0, 10.0),
            cut=(0.0, 99.0, 1e-3, 1e-3, 1e-3, 0.0), wrap=0.045, enabled=True, show_with=EVERYTHING):  # fmt: skip
        """A cone between its two `ends` with their `radii`; by default nothing is cut off."""
        self.rows.append(
            {
                "bone": bone, "start": ends[0], "end": ends[1], "radii": radii, "scale": (wide, 1.0, depth),
                "clip": clip, "cut": cut, "label": label, "material": material, "wrap": wrap, "enabled": enabled,
                "show_with": show_with,
            }
        )  # fmt: skip

    def _column(self, name: str, dtype=jnp.float32) -> jax.Array:
        """A number or vector of every cone: [P] or [P, n]."""
        values = [row[name] for row in self.rows]
        shape = np.shape(values[0]) if not isinstance(values[0], tuple) else (len(values[0]),)
        numbers = [v for value in values for v in value] if shape else values
        traced = {id(v): v for v in numbers if isinstance(v, jax.Array)}
        constants = np.unique(np.array([v for v in numbers if not isinstance(v, jax.Array)], dtype))
        places = {key: place for place, key in enumerate(traced)}
        where = [
            places[id(v)] if isinstance(v, jax.Array) else len(traced) + int(np.searchsorted(constants, dtype(v)))
            for v in numbers
        ]
        if not traced:
            return jnp.asarray(constants[where].reshape(len(values), *shape))
        parts = [jnp.stack([v.astype(dtype) for v in traced.values()]), jnp.asarray(constants, dtype)]
        return jnp.concatenate(parts)[np.array(where).reshape(len(values), *shape)]

    def table(self) -> Primitives:
        names = ("start", "radii", "scale", "clip", "cut", "wrap")
        start, radii, scale, clip, cut, wrap = (self._column(name, np.float32) for name in names)
        bone, label, material, show_with = (
            self._column(name, np.int32) for name in ("bone", "label", "material", "show_with")
        )
        shown = (self.show == EVERYTHING) | ((show_with != EVERYTHING) & (self.show == show_with))
        return Primitives(
            bone=bone, start=start, axis=(self._column("end", np.float32) - start) / scale, radii=radii, scale=scale,
            clip=clip, cut=cut, label=label, material=material, wrap=wrap,
            enabled=self._column("enabled", np.bool_) & shown,
        )  # fmt: skip


def primitives_of(identity: Identity, outfit: Outfit, bones: Bones, show: jax.Array | int = EVERYTHING) -> Primitives:
    """The rounded cones of a dressed person, or of one garment alone (`show`, which may be traced)."""
    parts = _Parts(show)
    hip_r, waist_r, torso = _add_body(parts, identity, outfit)
    _add_upper(parts, identity, outfit, torso)
    _add_skirts(parts, identity, outfit, bones, (hip_r, waist_r))
    _add_lower(parts, identity, outfit, torso)
    _add_hair(parts, identity)
    return parts.table()


_SIDES = 0, 1
_FLAT = 0.62  # a torso is that much less deep than wide


def _add_body(parts: _Parts, identity: Identity, outfit: Outfit):
    """Skin and shoes. Returns the radii of hips and waist, and the torso's cones, for the clothes over them."""
    add = parts.add
    g, leg = identity.girth, identity.legs
    upper, lower, dress, skirt = outfit.upper, outfit.lower, outfit.dress > 0.5, outfit.skirt > 0.5
    face = _L["face"]
    arm_label, leg_label, shoe_label = segmentation.ARMS, segmentation.LEGS, segmentation.SHOES
    hip_r, waist_r, chest_r = 0.088 * g * identity.hips, 0.072 * g * identity.waist, 0.088 * g * identity.shoulders
    shoulder_x = 0.086 * identity.shoulders

    add(HEAD, ((0, 0.05, 0.01), (0, 0.095, 0.0)), (0.052, 0.066), face, FACE, wide=0.86 * identity.face_width,
        depth=1.02)  # fmt: skip
    add(HEAD, ((0, 0.075, 0.07), (0, 0.058, 0.078)), (0.006, 0.009), face, SKIN)
    add(TORSO, ((0, 0.25, 0), (0, 0.35, 0.004)), (0.036 * g, 0.03 * g), face, SKIN)
    torso = [
        (((0, -0.01, 0), (0, 0.10, 0)), hip_r, waist_r, _FLAT),
        (((0, 0.10, 0), (0, 0.205, 0)), waist_r, chest_r, _FLAT),
        (((0, 0.268, 0), (shoulder_x, 0.252, 0)), 0.042 * g, 0.034 * g, 0.9),
        (((0, 0.268, 0), (-shoulder_x, 0.252, 0)), 0.042 * g, 0.034 * g, 0.9),
    ]
    for ends, r0, r1, depth in torso:
        add(TORSO, ends, (r0, r1), face, SKIN, depth=depth)
    covered = jnp.where(dress, upper.hem, jnp.where(skirt, lower.hem, 0.0)) * (THIGH_LENGTH + SHIN_LENGTH) * leg
    covering = dress | skirt
    for i in _SIDES:
        add(UPPER_ARM[i], ((0, -0.005, 0), (0, -UPPER_ARM_LENGTH, 0)), (0.032 * g, 0.024 * g), arm_label[i], SKIN)
        add(FOREARM[i], ((0, 0, 0), (0, -FOREARM_LENGTH, 0)), (0.025 * g, 0.017 * g), arm_label[i], SKIN)
        add(FOREARM[i], ((0, -FOREARM_LENGTH - 0.012, 0), (0, -FOREARM_LENGTH - 0.055, 0.004)), (0.021, 0.013),
            arm_label[i], SKIN, depth=0.6)  # fmt: skip
        # Where a skirt covers the leg, the leg is left out, so that a striding knee does not pierce the cloth.
        below = (-10.0, jnp.where(covering, 0.02 - covered, 10.0))
        add(THIGH[i], ((0, 0, 0), (0, -THIGH_LENGTH * leg, 0)), (0.053 * g, 0.036 * g), leg_label[i], SKIN, clip=below)
        below = (-10.0, jnp.where(covering, 0.02 - covered + THIGH_LENGTH * leg, 10.0))
        add(SHIN[i], ((0, 0, 0), (0, -SHIN_LENGTH * leg, 0)), (0.037 * g, 0.021 * g), leg_label[i], SKIN, clip=below)
        add(FOOT[i], ((0, -0.014, -0.012), (0, -0.026, 0.072)), (0.024, 0.018), shoe_label[i], SHOE)
        top = 0.02 + 0.07 * outfit.shoe_height
        add(SHIN[i], ((0, -SHIN_LENGTH * leg + 0.1, 0), (0, -SHIN_LENGTH * leg - 0.012, 0)), (0.03 * g, 0.026),
            shoe_label[i], SHOE, clip=(-10.0, -SHIN_LENGTH * leg + top))  # fmt: skip
    return hip_r, waist_r, torso


def _upper_label(outfit: Outfit) -> jax.Array:
    return jnp.where(outfit.dress > 0.5, _L["dress"], _L["upper-clothes"])


def _add_upper(parts: _Parts, identity: Identity, outfit: Outfit, torso: list) -> None:
    """The upper garment, or the dress above its skirt."""
    add, g, upper, cloth = parts.add, identity.girth, outfit.upper, _upper_label(outfit)
    fit, neck = upper.fit, upper.neck_depth
    opening = (0.0, 0.305, upper.neck_width, neck + 0.02, 0.012 + 0.25 * neck, upper.neck_v)
    hem = jnp.where(outfit.dress > 0.5, -0.2, -upper.hem)
    for ends, r0, r1, depth in torso:
        add(TORSO, ends, (r0 + fit, r1 + fit), cloth, UPPER_CLOTH, depth=depth, clip=(hem, 10.0), cut=opening,
            wrap=0.09, show_with=ONLY_UPPER)  # fmt: skip
    arm_length = UPPER_ARM_LENGTH + FOREARM_LENGTH
    sleeve = upper.sleeve * arm_length
    for i in _SIDES:
        add(UPPER_ARM[i], ((0, -0.003, 0), (0, -UPPER_ARM_LENGTH, 0)), (0.034 * g + fit, 0.026 * g + 1.2 * fit), cloth,
            UPPER_CLOTH, clip=(-sleeve, 10.0), enabled=upper.sleeve > 0.02, show_with=ONLY_UPPER)  # fmt: skip
        add(FOREARM[i], ((0, 0, 0), (0, -FOREARM_LENGTH, 0)), (0.026 * g + 1.2 * fit, 0.019 * g + fit), cloth,
            UPPER_CLOTH, clip=(-(sleeve - UPPER_ARM_LENGTH), 10.0), enabled=sleeve > UPPER_ARM_LENGTH + 0.005,
            show_with=ONLY_UPPER)  # fmt: skip


def _add_skirts(parts: _Parts, identity: Identity, outfit: Outfit, bones: Bones, radii: tuple) -> None:
    """Skirts, of a dress or alone; they widen to where the knees are. `radii` of hips and waist."""
    dress, skirt, (hip_r, waist_r) = outfit.dress > 0.5, outfit.skirt > 0.5, radii
    reach = jnp.clip(_reach_of_legs(identity, bones), 0.0, 0.12)
    for garment, label, material, worn, show_with in (
        (outfit.upper, _upper_label(outfit), UPPER_CLOTH, dress, ONLY_UPPER),
        (outfit.lower, _L["skirt"], LOWER_CLOTH, ~dress & skirt, ONLY_LOWER),
    ):
        length = garment.hem * (THIGH_LENGTH + SHIN_LENGTH) * identity.legs
        width = hip_r + garment.fit + 0.015 + 0.09 * garment.flare * length / 0.3
        parts.add(TORSO, ((0, 0.085, 0), (0, -length, 0)), (waist_r + garment.fit + 0.004, width), label, material,
                  depth=_FLAT + 1.6 * reach, clip=(-length, 0.095), wrap=0.09, enabled=worn,
                  show_with=show_with)  # fmt: skip


def _add_lower(parts: _Parts, identity: Identity, outfit: Outfit, torso: list) -> None:
    """The hips of skirts and trousers, and the legs of trousers."""
    add, g, leg, lower = parts.add, identity.girth, identity.legs, outfit.lower
    dress, skirt = outfit.dress > 0.5, outfit.skirt > 0.5
    label = jnp.where(skirt, _L["skirt"], _L["pants"])
    ends, r0, r1, depth = torso[0]
    below_hip = jnp.where(skirt, -lower.hem * (THIGH_LENGTH + SHIN_LENGTH) * leg, -10.0)
    add(TORSO, ends, (r0 + lower.fit + 0.002, r1 + lower.fit * 0.5 + 0.002), label, LOWER_CLOTH, depth=depth,
        clip=(below_hip, 0.085), wrap=0.09, enabled=~dress, show_with=ONLY_LOWER)  # fmt: skip
    trouser = lower.hem * (THIGH_LENGTH + SHIN_LENGTH) * leg
    for i in _SIDES:
        worn = ~dress & ~skirt
        loose = lower.fit * (0.6 + 0.6 * lower.flare)
        add(THIGH[i], ((0, 0, 0), (0, -THIGH_LENGTH * leg, 0)), (0.054 * g + 0.006, 0.038 * g + loose), label,
            LOWER_CLOTH, clip=(-trouser, 10.0), enabled=worn, show_with=ONLY_LOWER)  # fmt: skip
        add(SHIN[i], ((0, 0, 0), (0, -SHIN_LENGTH * leg, 0)), (0.038 * g + loose, 0.024 * g + 0.006 + loose), label,
            LOWER_CLOTH, clip=(THIGH_LENGTH * leg - trouser, 10.0), enabled=worn & (trouser > THIGH_LENGTH * leg),
            show_with=ONLY_LOWER)  # fmt: skip


def _add_hair(parts: _Parts, identity: Identity) -> None:
    """A cap open at the face, and what hangs or is tied behind."""
    add, style, hair = parts.add, identity.hair_style, _L["hair"]
    brow = (0.0, 0.05, 0.054, 0.066, -1.0, 0.0)
    add(HEAD, ((0, 0.06, -0.006), (0, 0.1, -0.004)), (0.062, 0.07), hair, HAIR, wide=0.94, clip=(0.045, 10.0), cut=brow)
    hanging = (style == 1) | (style == 2)
    drop = jnp.where(style == 2, -0.10, -0.015)
    add(HEAD, ((0, 0.085, -0.022), (0, drop, -0.038)), (0.062, jnp.where(style == 2, 0.06, 0.066)), hair, HAIR,
        wide=1.05, depth=0.75, clip=(drop, 10.0), cut=(0.0, 0.03, 0.058, 0.1, -1.0, 0.0), enabled=hanging)  # fmt: skip
    add(HEAD, ((0, 0.165, -0.03), (0, 0.17, -0.03)), (0.034, 0.03), hair, HAIR, enabled=style == 3)
    add(HEAD, ((0, 0.12, -0.075), (0, -0.06, -0.08)), (0.024, 0.016), hair, HAIR, enabled=style == 4)


LANDMARKS = (
    "neck-left", "neck-right", "shoulder-left", "shoulder-right", "cuff-left-outer", "cuff-left-inner",
    "cuff-right-outer", "cuff-right-inner", "waist-left", "waist-right", "hem-left", "hem-right",
)  # fmt: skip


def landmarks_of(
    identity: Identity, outfit: Outfit, bones: Bones, lower: jax.Array | bool
) -> tuple[jax.Array, jax.Array]:
    """The `LANDMARKS` of a garment in the world [12, 3], and which of them it has [12]; left is the wearer's."""
    g, leg = identity.girth, identity.legs
    vector = lambda *point: jnp.stack([jnp.asarray(p, jnp.float32) for p in point])  # noqa: E731
    at = lambda bone, x, y: bones.origin[bone] + bones.rotation[bone] @ vector(x, y, 0.0)  # noqa: E731
    sides = ((0, 1.0), (1, -1.0))
    upper, dress, skirt = outfit.upper, outfit.dress > 0.5, outfit.skirt > 0.5
    hip_r, waist_r = 0.088 * g * identity.hips, 0.072 * g * identity.waist
    points, present = [], []
    fit, length = outfit.lower.fit, outfit.lower.hem * (THIGH_LENGTH + SHIN_LENGTH) * leg
    points += [jnp.zeros(3)] * 8
    present += [jnp.asarray(False)] * 8
    points += [at(TORSO, side * (waist_r + 0.5 * fit), 0.085) for _, side in sides]
    width = hip_r + fit + 0.015 + 0.09 * outfit.lower.flare * length / 0.3
    for i, side in sides:
        short = length < THIGH_LENGTH * leg
        thigh = at(THIGH[i], side * 0.045 * g, -length)
        shin = at(SHIN[i], side * 0.032 * g, THIGH_LENGTH * leg - length)
        points.append(jnp.where(skirt, at(TORSO, side * width, -length), jnp.where(short, thigh, shin)))
    present += [~dress] * 4
    lower_points, lower_present = jnp.stack(points), jnp.stack(present)

    points = [at(TORSO, side * upper.neck_width, 0.305) for _, side in sides]
    points += [at(TORSO, side * SHOULDER_HALF * identity.shoulders, SHOULDER + 0.03) for _, side in sides]
    sleeve = upper.sleeve * (UPPER_ARM_LENGTH + FOREARM_LENGTH)
    for i, side in sides:
        for out in (1.0, -1.0):
            wide = side * out * (0.028 * g + 1.1 * upper.fit)
            near = at(UPPER_ARM[i], wide, -jnp.maximum(sleeve, 0.02))
            far = at(FOREARM[i], wide * 0.8, UPPER_ARM_LENGTH - sleeve)
            points.append(jnp.where(sleeve < UPPER_ARM_LENGTH, near, far))
    points += [at(TORSO, side * (waist_r + upper.fit), 0.1) for _, side in sides]
    length = upper.hem * (THIGH_LENGTH + SHIN_LENGTH) * leg
    width = hip_r + upper.fit + 0.015 + 0.09 * upper.flare * length / 0.3
    for _, side in sides:
        points.append(
            jnp.where(dress, at(TORSO, side * width, -length), at(TORSO, side * (hip_r + upper.fit), -upper.hem))
        )
    # A sleeveless garment has armholes, no cuffs.
    is_cuff = jnp.arange(12) // 4 == 1
    upper_present = ~is_cuff | (upper.sleeve > 0.02)
    points = jnp.where(lower, lower_points, jnp.stack(points))
    return points, jnp.where(lower, lower_present, upper_present)
