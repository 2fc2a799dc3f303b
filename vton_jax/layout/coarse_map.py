"""The coarse target segmentation: the user's head and the donor's garment in the target pose, in eight small steps.

Conventions: a canvas is a label map [H, W] (uint8) in ATR's table with `UNKNOWN` where something was removed and
nothing took its place; user, donor and pose are `types.Layout` of one frame each, all of one size. `Figure` and parts:
see body_map.py and body_parts.py. Every function takes one frame, has static shapes and no Python branch on data: jit
and vmap them.

What comes from where: stance, background, bare arms, bare legs and feet from the pose image; hair, face, kept garments
and how high the shoes reach from the user; the garment with its sleeves, hem and neckline from the donor.
"""

import collections
import dataclasses

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.batching import stacked, unstacked
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ARMS, FACE, GARMENTS, HAIR, ID, LEGS, SHOES, UNKNOWN, bit_set
from vton_jax.core.types import Layout
from vton_jax.layout.body import PROPORTIONS, Body
from vton_jax.layout.body_map import IS_ARM, LIMB_LABEL, SHINS, limb_known
from vton_jax.layout.body_parts import Figure, figure_of, shoe_top
from vton_jax.layout.garment_fit import ANY_SLEEVES
from vton_jax.layout.garment_layers import garment_layers
from vton_jax.layout.garment_types import resolve_garment_type
from vton_jax.layout.head_layer import head_layer
from vton_jax.layout.tucking import tuck_in_or_out

