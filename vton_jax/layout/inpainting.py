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


def _garments(classes: jax.Array) -> jax.Array:
    """`garment` of all regions, bool [4, H, W]."""
    return jax.vmap(garment, (None, 0))(classes, jnp.arange(NUM_REGIONS))


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


def _bones() -> tuple[list[tuple[str, str, float]], ...]:
    """What hat, top, bottom and shoes may cover lies about: pairs of places, see `_places`, and a radius, for each."""
    t = REACH

    def chain(radius, *names):
        return [(a, b, radius) for a, b in itertools.pairwise(names)]

    hat = [("crown", "crown", t.crown)]
    top = chain(1.2 * t.trunk, "chest", "hem")
    bottom = chain(t.trunk, "waist", "hips") + chain(t.between_legs, "hips", "knees")
    bottom += chain(0.8 * t.between_legs, "knees", "ankles")
    shoes = []
    for side in ("left", "right"):
        top += chain(t.arm, f"{side}-shoulder", f"{side}-elbow", f"{side}-wrist")
        top += chain(t.trunk, f"{side}-shoulder", f"{side}-hip")
        bottom += chain(t.leg, f"{side}-hip", f"{side}-knee", f"{side}-ankle")
        shoes += chain(t.foot, f"{side}-ankle", f"{side}-sole")
    return hat, top, bottom, shoes


def _places(points: jax.Array, visible: jax.Array) -> tuple[dict[str, int], jax.Array, jax.Array]:
    """(the number of each name, places [N, 2], whether they are known [N]): the joints, and what follows from them.

    Args: points: in heights of the picture.
    """
    down, at = jnp.array([0.0, 1.0]), {name: (points[number], visible[number]) for name, number in JOINTS.items()}

    def middle(name):
        (a, known), (b, also) = at[f"left-{name}"], at[f"right-{name}"]
        return (a + b) / 2, known & also

    (neck, has_neck), (hips, has_hips), (eyes, has_eyes) = at["neck"], middle("hip"), middle("eye")
    nose, has_nose = at["nose"]
    face = jnp.where(has_eyes, eyes, nose - 0.02 * down)
    more = {
        "hips": (hips, has_hips), "knees": middle("knee"), "ankles": middle("ankle"),
        "chest": (neck + 0.25 * REACH.trunk * down, has_neck), "hem": (hips + 0.05 * down, has_hips),
        "waist": (hips + 0.25 * (neck - hips), has_hips & has_neck),
        "face": (face, has_eyes | has_nose), "crown": (face - 0.045 * down, has_eyes | has_nose),
    }  # fmt: skip
    for side in ("left", "right"):
        ankle, known = at[f"{side}-ankle"]
        more[f"{side}-sole"] = ankle + 0.03 * down, known
    numbers = JOINTS | {name: len(JOINTS) + number for number, name in enumerate(more)}
    extra, known = zip(*more.values(), strict=True)
    return numbers, jnp.concatenate([points, jnp.stack(extra)]), jnp.concatenate([visible, jnp.stack(known)])


def _capsules(points: jax.Array, visible: jax.Array, place: jax.Array, height: int) -> list[jax.Array]:
    """What hat, top, bottom and shoes may cover by the joints, bool [H, W] each.

    All bones at once: one by one they take three times as long to compile.
    """
    numbers, points, visible = _places(points / height, visible)
    bones = _bones()
    starts, ends, radii = zip(*itertools.chain(*bones), strict=True)
    starts, ends = (np.array([numbers[name] for name in names]) for names in (starts, ends))
    first, known = points[starts], visible[starts] & visible[ends]
    along, off = points[ends] - first, place - first[:, None, None]
    part = jnp.einsum("shwi,si->shw", off, along) / jnp.maximum(jnp.square(along).sum(-1), 1e-8)[:, None, None]
    apart = jnp.linalg.norm(off - jnp.clip(part, 0, 1)[..., None] * along[:, None, None], axis=-1)
    near = (apart < np.float32(radii)[:, None, None]) & known[:, None, None]
    counts = np.cumsum([len(one) for one in bones])
    hat, *others = (one.any(0) for one in jnp.split(near, counts[:-1]))
    return [hat & (place[..., 1] < points[numbers["face"], 1]), *others]


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
    masks = _garments(classes)
    shown = jax.vmap(crop, (None, 0))(image, masks)
    numbers = jnp.arange(NUM_REGIONS)[:, None, None, None]
    shown = jnp.where(masks.sum((1, 2))[:, None, None, None] < LEAST_PIXELS, ABSENT, shown)
    shown = jnp.where(numbers == region, 1.0, shown)
    return jnp.moveaxis(shown, 0, 2).reshape(CROP, CROP, -1)


def present(classes: jax.Array) -> jax.Array:
    """Which garments are worn, bool [4]."""
    return _garments(classes).sum((1, 2)) >= LEAST_PIXELS
