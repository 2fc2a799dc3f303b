"""What of a dressed person is filled in: a layout of eight classes, the region that a new garment may cover, and the
garments that stay, which say what goes with them.

Facts on FiNet (X. Han and others, ICCV 2019): eight classes, four kinds of garment, contextual garments as crops of
their boxes padded to squares, ones for the target. The region is ours: what a garment of its kind may cover by the
joints, so that its outline says as little as can be of the garment that was there.

Conventions: one picture; `classes` int [H, W] of `CLASSES`; `region` is an index in `REGIONS`, int []; pictures float
[H, W, 3] in [0, 1]; joints as in `core.keypoints`. Lengths are fractions of the picture's height, in which a person is
as tall as the picture (`reading.person_crop.widened`). JAX, for `vmap`.
"""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import geometry, segmentation
from vton_jax.core.keypoints import ID as JOINTS

CLASSES = ("background", "head", "arms", "legs", "hat", "top", "bottom", "shoes")
REGIONS = CLASSES[4:]
NUM_CLASSES, NUM_REGIONS = len(CLASSES), len(REGIONS)
_FIRST = CLASSES.index(REGIONS[0])
HEAD, ARMS, LEGS, TOP, BOTTOM = (CLASSES.index(name) for name in ("head", "arms", "legs", "top", "bottom"))
# ATR's labels as classes; what is carried is background, and a dress is a top above the hips and a bottom below.
_OF_LABEL = {
    "hat": "hat", "hair": "head", "sunglasses": "head", "face": "head", "upper-clothes": "top", "scarf": "top",
    "dress": "top", "skirt": "bottom", "pants": "bottom", "belt": "bottom", "left-shoe": "shoes", "right-shoe": "shoes",
    "left-leg": "legs", "right-leg": "legs", "left-arm": "arms", "right-arm": "arms",
}  # fmt: skip
_TABLE = np.array([CLASSES.index(_OF_LABEL.get(label, "background")) for label in segmentation.LABELS], np.int32)
# A label of ATR's that shows a class in pictures for people.
_SHOWN = ("background", "face", "left-arm", "left-leg", "hat", "upper-clothes", "pants", "left-shoe")
SHOWN_AS = np.array([segmentation.ID[name] for name in _SHOWN], np.uint8)
CROP = 32  # side of a garment's crop
LEAST_PIXELS = 12  # of a garment: fewer are none
ABSENT = 0.5  # what is shown of a garment that is not worn; the re-implementation has the mean of its kind


@dataclasses.dataclass(frozen=True)
class Reach:
    """Radii about bones that a garment may cover, by eye on drawn people."""

    arm: float = 0.045
    trunk: float = 0.075
    leg: float = 0.06
    between_legs: float = 0.075  # for skirts
    foot: float = 0.055
    crown: float = 0.075


REACH = Reach()


def classes_of(labels: jax.Array, points: jax.Array, visible: jax.Array) -> jax.Array:
    """ATR's labels [H, W] as classes int32 [H, W]."""
    found = jnp.asarray(_TABLE)[labels.astype(jnp.int32)]
    dress, row = labels == segmentation.ID["dress"], jnp.arange(labels.shape[0])[:, None]
    hips = jnp.array([JOINTS["left-hip"], JOINTS["right-hip"]])
    seen = visible[hips]
    by_joints = (points[hips, 1] * seen).sum() / jnp.maximum(seen.sum(), 1)
    by_pixels = (row * dress).sum() / jnp.maximum(dress.sum(), 1)
    return jnp.where(dress & (row > jnp.where(seen.any(), by_joints, by_pixels)), BOTTOM, found)


def garment(classes: jax.Array, region: jax.Array) -> jax.Array:
    """Where the garment of a region is, bool [H, W]."""
    return classes == region + _FIRST


