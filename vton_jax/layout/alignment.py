"""Alignment part by part: from a person's keypoints to body parts, and from one person's parts to another's.

Alphabet: points are (x, y) in pixels; a `Body` is one person's joints, all 18 of them completed where some are missing,
with the scale `height` (pixels a body height) and the turn of torso and head as (cosine, sine): (1, 0) faces the
camera, sine > 0 looks to the picture's right. Lengths in `PROPORTIONS` and radii are shares of the body height.
Parts are numbered: 0 trunk, 1 skirt (hips and what hangs from them), then the eight limbs in the order of `LIMBS`.
Left and right are the person's own. All functions take one frame; `jax.vmap` them over batches.
"""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.geometry import warp_nearest
from vton_jax.core.keypoints import ID
from vton_jax.core.types import Layout

# Shares of the body height: of our mannequins, and near enough of people.
PROPORTIONS = {
    "shoulder_distance": 0.21, "hip_distance": 0.11, "torso": 0.28, "neck_to_nose": 0.105,
    "neck_to_shoulders": 0.013, "neck_to_head": 0.12,
    "upper_arm": 0.17, "forearm": 0.15, "thigh": 0.245, "shin": 0.245,
    "head_half_width": 0.064, "head_half_height": 0.088, "neck_half_width": 0.036,
    "trunk_half_width": 0.105, "trunk_depth": 0.62, "shoulder_depth": 0.4,
}  # fmt: skip
# Name, first and second joint, radius at each, and the label of its skin.
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
_RADII = np.array([limb[3:5] for limb in LIMBS], dtype=np.float32)
LIMB_LABEL = np.array([limb[5] for limb in LIMBS], dtype=np.int32)
IS_ARM = np.array(["arm" in limb[0] for limb in LIMBS])
SHINS = np.array([next(i for i, limb in enumerate(LIMBS) if limb[0] == f"{side}-shin") for side in ("left", "right")])
_FROM_TRUNK = np.array(["upper-arm" in limb[0] or "thigh" in limb[0] for limb in LIMBS])
OTHER_SIDE = np.array([4, 5, 6, 7, 0, 1, 2, 3])
# The head's points in body heights about its centre: to the person's left, downwards, forwards.
_HEAD_JOINTS = np.array([ID[n] for n in ("nose", "right-eye", "left-eye", "right-ear", "left-ear")])
_HEAD_POINTS = np.array(
    [(0, 0.015, 0.08), (-0.025, -0.01, 0.064), (0.025, -0.01, 0.064), (-0.058, 0, 0), (0.058, 0, 0)], dtype=np.float32
)


@flax.struct.dataclass
class Body:
    """One person's frame of reference, from keypoints alone. Every field is finite, whatever is missing."""

    joints: jax.Array  # [18, 2], missing ones guessed
    visible: jax.Array  # [18]
    height: jax.Array  # pixels a body height
    hips: jax.Array  # [2] mid-hip
    leg: jax.Array  # length of a leg in pixels
    turn: jax.Array  # [2] the torso's (cosine, sine)
    head: jax.Array  # [2] the head's centre
    head_turn: jax.Array  # [2]


def length_of(vector: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(jnp.square(vector), axis=-1) + 1e-12)


def _first(options):
    """The first value whose condition holds; the last one's condition is not looked at."""
    value = options[-1][0]
    for candidate, condition in reversed(options[:-1]):
        value = jnp.where(condition, candidate, value)
    return value


