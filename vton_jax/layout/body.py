"""A person's frame of reference: all joints, the scale, and where torso and head look, from keypoints alone.

Alphabet: points are (x, y) in pixels; a `Body` is one person's joints, all 18 of them completed where some are missing,
with the scale `height` (pixels a body height) and the turn of torso and head as (cosine, sine): (1, 0) faces the
camera, sine > 0 looks to the picture's right. Lengths in `PROPORTIONS` are shares of the body height. Left and right
are the person's own. All functions take one frame; `jax.vmap` them over batches.
"""

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

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


@dataclasses.dataclass(frozen=True)
class _Seen:
    """What is seen of a person, and what follows from it at once."""

    points: jax.Array  # [18, 2]
    visible: jax.Array  # [18]
    shoulders: jax.Array  # [2] the middle of those that are seen
    shoulders_known: jax.Array
    hips: jax.Array  # [2]
    hips_known: jax.Array
    leg: jax.Array  # length in pixels of the longer leg of those that are seen from hip to ankle, 0 where none is

    def has(self, name: str) -> jax.Array:
        return self.visible[ID[name]]

    def at(self, name: str) -> jax.Array:
        return self.points[ID[name]]

    def neck_y(self) -> jax.Array:
        """A neck that is not seen is about as high as the shoulders."""
        return jnp.where(self.has("neck"), self.at("neck")[1], self.shoulders[1])


def _see(points: jax.Array, visible: jax.Array) -> _Seen:
    def middle(name):
        right, left = ID[f"right-{name}"], ID[f"left-{name}"]
        weights = jnp.stack([visible[right], visible[left]]).astype(jnp.float32)
        between = (weights[0] * points[right] + weights[1] * points[left]) / jnp.maximum(weights.sum(), 1)
        return between, weights.sum() > 0

    chains, known = [], []
    for side in ("right", "left"):
        joints = [ID[f"{side}-{n}"] for n in ("hip", "knee", "ankle")]
        hip, knee, ankle = (points[j] for j in joints)
        chains.append(length_of(knee - hip) + length_of(ankle - knee))
        known.append(jnp.stack([visible[j] for j in joints]).all())
    leg = jnp.where(jnp.stack(known), jnp.stack(chains), 0).max()
    return _Seen(points, visible, *middle("shoulder"), *middle("hip"), leg)


def body_of(person: Layout, size: tuple[int, int]) -> Body:
    """Completes the joints of one person, whatever is missing.

    Args: person: a `Layout`, or anything else with `keypoints` [18, 2] and `visible` [18]; size: (height, width) of the
    picture.
    """
    seen = _see(jnp.asarray(person.keypoints, jnp.float32), jnp.asarray(person.visible, bool))
    p, k, v = PROPORTIONS, seen.points, seen.visible
    height = _height(seen, size)
    neck_y = _first(
        [
            (seen.at("neck")[1], seen.has("neck")),
            (seen.shoulders[1] - p["neck_to_shoulders"] * height, seen.shoulders_known),
            (seen.hips[1] - p["torso"] * height, seen.hips_known),
            (seen.at("nose")[1] + p["neck_to_nose"] * height, seen.has("nose")),
            (jnp.asarray(0.25 * size[0]), None),
        ]
    )
    hips_y = jnp.where(seen.hips_known, seen.hips[1], neck_y + p["torso"] * height)
    neck_x, hips_x, head_x, turn, head_turn = _turn(k, v, height, jnp.asarray(0.5 * size[1]))
    neck = jnp.where(seen.has("neck"), seen.at("neck"), jnp.stack([neck_x, neck_y]))
    hips = jnp.stack([hips_x, hips_y])
    w = v[_HEAD_JOINTS].astype(jnp.float32)
    head_y = (w * (k[_HEAD_JOINTS, 1] - height * _HEAD_POINTS[:, 1])).sum() / jnp.maximum(w.sum(), 1)
    head_y = jnp.where(w.sum() > 0, head_y, neck_y - p["neck_to_head"] * height)
    return Body(
        joints=_completed(seen, neck, hips, turn, height),
        visible=v,
        height=height,
        hips=hips,
        leg=jnp.where(seen.leg > 0.35 * height, seen.leg, (p["thigh"] + p["shin"]) * height),
        turn=turn,
        head=jnp.stack([head_x, head_y]),
        head_turn=head_turn,
    )


def _height(seen: _Seen, size: tuple[int, int]) -> jax.Array:
    """Pixels a body height. The torso's length hardly changes while a person turns or walks; limbs foreshorten."""
    p, k, v = PROPORTIONS, seen.points, seen.visible
    neck_known = seen.has("neck") | seen.shoulders_known
    rough_neck = seen.neck_y()
    below_neck = jnp.where(seen.has("neck"), p["torso"], p["torso"] - p["neck_to_shoulders"])
    torso = jnp.where(neck_known & seen.hips_known, jnp.abs(seen.hips[1] - rough_neck), 0) / below_neck
    legs = seen.leg / (p["thigh"] + p["shin"])
    low = jnp.where(v, k[:, 1], jnp.inf).min()
    extent = jnp.where(v, k[:, 1], -jnp.inf).max() - low
    height = _first(
        [
            (jnp.maximum(torso, 0.8 * legs), torso > 0),
            (legs, seen.leg > 0),
            (jnp.abs(seen.at("nose")[1] - rough_neck) / p["neck_to_nose"], neck_known & seen.has("nose")),
            (extent / 0.88, (v.sum() >= 3) & jnp.isfinite(extent)),
            (jnp.asarray(0.84 * size[0]), None),
        ]
    )
    return jnp.clip(height, 0.05 * size[0], 4.0 * size[0]).astype(jnp.float32)


def _completed(seen: _Seen, neck: jax.Array, hips: jax.Array, turn: jax.Array, height: jax.Array) -> jax.Array:
    """The joints [18, 2]: as they are seen, or guessed from those before and after them."""
    p, k, v = PROPORTIONS, seen.points, seen.visible
    joints = k.at[ID["neck"]].set(neck)
    for name, centre, half in (("shoulder", neck, p["shoulder_distance"] / 2), ("hip", hips, p["hip_distance"] / 2)):
        for side, sign in (("right", -1.0), ("left", 1.0)):
            one, other = ID[f"{side}-{name}"], ID[f"{'left' if side == 'right' else 'right'}-{name}"]
            guess = jnp.stack([centre[0] + sign * half * height * turn[0], jnp.where(v[other], k[other, 1], centre[1])])
            joints = joints.at[one].set(jnp.where(v[one], k[one], guess))
    for side in ("right", "left"):
        for joint, before, after, length in (
            ("elbow", "shoulder", "wrist", "upper_arm"), ("wrist", "elbow", None, "forearm"),
            ("knee", "hip", "ankle", "thigh"), ("ankle", "knee", None, "shin"),
        ):  # fmt: skip
            one, start = ID[f"{side}-{joint}"], joints[ID[f"{side}-{before}"]]
            guess = start + p[length] * height * jnp.array([0.0, 1.0])
            if after is not None:
                end = ID[f"{side}-{after}"]
                guess = jnp.where(v[end], 0.5 * (start + k[end]), guess)
            joints = joints.at[one].set(jnp.where(v[one], k[one], guess))
    return joints


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
    hidden = (~v[joints]).astype(jnp.float32)
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