STEPS = (
    "start", "remove_hair", "add_hair", "remove_face", "add_face", "remove_dress", "add_pose_lines", "add_dress",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Chosen by eye on capsule mannequins, unless a line says otherwise."""

    foot: float = 1.9  # place on the shin where the foot begins: as `body_parts.shoe_top`, commit 8e61bea
    skull: float = 1.5  # squared radii of the head within which the pose person's hair stays hair
    brow: float = 0.3  # and down to which half heights of the head below its centre
    nape: float = 0.9  # half heights below the head's centre from which on a collar may cover the nape


THRESHOLDS = Thresholds()
_TAKEN = np.array([bit_set(segmentation.GARMENT_LABELS[t]) for t in segmentation.GARMENT_TYPES], dtype=np.int32)
_KEPT = np.array(
    [bit_set(set(GARMENTS) - set(segmentation.REPLACED_LABELS[t])) for t in segmentation.GARMENT_TYPES], dtype=np.int32
)

# Steps 1 to 6: the pose image's layout, with the user's head and without the pose person's clothes.


def start(pose: Layout) -> jax.Array:
    """Step 1: the pose image's segmentation."""
    return jnp.asarray(pose.segmentation).astype(jnp.uint8)


def _remove(canvas: jax.Array, labels) -> jax.Array:
    return jnp.where(segmentation.region(canvas, labels), jnp.uint8(UNKNOWN), canvas)


def remove_hair(canvas: jax.Array) -> jax.Array:
    """Step 2: the pose person's hair (and hat) become unknown."""
    return _remove(canvas, HAIR)


def remove_face(canvas: jax.Array) -> jax.Array:
    """Step 4: the pose person's face, neck and sunglasses become unknown."""
    return _remove(canvas, FACE)


def remove_dress(canvas: jax.Array, target: Figure) -> jax.Array:
    """Step 6: all that the pose person wears, bags and the shafts of shoes too, becomes unknown; feet stay."""
    for shoe, shin in zip(SHOES, SHINS, strict=True):
        canvas = jnp.where((canvas == shoe) & (target.place[shin] < THRESHOLDS.foot), jnp.uint8(UNKNOWN), canvas)
    return _remove(canvas, (*GARMENTS, ID["bag"]))


def add_hair(canvas: jax.Array, head: jax.Array, target: Figure) -> jax.Array:
    """Step 3: the user's hair, from `head_layer`, over everything.

    The pose person's hair close to the skull stays hair where the user has any: skulls differ by a pixel or two.
    """
    hair, body = segmentation.region(head, HAIR), target.body
    half = jnp.array([PROPORTIONS.head_half_width, PROPORTIONS.head_half_height]) * body.height
    unit = (target.points - body.head) / half
    skull = (jnp.sum(jnp.square(unit), -1) < THRESHOLDS.skull) & (unit[..., 1] < THRESHOLDS.brow)
    skull &= (canvas == UNKNOWN) & hair.any() & (head == 0)
    return jnp.where(hair, head, jnp.where(skull, jnp.uint8(ID["hair"]), canvas))


def add_face(canvas: jax.Array, head: jax.Array, target: Figure) -> jax.Array:
    """Step 5: the user's face, from `head_layer`, and the neck's skin where the pose image left something unknown.

    Where the pose image itself shows face (a profile's nose and chin) and no hair of the user's came, face stays.
    """
    body, points = target.body, target.points
    above = points[..., 1] < body.head[1] + PROPORTIONS.head_half_height * body.height
    stays = above & segmentation.region(jnp.asarray(target.layout.segmentation), FACE) & (canvas == UNKNOWN)
    canvas = jnp.where(stays, jnp.uint8(ID["face"]), canvas)
    canvas = jnp.where(segmentation.region(head, FACE) & ~segmentation.region(canvas, HAIR), head, canvas)
    neck = body.joints[JOINTS["neck"]]
    bone = body.head - neck
    t = jnp.clip(((points - neck) @ bone) / jnp.maximum(bone @ bone, 1e-3), 0, 1)
    distance = jnp.linalg.norm(points - neck - t[..., None] * bone, axis=-1)
    on_neck = distance < PROPORTIONS.neck_half_width * body.height
    return jnp.where(on_neck & (canvas == UNKNOWN), jnp.uint8(ID["face"]), canvas)


@flax.struct.dataclass
class Worn:
    """Who wears what in the target."""

    user: Figure
    donor: Figure
    beside: Figure  # who lends what is worn besides the donor's garment: the user, or another donor
    garment_type: jax.Array  # int32 [], of the donor's garment
    tuck: jax.Array  # int32 [], index in `tucking.TUCKS`
    sleeves: jax.Array  # float [2, 2], of both garments, between which places down the arm they end


# Steps 7 and 8: limbs that the pose person's clothes hid, and the garments.


def add_pose_lines(canvas: jax.Array, target: Figure) -> jax.Array:
    """Step 7: strokes of the limbs' width in the limbs' own labels, over unknown pixels only, visible joints only."""
    nearness = jnp.where(limb_known(target.body)[:, None, None], target.nearness, jnp.inf)
    unknown = canvas == UNKNOWN
    for arms in (False, True):  # arms pass in front of legs
        index = np.flatnonzero(arms == IS_ARM)
        label = jnp.asarray(LIMB_LABEL[index])[jnp.argmin(nearness[index], 0)].astype(jnp.uint8)
        canvas = jnp.where(unknown & (nearness[index].min(0) < 1), label, canvas)
    return canvas


def add_dress(canvas: jax.Array, worn: Worn, target: Figure) -> jax.Array:
    """Step 8: the garments the user keeps and the donor's, part by part; upper garments over lower ones.

    Hair, face and feet are not covered, arms only by sleeves. Where the source's own picture shows skin in the opening
    of a neckline, unknown pixels become skin. Bare shins end where the user's shoes begin.
    """
    user, pick = worn.user, lambda table: jnp.asarray(table)[worn.garment_type]
    # Both at once, as the figures below: half the program to compile.
    both, wanted = stacked(worn.donor, worn.beside), jnp.stack([pick(_TAKEN), pick(_KEPT)])
    layers = jax.vmap(garment_layers, (0, 0, None, None, 0))(both, wanted, target, canvas, worn.sleeves)
    layer = {name: jnp.where(taken > 0, taken, kept) for name, (taken, kept) in layers.items()}
    layer = tuck_in_or_out(layer, target, worn.tuck)
    order = [layer[name] for name in ("upper", "lower", "under_lower", "under_upper")]
    garment = jnp.select([one > 0 for one in order], order, 0)
    scarf = layers["upper"][1] == ID["scarf"]  # the user's: over whatever comes below it

    # Collars are low in front and high behind: there a garment covers the nape.
    body = target.body
    below_chin = target.points[..., 1] > body.head[1] + THRESHOLDS.nape * PROPORTIONS.head_half_height * body.height
    nape = below_chin & (body.turn[0] < 0)
    head = segmentation.region(canvas, HAIR) | (segmentation.region(canvas, FACE) & ~nape)
    covered = segmentation.region(canvas, ARMS + SHOES)
    result = jnp.where((garment > 0) & ~head & ~covered, garment, canvas.astype(jnp.int32))
    result = jnp.where((layer["sleeve"] > 0) & ~head, layer["sleeve"], result)
    result = jnp.where(scarf & ~head, ID["scarf"], result)
    result = jnp.where((result == UNKNOWN) & (layer["skin"] > 0), layer["skin"], result)
    top = shoe_top(user)
    for leg, shoe, shin in zip(LEGS, SHOES, SHINS, strict=True):
        result = jnp.where((result == leg) & (target.place[shin] > top), shoe, result)
    return result.astype(jnp.uint8)


def coarse_target_segmentation(
    user: Layout,
    donor: Layout,
    pose: Layout,
    garment_type,
    besides: tuple = (None, None, None),
    bodies: tuple[Body, ...] | None = None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The coarse map of the user in the donor's garment in the pose of the pose image.

    Args:
      user, donor, pose: layouts of one size; the donor may be a flat garment with the keypoints of its invisible
        wearer (garment_fit.py).
      garment_type: a name or an index in `segmentation.GARMENT_TYPES`, see `resolve_garment_type`; indices `vmap`.
      besides: the layout of the garment that is worn above or below the donor's, by default the user's own; and how
        they meet, an index in `tucking.TUCKS`, by default `auto`; and between which places down the arm (0..2) the
        donor's sleeves end, float [2], by default where its layout says.
      bodies: of the layouts, in their order, where they are known: a fifth of the program is finding them.

    Returns: the coarse map, uint8 [H, W] with `UNKNOWN`, and all eight maps by the names in `STEPS`.
    """
    garment_type = resolve_garment_type(user.segmentation, donor.segmentation, garment_type)
    beside, tuck, sleeves = besides
    sleeves = jnp.stack([jnp.asarray(ANY_SLEEVES if sleeves is None else sleeves), jnp.asarray(ANY_SLEEVES)])
    # A donor's top goes on below a scarf, which stays with the donor.
    plain = lambda of: of.replace(segmentation=segmentation.scarf_as_top(jnp.asarray(of.segmentation)))  # noqa: E731
    donor, beside = plain(donor), None if beside is None else plain(beside)
    layouts = (user, donor, pose) if beside is None else (user, donor, pose, beside)
    people = (stacked(*layouts),) if bodies is None else (stacked(*layouts), stacked(*bodies))
    user, donor, target, *others = unstacked(jax.vmap(figure_of)(*people), len(layouts))
    tuck = jnp.asarray(0 if tuck is None else tuck)
    worn = Worn(user, donor, others[0] if others else user, garment_type, tuck, sleeves)
    head = head_layer(user, target)
    # An ordinary dict would leave jit sorted by its keys.
    steps = collections.OrderedDict(start=start(pose))
    steps["remove_hair"] = remove_hair(steps["start"])
    steps["add_hair"] = add_hair(steps["remove_hair"], head, target)
    steps["remove_face"] = remove_face(steps["add_hair"])
    steps["add_face"] = add_face(steps["remove_face"], head, target)
    steps["remove_dress"] = remove_dress(steps["add_face"], target)
    steps["add_pose_lines"] = add_pose_lines(steps["remove_dress"], target)
    steps["add_dress"] = add_dress(steps["add_pose_lines"], worn, target)
    return steps["add_dress"], steps