def region_mask(classes: jax.Array, points: jax.Array, visible: jax.Array, region: jax.Array) -> jax.Array:
    """What a garment of a region may cover, bool [H, W], in blocks of 2x2 pixels: what is filled in.

    It lies about the bones that the garment's kind covers, and about what is worn there and the skin beside it; never
    on the head, but for a hat, and that above the eyes.
    """
    height, width = classes.shape
    place = (2 * geometry.grid((height // 2, width // 2)) + 0.5) / height
    skin = jnp.array([HEAD, ARMS, LEGS, LEGS])[region]
    own = garment(classes, region) | ((classes == skin) & jnp.isin(region, jnp.array([1, 2])))
    own = own.reshape(height // 2, 2, width // 2, 2).any((1, 3))
    for axis in (0, 1):
        pad = [(1, 1) if axis == other else (0, 0) for other in (0, 1)]
        wide = jnp.pad(own, pad)
        own = own | jax.lax.slice_in_dim(wide, 0, -2, axis=axis) | jax.lax.slice_in_dim(wide, 2, None, axis=axis)
    covered = own | jnp.stack(_capsules(points, visible, place, height))[region]
    covered = jnp.repeat(jnp.repeat(covered, 2, 0), 2, 1)
    return covered & ((classes != HEAD) | (region == 0))


def _capsules(points: jax.Array, visible: jax.Array, place: jax.Array, height: int) -> list[jax.Array]:
    """What hat, top, bottom and shoes may cover by the joints, bool [H, W] each."""
    points, t = points / height, REACH

    def about(first, second, radius, known):
        """Within a radius of a bone from one point [2] to another."""
        along, off = second - first, place - first
        part = jnp.clip((off @ along) / jnp.maximum(along @ along, 1e-8), 0, 1)
        return (jnp.linalg.norm(off - part[..., None] * along, axis=-1) < radius) & known

    def joint(name):
        return points[JOINTS[name]], visible[JOINTS[name]]

    def chain(radius, *joints):
        bones = itertools.pairwise(joints)
        return [about(a, b, radius, known & also) for (a, known), (b, also) in bones]

    def middle(name):
        (a, known), (b, also) = joint(f"left-{name}"), joint(f"right-{name}")
        return (a + b) / 2, known & also

    down = jnp.array([0.0, 1.0])
    (neck, has_neck), (hips, has_hips) = joint("neck"), middle("hip")
    hem, waist = (hips + 0.05 * down, has_hips), (hips + 0.25 * (neck - hips), has_hips & has_neck)
    top = chain(1.2 * t.trunk, (neck + 0.25 * t.trunk * down, has_neck), hem)
    bottom = chain(t.trunk, waist, middle("hip")) + chain(t.between_legs, middle("hip"), middle("knee"))
    bottom += chain(0.8 * t.between_legs, middle("knee"), middle("ankle"))
    shoes = []
    for side in ("left", "right"):
        limb = {name: joint(f"{side}-{name}") for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")}
        top += chain(t.arm, limb["shoulder"], limb["elbow"], limb["wrist"])
        top += chain(t.trunk, limb["shoulder"], limb["hip"])
        bottom += chain(t.leg, limb["hip"], limb["knee"], limb["ankle"])
        ankle, known = limb["ankle"]
        shoes.append(about(ankle, ankle + 0.03 * down, t.foot, known))
    eyes, known = middle("eye")
    nose, has_nose = joint("nose")
    face = jnp.where(known, eyes, nose - 0.02 * down)
    hat = about(face - 0.045 * down, face - 0.045 * down, t.crown, known | has_nose) & (place[..., 1] < face[1])
    either = lambda found: jnp.stack(found).any(0)  # noqa: E731
    return [hat, either(top), either(bottom), either(shoes)]


def crop(picture: jax.Array, mask: jax.Array, side: int = CROP) -> jax.Array:
    """What a mask [H, W] shows of a picture [H, W, C], its box padded to a square: [side, side, C], ones elsewhere."""
    height, width = mask.shape

    def ends(line):
        there = jnp.arange(len(line))
        return jnp.where(line, there, len(line)).min(), jnp.where(line, there, -1).max()

    (top, bottom), (left, right) = ends(mask.any(1)), ends(mask.any(0))
    extent = jnp.maximum(jnp.maximum(bottom - top, right - left) + 1, 1).astype(jnp.float32)
    steps = (jnp.arange(side) + 0.5) / side * extent - extent / 2
    x, y = jnp.meshgrid((left + right) / 2 + steps, (top + bottom) / 2 + steps)
    shown = jnp.concatenate([picture * mask[..., None], mask[..., None].astype(picture.dtype)], -1)
    found = geometry.sample(shown, jnp.stack([x, y], -1))
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    found = found * inside[..., None]
    return found[..., :-1] + 1 - found[..., -1:]


def contextual_garments(image: jax.Array, classes: jax.Array, region: jax.Array) -> jax.Array:
    """The crops of the garments that stay, [CROP, CROP, 12]: ones for the region's own, grey for what is not worn."""
    found = []
    for number in range(NUM_REGIONS):
        mask = garment(classes, number)
        shown = jnp.where(mask.sum() < LEAST_PIXELS, ABSENT, crop(image, mask))
        found.append(jnp.where(region == number, 1.0, shown))
    return jnp.concatenate(found, -1)


def present(classes: jax.Array) -> jax.Array:
    """Which garments are worn, bool [4]."""
    return jnp.stack([garment(classes, number).sum() >= LEAST_PIXELS for number in range(NUM_REGIONS)])
