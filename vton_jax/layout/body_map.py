"""The body map: where the points of a picture lie on trunk, skirt and limbs, and where such places lie in a picture.

"Where in the source does this target pixel lie?" is answered by it alone for labels, in
alignment.py, flat across the parts.

Conventions: `Body`: see body.py. Radii are fractions of the body height. Parts are numbered: 0 trunk, 1 skirt (hips and
what hangs from them), then the eight limbs in the order of `LIMBS`. Left and right are the person's own. All functions
take one frame; `jax.vmap` them over batches.
"""

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.keypoints import ID
from vton_jax.layout.body import PROPORTIONS, Body, length_of

# Name, first and second joint, radius at each, and the label of its skin. The radii are those
# of the capsule mannequins (until commit fdce6ac) and a thousandth or two of the height more.
LIMBS = tuple(
    (f"{side}-{limb}", ID[f"{side}-{a}"], ID[f"{side}-{b}"], r0, r1, segmentation.ID[f"{side}-{label}"])
    for side in ("right", "left")
    for limb, a, b, r0, r1, label in (
        ("upper-arm", "shoulder", "elbow", 0.033, 0.025, "arm"), ("forearm", "elbow", "wrist", 0.026, 0.018, "arm"),
        ("thigh", "hip", "knee", 0.053, 0.037, "leg"), ("shin", "knee", "ankle", 0.038, 0.023, "leg"),
    )
)  # fmt: skip
TRUNK, SKIRT, NUM_PARTS = 0, 1, 2 + len(LIMBS)
FIRST = np.array([limb[1] for limb in LIMBS])
SECOND = np.array([limb[2] for limb in LIMBS])
LIMB_RADII = np.array([limb[3:5] for limb in LIMBS], dtype=np.float32)
LIMB_LABEL = np.array([limb[5] for limb in LIMBS], dtype=np.int32)
IS_ARM = np.array(["arm" in limb[0] for limb in LIMBS])
SHINS = np.array([next(i for i, limb in enumerate(LIMBS) if limb[0] == f"{side}-shin") for side in ("left", "right")])
FROM_TRUNK = np.array(["upper-arm" in limb[0] or "thigh" in limb[0] for limb in LIMBS])
OTHER_SIDE = np.array([4, 5, 6, 7, 0, 1, 2, 3])


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """How wide trunk and skirt look. Chosen by eye on capsule mannequins."""

    shortest_trunk: float = 0.5  # of its length: one that looks shorter leans towards the camera
    flat_until: float = 0.1  # fraction of the trunk down to which it is as flat as the shoulders
    deep_after: float = 0.25  # and after how much more it is as deep as the chest
    # A skirt makes room for knees, as the capsule mannequins' did. In body heights.
    stance: float = 0.06  # how far knees are from the middle, seen from the front, without a stride
    longest_stride: float = 0.12
    depth_of_stride: float = 1.6  # of a skirt, over a stride
    strides_seen: float = 0.3  # sine of the turn from which on a stride is seen
    least_sine: float = 0.4  # by which a stride that is seen is divided at least


THRESHOLDS = Thresholds()