def body_of(keypoints: jax.Array, visible: jax.Array, size: tuple[int, int]) -> Body:
    """Completes keypoints [18, 2] with `visible` [18] to a `Body`; `size` is (height, width) of the picture."""
    k, v = jnp.asarray(keypoints, jnp.float32), jnp.asarray(visible, bool)
    p, j = PROPORTIONS, ID
    has = lambda *names: jnp.stack([v[j[n]] for n in names]).all()  # noqa: E731

    shoulder_weights = jnp.stack([v[j["right-shoulder"]], v[j["left-shoulder"]]]).astype(jnp.float32)
    shoulder_y = (shoulder_weights * jnp.stack([k[j["right-shoulder"], 1], k[j["left-shoulder"], 1]])).sum()
    shoulder_y = shoulder_y / jnp.maximum(shoulder_weights.sum(), 1)
    neck_known = v[j["neck"]] | (shoulder_weights.sum() > 0)
    hip_weights = jnp.stack([v[j["right-hip"]], v[j["left-hip"]]]).astype(jnp.float32)
    hips_known = hip_weights.sum() > 0
    hips = (hip_weights[0] * k[j["right-hip"]] + hip_weights[1] * k[j["left-hip"]]) / jnp.maximum(hip_weights.sum(), 1)

    # The scale. The torso's length hardly changes while a person turns or walks; legs and arms foreshorten.
    chains, chain_known = [], []
    for side in ("right", "left"):
        hip, knee, ankle = (k[j[f"{side}-{n}"]] for n in ("hip", "knee", "ankle"))
        chains.append(length_of(knee - hip) + length_of(ankle - knee))
        chain_known.append(has(f"{side}-hip", f"{side}-knee", f"{side}-ankle"))
    chains, chain_known = jnp.stack(chains), jnp.stack(chain_known)
    longest = jnp.where(chain_known, chains, 0).max()
    rough_neck = jnp.where(v[j["neck"]], k[j["neck"], 1], shoulder_y)
    below_neck = jnp.where(v[j["neck"]], p["torso"], p["torso"] - p["neck_to_shoulders"])
    torso = jnp.where(neck_known & hips_known, jnp.abs(hips[1] - rough_neck), 0) / below_neck
    legs = longest / (p["thigh"] + p["shin"])
    low = jnp.where(v, k[:, 1], jnp.inf).min()
    extent = jnp.where(v, k[:, 1], -jnp.inf).max() - low
    height = _first(
        [
            (jnp.maximum(torso, 0.8 * legs), torso > 0),
            (legs, longest > 0),
            (jnp.abs(k[j["nose"], 1] - rough_neck) / p["neck_to_nose"], neck_known & v[j["nose"]]),
            (extent / 0.88, (v.sum() >= 3) & jnp.isfinite(extent)),
            (jnp.asarray(0.84 * size[0]), None),
        ]
    )
    height = jnp.clip(height, 0.05 * size[0], 4.0 * size[0]).astype(jnp.float32)

    neck_y = _first(
        [
            (k[j["neck"], 1], v[j["neck"]]),
            (shoulder_y - p["neck_to_shoulders"] * height, shoulder_weights.sum() > 0),
            (hips[1] - p["torso"] * height, hips_known),
            (k[j["nose"], 1] + p["neck_to_nose"] * height, v[j["nose"]]),
            (jnp.asarray(0.25 * size[0]), None),
        ]
    )
    hips_y = jnp.where(hips_known, hips[1], neck_y + p["torso"] * height)
    neck_x, hips_x, head_x, turn, head_turn = _turn(k, v, height, jnp.asarray(0.5 * size[1]))
    neck = jnp.where(v[j["neck"]], k[j["neck"]], jnp.stack([neck_x, neck_y]))
    hips = jnp.stack([hips_x, hips_y])
    w = v[_HEAD_JOINTS].astype(jnp.float32)
    head_y = (w * (k[_HEAD_JOINTS, 1] - height * _HEAD_POINTS[:, 1])).sum() / jnp.maximum(w.sum(), 1)
    head_y = jnp.where(w.sum() > 0, head_y, neck_y - p["neck_to_head"] * height)

    joints = k.at[j["neck"]].set(neck)
    for name, centre, half in (("shoulder", neck, p["shoulder_distance"] / 2), ("hip", hips, p["hip_distance"] / 2)):
        for side, sign in (("right", -1.0), ("left", 1.0)):
            one, other = j[f"{side}-{name}"], j[f"{'left' if side == 'right' else 'right'}-{name}"]
            guess = jnp.stack([centre[0] + sign * half * height * turn[0], jnp.where(v[other], k[other, 1], centre[1])])
            joints = joints.at[one].set(jnp.where(v[one], k[one], guess))
    for side in ("right", "left"):
        for joint, before, after, length in (
            ("elbow", "shoulder", "wrist", "upper_arm"), ("wrist", "elbow", None, "forearm"),
            ("knee", "hip", "ankle", "thigh"), ("ankle", "knee", None, "shin"),
        ):  # fmt: skip
            one, start = j[f"{side}-{joint}"], joints[j[f"{side}-{before}"]]
            guess = start + p[length] * height * jnp.array([0.0, 1.0])
            if after is not None:
                end = j[f"{side}-{after}"]
                guess = jnp.where(v[end], 0.5 * (start + k[end]), guess)
            joints = joints.at[one].set(jnp.where(v[one], k[one], guess))
    return Body(
        joints=joints,
        visible=v,
        height=height,
        hips=hips,
        leg=jnp.where(longest > 0.35 * height, longest, (p["thigh"] + p["shin"]) * height),
        turn=turn,
        head=jnp.stack([head_x, head_y]),
        head_turn=head_turn,
    )


