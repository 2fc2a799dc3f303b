"""The coarse target segmentation: the user's head and the donor's garment in the target pose, in eight small steps.

Alphabet: a canvas is a label map [H, W] (uint8) in ATR's table with `UNKNOWN` where something was removed and nothing
took its place; user, donor and pose are `types.Layout` of one frame each, all of one size. `Body` and parts: see
alignment.py. Every function takes one frame, has static shapes and no Python branch on data: jit and vmap them.

What comes from where: stance, background, bare arms, bare legs and feet from the pose image; hair, face, kept garments
and how high the shoes reach from the user; the garment with its sleeves, hem and neckline from the donor.
"""

import collections
import functools

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.geometry import grid, warp_nearest
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ARMS, DRESS, FACE, GARMENTS, HAIR, ID, LEGS, LOWER, SHOES, UNKNOWN, UPPER
from vton_jax.core.types import Layout
from vton_jax.layout import alignment
from vton_jax.layout.alignment import PROPORTIONS, Body

STEPS = (
    "start", "remove_hair", "add_hair", "remove_face", "add_face", "remove_dress", "add_pose_lines", "add_dress",
)  # fmt: skip
# Of `reconcile`: how known pixels count around them, (sigma in pixels, weight); how likely a label is that none of them
# has; the weight of the decoder's answer. Limbs and heads are drawn before holes are left: there they are rarer.
_NEAR, _DOUBT, _TRUST = ((5.0, 1.0), (15.0, 0.1), (30.0, 0.01)), 1e-3, 0.5
_IN_HOLES = np.where(np.isin(np.arange(segmentation.NUM_LABELS), (0, *GARMENTS)), 1.0, 0.1).astype(np.float32)
_TYPE_INDEX = {name: index for index, name in enumerate(segmentation.GARMENT_TYPES)}


def _bits(labels) -> int:
    return sum(1 << int(label) for label in set(labels))


_TAKEN = np.array([_bits(segmentation.GARMENT_LABELS[t]) for t in segmentation.GARMENT_TYPES], dtype=np.int32)
_KEPT = np.array(
    [_bits(set(GARMENTS) - set(segmentation.REPLACED_LABELS[t])) for t in segmentation.GARMENT_TYPES], dtype=np.int32
)


def _is_in(label: jax.Array, bits) -> jax.Array:
    """Whether labels (0..31) are in a set given as bits; cheaper than a table on CPUs."""
    return ((bits >> label) & 1).astype(bool)


def garment_type_of(label_map: np.ndarray, flat: bool) -> str:
    """`--garment_type=auto`: what a donor picture [H, W] offers: a flat garment's own kind, a person's whole outfit."""
    if not flat:
        return "outfit"
    kinds = {"upper": UPPER, "lower": LOWER, "dress": DRESS}
    counts = {kind: int(segmentation.region(np.asarray(label_map), labels).sum()) for kind, labels in kinds.items()}
    return max(counts, key=counts.get)


def garment_type_index(garment_type) -> jax.Array:
    """A name or an index in `segmentation.GARMENT_TYPES` -> the index, int32.

    Raises: ValueError for a name that is none.
    """
    if isinstance(garment_type, str):
        if garment_type not in _TYPE_INDEX:
            raise ValueError(f"garment type {garment_type!r} is none of {', '.join(segmentation.GARMENT_TYPES)}.")
        garment_type = _TYPE_INDEX[garment_type]
    return jnp.asarray(garment_type, jnp.int32)


def resolve_garment_type(user_map: jax.Array, donor_map: jax.Array, garment_type) -> jax.Array:
    """The garment type that can be carried out, int32 []: 'outfit' where user or donor wears a dress.

    Half a dress cannot be exchanged: what the user of a dress wears above or below is not known, and a donor's dress
    covers both halves.
    """

    def wears_dress(label_map):
        dress = (label_map == ID["dress"]).sum()
        return dress > segmentation.region(label_map, GARMENTS).sum() - dress

    whole = wears_dress(user_map) | wears_dress(donor_map)
    return jnp.where(whole, _TYPE_INDEX["outfit"], garment_type_index(garment_type))