@flax.struct.dataclass
class Axis:
    """The line through a part of one body, or [N] of them: places are pixels down it and to its side."""

    start: jax.Array  # [..., 2]: neck, hips, or a limb's first joint
    along: jax.Array  # [..., 2] unit vector
    length: jax.Array  # [...] pixels, to the joint at its end; at least 1

    @property
    def across(self) -> jax.Array:
        """[..., 2] unit vector: to the picture's right where `along` is down."""
        return jnp.stack([self.along[..., 1], -self.along[..., 0]], -1)

    def place(self, points: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(down, side) of points [..., 2] by one axis."""
        relative = points - self.start
        return _dot(relative, self.along), _dot(relative, self.across)

    def point(self, down: jax.Array, side: jax.Array) -> jax.Array:
        """The inverse of `place`: points [..., 2]."""
        return self.start + down[..., None] * self.along + side[..., None] * self.across


def _dot(points: jax.Array, axis: jax.Array) -> jax.Array:
    return points[..., 0] * axis[0] + points[..., 1] * axis[1]


def trunk_axis(body: Body) -> Axis:
    """From the neck to the hips."""
    neck = body.joints[ID["neck"]]
    spine = body.hips - neck
    length = jnp.maximum(length_of(spine), THRESHOLDS.shortest_trunk * PROPORTIONS.torso * body.height)
    return Axis(neck, spine / length_of(spine), length)


def skirt_axis(body: Body) -> Axis:
    """From the hips down, half way between the spine and the vertical; as long as a leg."""
    along = trunk_axis(body).along + jnp.array([0.0, 1.0])
    return Axis(body.hips, along / length_of(along), body.leg)


def limb_axes(body: Body, limbs=slice(None)) -> Axis:
    """The axes [N] of the limbs `limbs` (indices in `LIMBS`), by default of all eight."""
    first, second = body.joints[FIRST][limbs], body.joints[SECOND][limbs]
    length = length_of(second - first)
    return Axis(first, (second - first) / length[..., None], jnp.maximum(length, 1.0))


def limb_known(body: Body) -> jax.Array:
    """Whether each limb's place [8] is known: its joints are visible, hips and shoulders otherwise well guessed."""
    return (body.visible[FIRST] | jnp.asarray(FROM_TRUNK)) & body.visible[SECOND]


def limbs_read(source: Body, limbs: jax.Array | None = None) -> jax.Array:
    """Which limbs of the source show the limbs `limbs` (default: all): one that it hides is read on its other side."""
    known, limbs = limb_known(source), np.arange(len(LIMBS)) if limbs is None else limbs
    return jnp.where(~known[limbs] & known[OTHER_SIDE][limbs], jnp.asarray(OTHER_SIDE)[limbs], limbs)


def _width(body: Body, depth) -> jax.Array:
    """How wide something of unit width and given depth looks, in pixels a body height."""
    cosine, sine = body.turn
    return body.height * jnp.sqrt(jnp.square(cosine) + jnp.square(depth * sine) + 1e-6)


def trunk_width(body: Body, fraction: jax.Array) -> jax.Array:
    """Apparent width at `fraction` of the way from neck to hips: shoulders are flatter than the chest."""
    p, t = PROPORTIONS, THRESHOLDS
    deep = jnp.clip((fraction - t.flat_until) / t.deep_after, 0, 1)
    depth = p.shoulder_depth + (p.trunk_depth - p.shoulder_depth) * deep
    return _width(body, depth)


def skirt_width(body: Body) -> jax.Array:
    """A skirt makes room for striding knees, which stand out sideways when the person is seen from the side."""
    t = THRESHOLDS
    knees = body.joints[np.array([ID["right-knee"], ID["left-knee"]])][:, 0]
    # A hidden knee has been guessed half way to a visible ankle.
    seen = body.visible[np.array([[ID["right-knee"], ID["left-knee"]], [ID["right-ankle"], ID["left-ankle"]]])].any(0)
    cosine, sine = jnp.abs(body.turn)
    sideways = jnp.where(seen, jnp.abs(knees - body.hips[0]), 0).max() / body.height
    stride = jnp.clip((sideways - t.stance * cosine) / jnp.maximum(sine, t.least_sine), 0, t.longest_stride)
    return _width(body, PROPORTIONS.trunk_depth + t.depth_of_stride * (stride * (sine > t.strides_seen)))


def limb_place(points: jax.Array, body: Body) -> tuple[jax.Array, jax.Array]:
    """Where points [..., 2] lie by each limb: (nearness, place), both [8, ...].

    Nearness is the distance to the bone over the limb's radius there: below 1 is on the limb. Place runs from 0 at
    shoulder or hip over 1 at elbow or knee to 2 at wrist or ankle.
    """
    a, b = body.joints[FIRST], body.joints[SECOND]
    shape = (len(LIMBS),) + (1,) * (points.ndim - 1)
    bone = b - a
    squared = jnp.maximum(jnp.sum(jnp.square(bone), -1), 1e-3).reshape(shape)
    ax, ay, bx, by = (c.reshape(shape) for c in (a[:, 0], a[:, 1], bone[:, 0], bone[:, 1]))
    dx, dy = points[..., 0] - ax, points[..., 1] - ay
    along = jnp.clip((dx * bx + dy * by) / squared, 0, 1)
    distance = jnp.sqrt(jnp.square(dx - along * bx) + jnp.square(dy - along * by))
    first, second = (jnp.asarray(radius).reshape(shape) for radius in LIMB_RADII.T)
    radius = first * (1 - along) + second * along
    return distance / (radius * body.height), along + jnp.asarray(~FROM_TRUNK).reshape(shape)


def trunk_coordinates(points: jax.Array, body: Body) -> tuple[jax.Array, jax.Array]:
    """(fraction of the way from neck to hips, signed distance across in trunk half widths) of points [..., 2]."""
    axis = trunk_axis(body)
    down, side = axis.place(points)
    fraction = down / axis.length
    return fraction, side / (PROPORTIONS.trunk_half_width * trunk_width(body, fraction))