def _turn(k, v, height, middle):
    """Where torso and head look, and the x of neck, mid-hip and head, from all joints of torso and head together.

    Seen orthographically, a joint at (left, forwards) of its part's centre appears at x = centre + left * cosine +
    forwards * sine. For a given yaw of the torso that is linear in the three centres and in a small further turn of
    the head, so: least squares for each of 72 yaws, and the best of them. What hides decides between the two yaws that
    look alike: of a pair of joints the hidden one is behind, and a hidden nose looks away.
    Returns neck x, mid-hip x, head x, (cosine, sine) of the torso and of the head.
    """
    half_shoulder, half_hip = PROPORTIONS["shoulder_distance"] / 2, PROPORTIONS["hip_distance"] / 2
    joints = np.concatenate(
        [[ID[n] for n in ("neck", "right-shoulder", "left-shoulder", "right-hip", "left-hip")], _HEAD_JOINTS]
    )
    centre = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 2])
    left = np.array([0, -half_shoulder, half_shoulder, -half_hip, half_hip, *_HEAD_POINTS[:, 0]], np.float32)
    forwards = np.array([0, 0, 0, 0, 0, *_HEAD_POINTS[:, 2]], np.float32)
    sigma = np.array([0.006, 0.012, 0.012, 0.008, 0.008, 0.008, 0.008, 0.008, 0.008, 0.008], np.float32)
    on_head = centre == 2
    w = v[joints] / np.square(sigma)
    any_known = v[joints].sum() > 0
    origin = jnp.where(any_known, (v[joints] * k[joints, 0]).sum() / jnp.maximum(v[joints].sum(), 1), middle)
    x = (k[joints, 0] - origin) / height

    yaw = jnp.asarray(np.linspace(-np.pi, np.pi, 72, endpoint=False), jnp.float32)
    c, s = jnp.cos(yaw)[:, None], jnp.sin(yaw)[:, None]
    offset = left * c + forwards * s  # [72, 10]
    slope = jnp.where(on_head, forwards * c - left * s, 0)  # by the head's further turn
    rows = jnp.concatenate([jnp.broadcast_to(np.eye(3, dtype=np.float32)[centre], (72, 10, 3)), slope[..., None]], -1)
    # Priors: the spine is upright, the head sits on it, the head's turn is small, and all is finite.
    ratio = PROPORTIONS["neck_to_head"] / PROPORTIONS["torso"]
    prior_rows = np.array([(1, -1, 0, 0), (-1 - ratio, ratio, 1, 0), (0, 0, 0, 1), (1, 0, 0, 0)], np.float32)
    prior_w = 1 / np.square(np.array([0.02, 0.015, 0.35, 10.0], np.float32))
    matrix = jnp.einsum("ypi,p,ypj->yij", rows, w, rows) + (prior_rows.T * prior_w) @ prior_rows
    vector = jnp.einsum("ypi,p,yp->yi", rows, w, x - offset)
    solution = jnp.linalg.solve(matrix, vector[..., None])[..., 0]  # [72, 4]
    residual = (w * jnp.square(jnp.einsum("ypi,yi->yp", rows, solution) + offset - x)).sum(-1)
    residual = residual + (prior_w * jnp.square(solution @ prior_rows.T)).sum(-1)

    head_yaw = yaw + jnp.clip(solution[:, 3], -1.0, 1.0)
    hidden = 1.0 * ~v[joints]
    for pair, weight in (((1, 2), 4.0), ((3, 4), 2.0)):
        # +1: only the left one is seen, so it is nearer, so the person looks to the picture's left.
        evidence = hidden[pair[0]] - hidden[pair[1]]
        residual = residual + weight * jnp.abs(evidence) * jnp.square(evidence + s[:, 0])
    length = np.sqrt(np.square(left) + np.square(forwards))[5:]
    towards = (forwards[5:] * jnp.cos(head_yaw)[:, None] - left[5:] * jnp.sin(head_yaw)[:, None]) / length  # [72, 5]
    strict = np.array([10.0, 6.0, 6.0, 0.7, 0.7], np.float32)  # hair hides ears at any yaw
    residual = residual + (v[_HEAD_JOINTS] * 6.0 * jnp.square(jnp.maximum(-towards, 0))).sum(-1)
    residual = residual + (~v[_HEAD_JOINTS] * strict * jnp.square(jnp.maximum(towards - 0.2, 0))).sum(-1)
    best = jnp.argmin(residual)
    place = origin + height * solution[best]
    unit = lambda angle: jnp.stack([jnp.cos(angle), jnp.sin(angle)])  # noqa: E731
    return place[0], place[1], place[2], unit(yaw[best]), unit(head_yaw[best])