def split_dress(user: Layout, garment_type: int) -> Layout:
    """The user's layout [H, W] for a garment that covers one half: a dress becomes a top and a skirt, cut at the hips.

    Else the half of the dress that stays would be gone, since a coarse map takes nobody's half a dress. NumPy.
    """
    labels = np.asarray(user.segmentation)
    dress = segmentation.region(labels, DRESS)
    if segmentation.GARMENT_TYPES[int(garment_type)] in ("dress", "outfit") or not dress.any():
        return user
    rows = np.flatnonzero(dress.any(1))
    hips = [JOINTS[name] for name in ("left-hip", "right-hip")]
    seen = [np.asarray(user.keypoints)[joint, 1] for joint in hips if np.asarray(user.visible)[joint]]
    cut = np.mean(seen) if seen else rows[0] + 0.45 * (rows[-1] - rows[0])
    halves = np.where(np.arange(len(labels))[:, None] < cut, ID["upper-clothes"], ID["skirt"])
    return user.replace(segmentation=np.where(dress, halves, labels).astype(np.uint8))


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


def remove_dress(canvas: jax.Array, limbs: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Step 6: all that the pose person wears, bags and the shafts of shoes too, becomes unknown; feet stay.

    `limbs` is the target's `alignment.limb_place`.
    """
    for shoe, shin in zip(SHOES, alignment.SHINS, strict=True):
        canvas = jnp.where((canvas == shoe) & (limbs[1][shin] < 1.9), jnp.uint8(UNKNOWN), canvas)
    return _remove(canvas, (*GARMENTS, ID["bag"]))


def head_layer(user: Layout, user_body: Body, target: Body, points: jax.Array) -> jax.Array:
    """The user's hair and face turned as the target's head is: labels uint8 [H, W], background elsewhere.

    The head is an ellipsoid: each target pixel on it is turned to the user's view. What the user's picture hides is
    read from the other half of the head, since heads are symmetric; what both halves hide is hair behind and face in
    front. Hair that stands out from the ellipsoid follows the head's place and scale.
    """
    half = jnp.array([PROPORTIONS["head_half_width"], PROPORTIONS["head_half_height"]])
    labels = jnp.asarray(user.segmentation).astype(jnp.int32)
    head_bits = _bits(HAIR + FACE)
    labels = jnp.where(_is_in(labels, head_bits), labels, 0)
    unit = (points - target.head) / (half * target.height)
    a, b = unit[..., 0], unit[..., 1]
    depth = jnp.sqrt(jnp.maximum(1 - a * a - b * b, 0))
    inside = a * a + b * b < 1
    (c, s), (user_c, user_s) = target.head_turn, user_body.head_turn
    left, front = a * c - depth * s, a * s + depth * c

    def read(left):
        across, towards = left * user_c + front * user_s, -left * user_s + front * user_c
        place = user_body.head + jnp.stack([across, b], -1) * half * user_body.height
        return warp_nearest(labels, place, 0), towards

    outer_hair, hangs = _outer_hair(labels, user_body, target, points)
    nape = (b > 0.4) & ~hangs
    guess = jnp.where(((front > 0.25) & (b > -0.45)) | nape, ID["face"], ID["hair"])
    seen, towards = read(left)
    mirrored, mirrored_towards = read(-left)
    ball = jnp.where(mirrored_towards > 0.12, mirrored, 0)
    ball = jnp.where((towards > 0.12) & (seen > 0), seen, ball)
    # Heads smaller than the ellipsoid end before its rim.
    ball = jnp.where((ball == 0) & (a * a + b * b < 0.8), guess, ball)
    # No nose nor eye was seen: this is the back of a head.
    facing = target.visible[np.array([JOINTS["nose"], JOINTS["right-eye"], JOINTS["left-eye"]])].any()
    ball = jnp.where(_is_in(ball, _bits(FACE)) & ~facing & ~nape, ID["hair"], ball)
    layer = jnp.where(inside, ball, 0)
    layer = jnp.where((layer == 0) & outer_hair, ID["hair"], layer)
    return layer.astype(jnp.uint8)


def _outer_hair(labels: jax.Array, user_body: Body, target: Body, points: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Where hair stands out from the head's ellipsoid or hangs from it: mask [H, W]; whether it hangs low.

    Seen from nearly the user's side (or its mirror image), it is the user's own outline. Else it is modelled from two
    numbers read off the user's hair below the ears: how far down it reaches and whether it is wide (hangs all around
    the back) or narrow (a tail); above the head, a bun keeps its outline.
    """
    hair = _is_in(labels, _bits(HAIR))
    relative = (points - target.head) / target.height
    x, y = relative[..., 0], relative[..., 1]
    (cosine, sine), (user_cosine, user_sine) = target.head_turn, user_body.head_turn
    same = cosine * user_cosine + sine * user_sine
    mirrored = cosine * user_cosine - sine * user_sine
    flip = jnp.where(mirrored > same, -1.0, 1.0)
    place = user_body.head + jnp.stack([flip * x, y], -1) * user_body.height
    outline = warp_nearest(hair, place, False)

    user_relative = (points - user_body.head) / user_body.height
    hair = hair & (jnp.abs(user_relative[..., 0]) < 0.14)
    u, w = user_relative[..., 0], user_relative[..., 1]
    below = hair & (w > 0.05) & (w < 0.14)
    half_width = 0.5 * (jnp.where(below, u, -1).max(1) - jnp.where(below, u, 1).min(1)).max()
    lowest = jnp.where(hair & (w < 0.5), w, 0).max()
    # From the front, shoulders hide how far long hair falls behind them.
    lowest = jnp.where((user_cosine > 0) & (lowest > 0.1), jnp.maximum(lowest, 0.17), lowest)
    hangs, wide = half_width > 0.012, half_width > 0.037
    back = jnp.where(wide, 0.035, 0.076)  # how far behind the ears its middle is
    left, depth = jnp.where(wide, 0.064, 0.024), jnp.where(wide, 0.048, 0.024)
    extent = jnp.sqrt(jnp.square(left * cosine) + jnp.square(depth * sine))
    hanging = hangs & (jnp.abs(x + back * sine) < extent) & (y > -0.02) & (y < lowest)
    # Hair hangs behind neck and shoulders unless they are seen from behind.
    hanging &= (y < jnp.where(cosine > -0.15, 0.105, 9.0)) & ((cosine < 0) | (y < 0.05) | (jnp.abs(x) > 0.036))
    modelled = hanging | (outline & (y < -0.06))
    return jnp.where(jnp.maximum(same, mirrored) > 0.85, outline, modelled), wide & hangs


def add_hair(canvas: jax.Array, head: jax.Array, target: Body, points: jax.Array) -> jax.Array:
    """Step 3: the user's hair, from `head_layer`, over everything.

    The pose person's hair close to the skull stays hair where the user has any: skulls differ by a pixel or two.
    """
    hair = segmentation.region(head, HAIR)
    half = jnp.array([PROPORTIONS["head_half_width"], PROPORTIONS["head_half_height"]]) * target.height
    unit = (points - target.head) / half
    skull = (
        (jnp.sum(jnp.square(unit), -1) < 1.5) & (unit[..., 1] < 0.3) & (canvas == UNKNOWN) & hair.any() & (head == 0)
    )
    return jnp.where(hair, head, jnp.where(skull, jnp.uint8(ID["hair"]), canvas))


def add_face(canvas: jax.Array, head: jax.Array, pose: Layout, target: Body, points: jax.Array) -> jax.Array:
    """Step 5: the user's face, from `head_layer`, and the neck's skin where the pose image left something unknown.

    Where the pose image itself shows face (a profile's nose and chin) and no hair of the user's came, face stays.
    """
    above = points[..., 1] < target.head[1] + PROPORTIONS["head_half_height"] * target.height
    stays = above & segmentation.region(jnp.asarray(pose.segmentation), FACE) & (canvas == UNKNOWN)
    canvas = jnp.where(stays, jnp.uint8(ID["face"]), canvas)
    canvas = jnp.where(segmentation.region(head, FACE) & ~segmentation.region(canvas, HAIR), head, canvas)
    neck = target.joints[1]
    bone = target.head - neck
    t = jnp.clip(((points - neck) @ bone) / jnp.maximum(bone @ bone, 1e-3), 0, 1)
    distance = jnp.linalg.norm(points - neck - t[..., None] * bone, axis=-1)
    on_neck = distance < PROPORTIONS["neck_half_width"] * target.height
    return jnp.where(on_neck & (canvas == UNKNOWN), jnp.uint8(ID["face"]), canvas)


# Step 7: limbs that the pose person's clothes hid.


def add_pose_lines(canvas: jax.Array, target: Body, nearness: jax.Array) -> jax.Array:
    """Step 7: strokes of the limbs' width in the limbs' own labels, over unknown pixels only, visible joints only.

    `nearness` is that of `alignment.limb_place` of the target.
    """
    nearness = jnp.where(alignment.limb_known(target)[:, None, None], nearness, jnp.inf)
    unknown = canvas == UNKNOWN
    for arms in (False, True):  # arms pass in front of legs
        index = np.flatnonzero(arms == alignment.IS_ARM)
        label = jnp.asarray(alignment.LIMB_LABEL[index])[jnp.argmin(nearness[index], 0)].astype(jnp.uint8)
        canvas = jnp.where(unknown & (nearness[index].min(0) < 1), label, canvas)
    return canvas


# Step 8: the garments.


def source_code(source: Layout, body: Body, wanted: jax.Array, points: jax.Array, from_behind: jax.Array):
    """What a source's pixels carry to the target: int32 [H, W], label | label beneath << 5 | part bits << 10.

    Only garments in the bit set `wanted`, and skin, are carried. The label beneath is the garment that goes on under
    what covers it there: trousers under a shirt's hem, a shirt under a crossing arm. Without it, exchanging one of two
    garments would leave a gap wherever the old one overlapped the other. `from_behind`: only the target is seen from
    behind, where necklines are high.
    Returns the code, and the commonest wanted upper and lower garment's label (0: none).
    """
    label = jnp.asarray(source.segmentation).astype(jnp.int32)
    bits, share, across = alignment.membership(source, body, points)
    mine = _is_in(label, wanted)
    carried = jnp.where(mine | _is_in(label, _bits(ARMS + LEGS + FACE)), label, 0)

    def commonest(labels):
        counts = jnp.stack([(label == one).sum() * ((wanted >> one) & 1) for one in labels])
        return jnp.where(counts.max() > 0, jnp.asarray(labels)[jnp.argmax(counts)], 0)

    upper, lower = commonest((*UPPER, *DRESS)), commonest((ID["skirt"], ID["pants"]))
    in_trunk = jnp.abs(across) < 0.75
    covers_upper = _is_in(label, _bits((*LOWER, *ARMS))) & (share > 0.2)
    covers_upper |= _is_in(label, _bits(HAIR)) & (share > 0.03)
    beneath = jnp.where(covers_upper & in_trunk & (share < 1.0), upper, 0)
    covers_lower = _is_in(label, _bits((*UPPER, *ARMS)))
    beneath = jnp.where(covers_lower & in_trunk & (share > 0.68) & (share < 1.15), lower, beneath)
    neckline = from_behind & (label == ID["face"]) & (share > 0.0) & (share < 0.4) & (upper > 0)
    carried = jnp.where(neckline, upper, carried)
    # An arm before a skirt.
    hanging = (bits >> alignment.SKIRT) & _is_in(label, _bits((ID["skirt"], *DRESS)) & wanted)
    row = (jnp.cumsum(hanging, axis=1) > 0) & (jnp.cumsum(hanging[:, ::-1], axis=1)[:, ::-1] > 0)
    before_skirt = _is_in(label, _bits(ARMS)) & (share > 1.0) & row
    carried = jnp.where(before_skirt, jnp.where(_is_in(upper, _bits(DRESS)), upper, lower), carried)
    bits = jnp.where(before_skirt, bits | (1 << alignment.SKIRT), bits)
    return carried | (beneath << 5) | (bits << 10), upper, lower


def garment_layers(
    source: Layout, source_body: Body, wanted: jax.Array, target: Body, points: jax.Array, canvas: jax.Array,
    limbs: tuple[jax.Array, jax.Array],
) -> dict[str, jax.Array]:  # fmt: skip
    """Carries a source's garments in the bit set `wanted` over, part by part. `limbs` is the target's `limb_place`.

    Returns label maps int32 [H, W], 0 where none: lower, upper (or dress), sleeve, under_lower, under_upper, skin.
    """
    from_behind = (target.turn[0] < -0.2) & (source_body.turn[0] > -0.2)
    code, upper_label, lower_label = source_code(source, source_body, wanted, points, from_behind)
    share, across = alignment.trunk_coordinates(points, target)
    places, part = alignment.backward_points(points, target, source_body)
    read = jax.vmap(lambda place: warp_nearest(code, place, 0))(places)  # [P, H, W]
    member = ((read >> (10 + part[:, None, None])) & 1).astype(bool)
    # A limb whose joints the target hides is behind something: it may fill a hole, no more.
    known = jnp.concatenate([jnp.ones(2, bool), alignment.limb_known(target)])[:, None, None]
    label = jnp.where(member & (known | (canvas == UNKNOWN)), read & 31, 0)
    # A narrow side view stretched to a front view must not grow over the shoulders: what is there are sleeves.
    trunk = jnp.where(jnp.abs(across) < jnp.where(share < 0.6, 1.25, 1.7), label[0], 0)
    skirt, limb = label[1], label[2:]
    below = jnp.where(member[0], (read[0] >> 5) & 31, 0)

    # Sleeves and trouser legs: on the limb itself their length decides; beside it, the source's own outline.
    nearness, place = limbs
    labels = jnp.asarray(source.segmentation).astype(jnp.int32)
    index = np.arange(len(alignment.LIMBS))

    def clothed(arms: bool, bits, garment_label):
        end = alignment.covered_share(labels, source_body, _is_in(labels, bits & wanted), arms)
        found = jnp.zeros_like(labels)
        for i in index[arms == alignment.IS_ARM]:
            chain = i ^ 1  # the other limb of the same arm or leg
            own = (canvas == alignment.LIMB_LABEL[i]) & (nearness[i] <= nearness[chain])
            beside = jnp.where(_is_in(limb[i], bits & wanted) & (nearness[i] < 2.2), limb[i], 0)
            found = jnp.where((found == 0) & (place[i] < end), jnp.where(own, garment_label, beside), found)
        return found

    upper_bits, lower_bits = _bits(UPPER + DRESS), _bits(LOWER)
    first = lambda bits, *layers: jnp.select([_is_in(a, bits) & (a > 0) for a in layers], layers, 0)  # noqa: E731
    trousers = clothed(False, _bits((ID["pants"], ID["belt"])), jnp.where(lower_label == ID["pants"], lower_label, 0))
    return {
        "lower": first(lower_bits, trunk, skirt, trousers),
        "upper": first(upper_bits, trunk, skirt),
        "sleeve": clothed(True, upper_bits, upper_label),
        "under_lower": first(lower_bits, below),
        "under_upper": first(upper_bits, below),
        "skin": first(_bits(FACE), trunk),
    }


def add_dress(
    canvas: jax.Array, user: Layout, user_body: Body, donor: Layout, donor_body: Body, target: Body,
    garment_type: jax.Array, limbs: tuple[jax.Array, jax.Array], points: jax.Array,
) -> jax.Array:  # fmt: skip
    """Step 8: the garments the user keeps and the donor's, part by part; upper garments over lower ones.

    Hair, face and feet are not covered, arms only by sleeves. Where the source's own picture shows skin in the opening
    of a neckline, unknown pixels become skin. Bare shins end where the user's shoes begin. `limbs` is the target's
    `alignment.limb_place`.
    """
    pick = lambda table: jnp.asarray(table)[garment_type]  # noqa: E731
    taken = garment_layers(donor, donor_body, pick(_TAKEN), target, points, canvas, limbs)
    kept = garment_layers(user, user_body, pick(_KEPT), target, points, canvas, limbs)
    layer = {name: jnp.where(taken[name] > 0, taken[name], kept[name]) for name in taken}
    order = [layer[name] for name in ("upper", "lower", "under_lower", "under_upper")]
    garment = jnp.select([one > 0 for one in order], order, 0)

    # Collars are low in front and high behind: there a garment covers the nape.
    below_chin = points[..., 1] > target.head[1] + 0.9 * PROPORTIONS["head_half_height"] * target.height
    nape = below_chin & (target.turn[0] < 0)
    head = segmentation.region(canvas, HAIR) | (segmentation.region(canvas, FACE) & ~nape)
    covered = segmentation.region(canvas, ARMS + SHOES)
    result = jnp.where((garment > 0) & ~head & ~covered, garment, canvas.astype(jnp.int32))
    result = jnp.where((layer["sleeve"] > 0) & ~head, layer["sleeve"], result)
    result = jnp.where((result == UNKNOWN) & (layer["skin"] > 0), layer["skin"], result)
    top = alignment.shoe_top(jnp.asarray(user.segmentation).astype(jnp.int32), user_body)
    for leg, shoe, shin in zip(LEGS, SHOES, alignment.SHINS, strict=True):
        result = jnp.where((result == leg) & (limbs[1][shin] > top), shoe, result)
    return result.astype(jnp.uint8)


def coarse_target_segmentation(
    user: Layout, donor: Layout, pose: Layout, garment_type
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The coarse map of the user in the donor's garment in the pose of the pose image.

    Args:
      user, donor, pose: layouts of one size; the donor may be a flat garment with the keypoints of its invisible
        wearer (garment_landmarks.py).
      garment_type: a name or an index in `segmentation.GARMENT_TYPES`, see `resolve_garment_type`; indices `vmap`.

    Returns: the coarse map, uint8 [H, W] with `UNKNOWN`, and all eight maps by the names in `STEPS`.
    """
    size = pose.segmentation.shape[-2:]
    points = grid(size)
    garment_type = resolve_garment_type(user.segmentation, donor.segmentation, garment_type)
    user_body, donor_body, target = (
        alignment.body_of(layout.keypoints, layout.visible, size) for layout in (user, donor, pose)
    )
    limbs = alignment.limb_place(points, target)
    head = head_layer(user, user_body, target, points)
    # An ordinary dict would leave jit sorted by its keys.
    steps = collections.OrderedDict(start=start(pose))
    steps["remove_hair"] = remove_hair(steps["start"])
    steps["add_hair"] = add_hair(steps["remove_hair"], head, target, points)
    steps["remove_face"] = remove_face(steps["add_hair"])
    steps["add_face"] = add_face(steps["remove_face"], head, pose, target, points)
    steps["remove_dress"] = remove_dress(steps["add_face"], limbs)
    steps["add_pose_lines"] = add_pose_lines(steps["remove_dress"], target, limbs[0])
    steps["add_dress"] = add_dress(
        steps["add_pose_lines"], user, user_body, donor, donor_body, target, garment_type, limbs, points
    )
    return steps["add_dress"], steps


def fill_unknown(coarse: np.ndarray) -> np.ndarray:
    """Fills the holes of a coarse map uint8 [H, W] (or a batch [..., H, W]) with the nearest known label. NumPy."""
    coarse = np.asarray(coarse, dtype=np.uint8)
    if coarse.ndim > 2:
        return np.stack([fill_unknown(one) for one in coarse])
    unknown = coarse == UNKNOWN
    if not unknown.any():
        return coarse.copy()
    if unknown.all():
        return np.zeros_like(coarse)
    _, nearest = cv2.distanceTransformWithLabels(
        unknown.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE, labelType=cv2.DIST_LABEL_PIXEL
    )
    # Every known pixel carries a number of its own; read its label back through that number.
    table = np.zeros(nearest.max() + 1, dtype=np.uint8)
    table[nearest[~unknown]] = coarse[~unknown]
    return table[nearest]


def reconcile(coarse: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """A coarse map uint8 [H, W] whose holes the decoder's label probabilities [H, W, 18] fill. NumPy.

    What the coarse map knows stays. In a hole two witnesses are weighed: the known pixels around, the nearest ones
    most, and the decoder, whose word for a label that is known nowhere near hardly counts.
    """
    known = coarse != UNKNOWN
    if not known.any():
        return np.argmax(shares, -1).astype(np.uint8)
    maps = (coarse[..., None] == np.arange(segmentation.NUM_LABELS)).astype(np.float32)
    near, weight = np.zeros_like(maps), np.full(coarse.shape, 1e-6, np.float32)
    for sigma, share in _NEAR:
        blur = functools.partial(cv2.GaussianBlur, ksize=(0, 0), sigmaX=sigma, borderType=cv2.BORDER_REPLICATE)
        for label in np.flatnonzero(maps.any((0, 1))):
            near[..., label] += share * blur(maps[..., label])
        weight += share * blur(known.astype(np.float32))
    score = np.log(near / weight[..., None] + _DOUBT) + _TRUST * np.log(shares + 1e-4) + np.log(_IN_HOLES)
    return np.where(known, coarse, score.argmax(-1)).astype(np.uint8)