def trunk_axes(body: Body) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Unit vectors along (neck to hips) and across (to the picture's right), and the trunk's length."""
    spine = body.hips - body.joints[ID["neck"]]
    length = jnp.maximum(length_of(spine), 0.5 * PROPORTIONS["torso"] * body.height)
    along = spine / length_of(spine)
    return along, jnp.stack([along[1], -along[0]]), length


def skirt_axes(body: Body) -> tuple[jax.Array, jax.Array]:
    along = trunk_axes(body)[0] + jnp.array([0.0, 1.0])
    along = along / length_of(along)
    return along, jnp.stack([along[1], -along[0]])


def dot(points: jax.Array, axis: jax.Array) -> jax.Array:
    return points[..., 0] * axis[0] + points[..., 1] * axis[1]


def _width(body: Body, depth) -> jax.Array:
    """How wide something of unit width and given depth looks, in pixels a body height."""
    cosine, sine = body.turn
    return body.height * jnp.sqrt(jnp.square(cosine) + jnp.square(depth * sine) + 1e-6)


def trunk_width(body: Body, share: jax.Array) -> jax.Array:
    """Apparent width at `share` of the way from neck to hips: shoulders are flatter than the chest."""
    p = PROPORTIONS
    depth = p["shoulder_depth"] + (p["trunk_depth"] - p["shoulder_depth"]) * jnp.clip((share - 0.1) / 0.25, 0, 1)
    return _width(body, depth)


def skirt_width(body: Body) -> jax.Array:
    """A skirt makes room for striding knees, which stand out sideways when the person is seen from the side."""
    knees = body.joints[np.array([ID["right-knee"], ID["left-knee"]])][:, 0]
    # A hidden knee has been guessed half way to a visible ankle.
    seen = body.visible[np.array([[ID["right-knee"], ID["left-knee"]], [ID["right-ankle"], ID["left-ankle"]]])].any(0)
    cosine, sine = jnp.abs(body.turn)
    sideways = jnp.where(seen, jnp.abs(knees - body.hips[0]), 0).max() / body.height
    reach = jnp.clip((sideways - 0.06 * cosine) / jnp.maximum(sine, 0.4), 0, 0.12) * (sine > 0.3)
    return _width(body, PROPORTIONS["trunk_depth"] + 1.6 * reach)


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
    t = jnp.clip((dx * bx + dy * by) / squared, 0, 1)
    distance = jnp.sqrt(jnp.square(dx - t * bx) + jnp.square(dy - t * by))
    radius = jnp.asarray(_RADII[:, 0]).reshape(shape) * (1 - t) + jnp.asarray(_RADII[:, 1]).reshape(shape) * t
    return distance / (radius * body.height), t + jnp.asarray(~_FROM_TRUNK).reshape(shape)


def limb_known(body: Body) -> jax.Array:
    """Whether each limb's place [8] is known: its joints are visible, hips and shoulders otherwise well guessed."""
    return (body.visible[FIRST] | jnp.asarray(_FROM_TRUNK)) & body.visible[SECOND]


def trunk_coordinates(points: jax.Array, body: Body) -> tuple[jax.Array, jax.Array]:
    """(share of the way from neck to hips, signed distance across in trunk half widths) of points [..., 2]."""
    along, across, length = trunk_axes(body)
    relative = points - body.joints[ID["neck"]]
    share = dot(relative, along) / length
    return share, dot(relative, across) / (PROPORTIONS["trunk_half_width"] * trunk_width(body, share))


def covered_share(label: jax.Array, body: Body, garment: jax.Array, arms: bool) -> jax.Array:
    """How far down arms or legs a garment reaches, as a limb's place (0..2, see `limb_place`), float [].

    Sleeves cover an arm from the shoulder on, and both arms alike: so a sleeve ends where the first skin is seen on
    either arm, however much of the garment lies in front of the rest of the arm. `label` int [H, W]; `garment` bool
    [H, W] marks the garment's pixels.
    """
    index = np.flatnonzero(arms == IS_ARM)
    steps, offsets = np.linspace(0.03, 0.97, 24, dtype=np.float32), np.array([-0.4, 0.0, 0.4], np.float32)
    a, b = body.joints[FIRST[index]], body.joints[SECOND[index]]
    bone = b - a
    across = jnp.stack([bone[:, 1], -bone[:, 0]], -1) / length_of(bone)[:, None]
    aside = offsets * _RADII[index].mean(-1, keepdims=True) * body.height  # [4, 3]
    points = a[:, None, None] + bone[:, None, None] * steps[:, None, None]
    points = points + across[:, None, None] * aside[:, None, :, None]  # [4, 24, 3, 2]
    code = warp_nearest(label + 32 * garment, points, 0)
    known = limb_known(body)[index][:, None]
    skin = ((code & 31) == LIMB_LABEL[index][:, None, None]).sum(-1) >= 2
    cloth = ((code >> 5) > 0).sum(-1) >= 2
    place = steps + (~_FROM_TRUNK[index])[:, None]
    skin = known & skin & jnp.concatenate([skin[:, 1:], skin[:, -1:]], 1)
    first_skin = jnp.where(skin, place, 2.0).min()
    last_cloth = jnp.where(known & cloth, place, 0.0).max()
    # Clothed to the elbow or knee, and nothing of the limb is seen from there on: clothed to its end.
    hides = (first_skin == 2.0) & (last_cloth > 0.9) & ~known[~_FROM_TRUNK[index]].any()
    end = jnp.minimum(first_skin + 0.02, jnp.where(hides, 2.0, last_cloth + 0.02))
    # What covers less than a third of the upper arm is the shoulder's own cloth; long sleeves end at the wrist.
    return jnp.where(end < 0.36, 0.0, jnp.where(end > 1.7, jnp.clip(end, 1.95, 1.99), end))


def shoe_top(label: jax.Array, body: Body) -> jax.Array:
    """Where a person's shoes begin, as a shin's place (1..2, see `limb_place`), float []; 2 without shoes.

    It is seen where the bare skin of a leg turns into its shoe. Beneath trousers or a long skirt it is not seen: then
    it is an ankle boot's, or where the shoe appears, whichever is higher. `label` int [H, W].
    """
    steps = np.linspace(0.3, 1.0, 36, dtype=np.float32)
    a, b = body.joints[FIRST[SHINS]], body.joints[SECOND[SHINS]]
    read = warp_nearest(label, a[:, None] + (b - a)[:, None] * steps[:, None], 0)  # [2, 36]
    shoe = (read == np.array(segmentation.SHOES)[:, None]) & limb_known(body)[SHINS][:, None]
    shod, first = shoe.any(1), jnp.argmax(shoe, 1)
    above = jnp.take_along_axis(read, jnp.maximum(first - 2, 0)[:, None], 1)[:, 0]
    seen = shod & (above == np.array(segmentation.LEGS))
    place = jnp.where(shod, 1 + jnp.asarray(steps)[first], 2.0)
    mean = jnp.where(seen, place, 0).sum() / jnp.maximum(seen.sum(), 1)
    hidden = jnp.where(segmentation.region(label, segmentation.SHOES).any(), jnp.minimum(place.min(), 1.78), 2.0)
    return jnp.where(seen.any(), mean, hidden)


def membership(layout: Layout, body: Body, points: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Which parts each pixel of a source layout belongs to: bits int32 [H, W]; and its trunk coordinates.

    A pixel belongs to the nearest part, distances measured in that part's own thickness, and to others that are nearly
    as near, so that no gap opens at a joint that bends differently in the target.
    """
    share, across = trunk_coordinates(points, body)
    near, _ = limb_place(points, body)
    known = limb_known(body)[:, None, None]
    arms = jnp.where(known & jnp.asarray(IS_ARM)[:, None, None], near, jnp.inf).min(0)
    legs = jnp.where(~jnp.asarray(IS_ARM)[:, None, None], near, jnp.inf).min(0)
    outside = jnp.maximum(jnp.maximum(-0.12 - share, share - 1.12) * PROPORTIONS["torso"], 0)
    outside = jnp.maximum(outside, (jnp.abs(across) - 0.95) * PROPORTIONS["trunk_half_width"])
    trunk = jnp.where(outside > 0, 1 + outside / 0.03, jnp.abs(across))
    label = layout.segmentation
    trunk_bit = (trunk <= arms + 0.25) | (trunk < 1)
    # Below the hips trousers belong to the legs alone.
    trunk_bit &= (share > -0.4) & (share < jnp.where(label == segmentation.ID["pants"], 1.06, 1.25))
    hanging = segmentation.region(label, segmentation.UPPER + segmentation.DRESS + (segmentation.ID["skirt"],))
    skirt_bit = hanging & (share > 0.9) & ((arms > 1.4) | (jnp.abs(across) < 0.8))
    bits = trunk_bit.astype(jnp.int32) | (skirt_bit.astype(jnp.int32) << SKIRT)
    for i in range(len(LIMBS)):
        rivals = jnp.minimum(arms, trunk) if IS_ARM[i] else jnp.minimum(legs, arms)
        member = ((near[i] <= rivals + 0.4) & (near[i] < 2.2)) | (near[i] < 1.1)
        bits = bits | (member.astype(jnp.int32) << (2 + i))
    return bits, share, across


def _bend(distance, length, other_length, scale):
    """Distance along a bone here -> there: stretched between the joints, scaled by the bodies beyond them."""
    inside = jnp.clip(distance, 0, length)
    return inside * (other_length / length) + (distance - inside) * scale


def backward_points(points: jax.Array, target: Body, source: Body) -> tuple[jax.Array, jax.Array]:
    """For target points [H, W, 2], where each part says the same spot lies in the source: [P, H, W, 2].

    A limb that the source hides is read from the source's other side; where both are hidden, a forearm or shin is read
    from the end of the limb before it.
    Returns the points and, [P], the source's part that each reads.
    """
    scale = source.height / target.height
    along, across, length = trunk_axes(target)
    source_along, source_across, source_length = trunk_axes(source)
    relative = points - target.joints[ID["neck"]]
    down, side = dot(relative, along), dot(relative, across)
    share = down / length
    mirror = jnp.where(target.turn[0] * source.turn[0] < 0, -1.0, 1.0)
    side = side * mirror * trunk_width(source, share) / trunk_width(target, share)
    down = _bend(down, length, source_length, scale)
    trunk = source.joints[ID["neck"]] + down[..., None] * source_along + side[..., None] * source_across

    along, across = skirt_axes(target)
    source_along, source_across = skirt_axes(source)
    relative = points - target.hips
    down = dot(relative, along)
    down = jnp.where(down > 0, down * source.leg / target.leg, down * scale)
    side = dot(relative, across) * mirror * skirt_width(source) / skirt_width(target)
    skirt = source.hips + down[..., None] * source_along + side[..., None] * source_across

    known = limb_known(source)
    both_hidden = ~known & ~known[OTHER_SIDE]
    before = jnp.where(both_hidden & jnp.asarray(~_FROM_TRUNK), jnp.arange(len(LIMBS)) - 1, jnp.arange(len(LIMBS)))
    read = jnp.where(~known[before] & known[OTHER_SIDE][before], jnp.asarray(OTHER_SIDE)[before], before)
    first, second = source.joints[FIRST][read], source.joints[SECOND][read]
    only_end = before != jnp.arange(len(LIMBS))
    limbs = []
    for i in range(len(LIMBS)):
        a, bone = target.joints[FIRST[i]], target.joints[SECOND[i]] - target.joints[FIRST[i]]
        length, source_length = jnp.maximum(length_of(bone), 1.0), length_of(second[i] - first[i])
        along, source_along = bone / length_of(bone), (second[i] - first[i]) / source_length
        relative = points - a
        down = dot(relative, along)
        at_end = jnp.where((down > 0) & (down < length), 0.93 * source_length, 1e4)
        down = jnp.where(only_end[i], at_end, _bend(down, length, source_length, scale))
        side = dot(relative, jnp.stack([along[1], -along[0]])) * scale
        source_across = jnp.stack([source_along[1], -source_along[0]])
        limbs.append(first[i] + down[..., None] * source_along + side[..., None] * source_across)
    return jnp.stack([trunk, skirt, *limbs]), jnp.concatenate([jnp.arange(2), 2 + read])
