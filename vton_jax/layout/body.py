"""A person's frame of reference: all joints, the scale, and where torso and head look, from keypoints alone.

Conventions: points are (x, y) in pixels; a `Body` is one person's joints, all 18 of them completed where some are
missing, with the scale `height` (pixels a body height) and the turn of torso and head as (cosine, sine): (1, 0) faces
the camera, sine > 0 looks to the picture's right. Lengths in `PROPORTIONS` are fractions of the body height. Left and
right are the person's own. All functions take one frame; `jax.vmap` them over batches.
"""

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core.keypoints import ID
from vton_jax.core.types import Layout


@dataclasses.dataclass(frozen=True)
class Proportions:
    """Lengths in fractions of the body height: capsule mannequins' (before commit fdce6ac), near enough of people."""

    shoulder_distance: float = 0.21
    hip_distance: float = 0.11
    torso: float = 0.28  # from the neck joint to the hips
    neck_to_nose: float = 0.105
    neck_to_shoulders: float = 0.013  # downwards
    neck_to_head: float = 0.12  # to the head's centre
    nose_to_ankles: float = 0.88
    upper_arm: float = 0.17
    forearm: float = 0.15
    thigh: float = 0.245
    shin: float = 0.245
    head_half_width: float = 0.064
    head_half_height: float = 0.088
    neck_half_width: float = 0.036
    trunk_half_width: float = 0.105
    trunk_depth: float = 0.62  # over its width
    shoulder_depth: float = 0.4  # over their width
    # Nose, right and left eye, right and left ear about the head's centre: to the person's left, downwards, forwards.
    head_points: tuple[tuple[float, float, float], ...] = (
        (0, 0.015, 0.08), (-0.025, -0.01, 0.064), (0.025, -0.01, 0.064), (-0.058, 0, 0), (0.058, 0, 0),
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """How joints are weighed. Chosen on capsule mannequins, whose turns it found to 20 degrees."""

    # The scale. Guesses where little is seen: by eye.
    legs_fraction: float = 0.8  # of the height that stretched legs say: they say it where the torso says less
    height_bounds: tuple[float, float] = (0.05, 4.0)  # of the frame's height
    fewest_joints: int = 3  # whose extent is taken for that from nose to ankles
    usual_height: float = 0.84  # of the frame's height, for somebody of whom nothing is seen
    usual_neck: float = 0.25  # its place, likewise
    usual_middle: float = 0.5  # of the frame's width
    shortest_leg: float = 0.35  # of the body height: a leg that looks shorter is foreshortened
    # The turn. Standard deviations in body heights; of the head's further turn in radians.
    neck_sigma: float = 0.006
    shoulder_sigma: float = 0.012
    hip_sigma: float = 0.008
    head_sigma: float = 0.008
    spine_sigma: float = 0.02  # how far hips are from below the neck
    head_on_spine_sigma: float = 0.015
    head_turn_sigma: float = 0.35
    place_sigma: float = 10.0  # nearly nothing: all is finite where no joint is seen
    largest_head_turn: float = 1.0  # radians
    # Evidence of what hides, in squared standard deviations.
    hidden_shoulder: float = 4.0
    hidden_hip: float = 2.0
    seen_behind: float = 6.0  # a joint of the head that is seen though it looks away
    hidden_in_front: tuple[float, ...] = (10.0, 6.0, 6.0, 0.7, 0.7)  # nose, eyes, ears: hair hides ears at any yaw
    in_front: float = 0.2  # cosine from which on a joint of the head should be seen


PROPORTIONS, THRESHOLDS = Proportions(), Thresholds()
_HEAD_JOINTS = np.array([ID[n] for n in ("nose", "right-eye", "left-eye", "right-ear", "left-ear")])
_HEAD_POINTS = np.array(PROPORTIONS.head_points, dtype=np.float32)
_YAWS = 72  # that are tried


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
    p, t, k, v = PROPORTIONS, THRESHOLDS, seen.points, seen.visible
    height = _height(seen, size)
    neck_y = _first(
        [
            (seen.at("neck")[1], seen.has("neck")),
            (seen.shoulders[1] - p.neck_to_shoulders * height, seen.shoulders_known),
            (seen.hips[1] - p.torso * height, seen.hips_known),
            (seen.at("nose")[1] + p.neck_to_nose * height, seen.has("nose")),
            (jnp.asarray(t.usual_neck * size[0]), None),
        ]
    )
    hips_y = jnp.where(seen.hips_known, seen.hips[1], neck_y + p.torso * height)
    neck_x, hips_x, head_x, turn, head_turn = _turn(k, v, height, jnp.asarray(t.usual_middle * size[1]))
    neck = jnp.where(seen.has("neck"), seen.at("neck"), jnp.stack([neck_x, neck_y]))
    hips = jnp.stack([hips_x, hips_y])
    w = v[_HEAD_JOINTS].astype(jnp.float32)
    head_y = (w * (k[_HEAD_JOINTS, 1] - height * _HEAD_POINTS[:, 1])).sum() / jnp.maximum(w.sum(), 1)
    head_y = jnp.where(w.sum() > 0, head_y, neck_y - p.neck_to_head * height)
    return Body(
        joints=_completed(seen, neck, hips, turn, height),
        visible=v,
        height=height,
        hips=hips,
        leg=jnp.where(seen.leg > t.shortest_leg * height, seen.leg, (p.thigh + p.shin) * height),
        turn=turn,
        head=jnp.stack([head_x, head_y]),
        head_turn=head_turn,
    )


def _height(seen: _Seen, size: tuple[int, int]) -> jax.Array:
    """Pixels a body height. The torso's length hardly changes while a person turns or walks; limbs foreshorten."""
    p, t, k, v = PROPORTIONS, THRESHOLDS, seen.points, seen.visible
    neck_known = seen.has("neck") | seen.shoulders_known
    rough_neck = seen.neck_y()
    below_neck = jnp.where(seen.has("neck"), p.torso, p.torso - p.neck_to_shoulders)
    torso = jnp.where(neck_known & seen.hips_known, jnp.abs(seen.hips[1] - rough_neck), 0) / below_neck
    legs = seen.leg / (p.thigh + p.shin)
    low = jnp.where(v, k[:, 1], jnp.inf).min()
    extent = jnp.where(v, k[:, 1], -jnp.inf).max() - low
    height = _first(
        [
            (jnp.maximum(torso, t.legs_fraction * legs), torso > 0),
            (legs, seen.leg > 0),
            (jnp.abs(seen.at("nose")[1] - rough_neck) / p.neck_to_nose, neck_known & seen.has("nose")),
            (extent / p.nose_to_ankles, (v.sum() >= t.fewest_joints) & jnp.isfinite(extent)),
            (jnp.asarray(t.usual_height * size[0]), None),
        ]
    )
    return jnp.clip(height, *(fraction * size[0] for fraction in t.height_bounds)).astype(jnp.float32)


def _completed(seen: _Seen, neck: jax.Array, hips: jax.Array, turn: jax.Array, height: jax.Array) -> jax.Array:
    """The joints [18, 2]: as they are seen, or guessed from those before and after them."""
    p, k, v = PROPORTIONS, seen.points, seen.visible
    joints = k.at[ID["neck"]].set(neck)
    for name, centre, half in (("shoulder", neck, p.shoulder_distance / 2), ("hip", hips, p.hip_distance / 2)):
        for side, sign in (("right", -1.0), ("left", 1.0)):
            one, other = ID[f"{side}-{name}"], ID[f"{'left' if side == 'right' else 'right'}-{name}"]
            guess = jnp.stack([centre[0] + sign * half * height * turn[0], jnp.where(v[other], k[other, 1], centre[1])])
            joints = joints.at[one].set(jnp.where(v[one], k[one], guess))
    for side in ("right", "left"):
        for joint, before, after, length in (
            ("elbow", "shoulder", "wrist", p.upper_arm), ("wrist", "elbow", None, p.forearm),
            ("knee", "hip", "ankle", p.thigh), ("ankle", "knee", None, p.shin),
        ):  # fmt: skip
            one, start = ID[f"{side}-{joint}"], joints[ID[f"{side}-{before}"]]
            guess = start + length * height * jnp.array([0.0, 1.0])
            if after is not None:
                end = ID[f"{side}-{after}"]
                guess = jnp.where(v[end], 0.5 * (start + k[end]), guess)
            joints = joints.at[one].set(jnp.where(v[one], k[one], guess))
    return joints


def _turn(k, v, height, middle):
    """Where torso and head look, and the x of neck, mid-hip and head, from all joints of torso and head together.

    Seen orthographically, a joint at (left, forwards) of its part's centre appears at x = centre + left * cosine +
    forwards * sine. For a given yaw of the torso that is linear in the three centres and in a small further turn of
    the head, so: least squares for each of `_YAWS`, and the best of them. What hides decides between the two yaws that
    look alike: of a pair of joints the hidden one is behind, and a hidden nose looks away.
    Returns neck x, mid-hip x, head x, (cosine, sine) of the torso and of the head.
    """
    t, half_shoulder, half_hip = THRESHOLDS, PROPORTIONS.shoulder_distance / 2, PROPORTIONS.hip_distance / 2
    joints = np.concatenate(
        [[ID[n] for n in ("neck", "right-shoulder", "left-shoulder", "right-hip", "left-hip")], _HEAD_JOINTS]
    )
    centre = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 2])
    left = np.array([0, -half_shoulder, half_shoulder, -half_hip, half_hip, *_HEAD_POINTS[:, 0]], np.float32)
    forwards = np.array([0, 0, 0, 0, 0, *_HEAD_POINTS[:, 2]], np.float32)
    sigma = [t.neck_sigma, *2 * [t.shoulder_sigma], *2 * [t.hip_sigma], *len(_HEAD_JOINTS) * [t.head_sigma]]
    on_head = centre == 2
    w = v[joints] / np.square(np.array(sigma, np.float32))
    any_known = v[joints].sum() > 0
    origin = jnp.where(any_known, (v[joints] * k[joints, 0]).sum() / jnp.maximum(v[joints].sum(), 1), middle)
    x = (k[joints, 0] - origin) / height

    yaw = jnp.asarray(np.linspace(-np.pi, np.pi, _YAWS, endpoint=False), jnp.float32)
    c, s = jnp.cos(yaw)[:, None], jnp.sin(yaw)[:, None]
    offset = left * c + forwards * s  # [72, 10]
    slope = jnp.where(on_head, forwards * c - left * s, 0)  # by the head's further turn
    which = jnp.broadcast_to(np.eye(3, dtype=np.float32)[centre], (_YAWS, 10, 3))
    rows = jnp.concatenate([which, slope[..., None]], -1)
    # Priors: the spine is upright, the head sits on it, the head's turn is small, and all is finite.
    ratio = PROPORTIONS.neck_to_head / PROPORTIONS.torso
    prior_rows = np.array([(1, -1, 0, 0), (-1 - ratio, ratio, 1, 0), (0, 0, 0, 1), (1, 0, 0, 0)], np.float32)
    prior_sigma = np.array([t.spine_sigma, t.head_on_spine_sigma, t.head_turn_sigma, t.place_sigma], np.float32)
    prior_w = 1 / np.square(prior_sigma)
    matrix = jnp.einsum("ypi,p,ypj->yij", rows, w, rows) + (prior_rows.T * prior_w) @ prior_rows
    vector = jnp.einsum("ypi,p,yp->yi", rows, w, x - offset)
    solution = jnp.linalg.solve(matrix, vector[..., None])[..., 0]  # [72, 4]
    residual = (w * jnp.square(jnp.einsum("ypi,yi->yp", rows, solution) + offset - x)).sum(-1)
    residual = residual + (prior_w * jnp.square(solution @ prior_rows.T)).sum(-1)

    head_yaw = yaw + jnp.clip(solution[:, 3], -t.largest_head_turn, t.largest_head_turn)
    hidden = (~v[joints]).astype(jnp.float32)
    for pair, weight in (((1, 2), t.hidden_shoulder), ((3, 4), t.hidden_hip)):
        # +1: only the left one is seen, so it is nearer, so the person looks to the picture's left.
        evidence = hidden[pair[0]] - hidden[pair[1]]
        residual = residual + weight * jnp.abs(evidence) * jnp.square(evidence + s[:, 0])
    length = np.sqrt(np.square(left) + np.square(forwards))[5:]
    towards = (forwards[5:] * jnp.cos(head_yaw)[:, None] - left[5:] * jnp.sin(head_yaw)[:, None]) / length  # [72, 5]
    strict = np.array(t.hidden_in_front, np.float32)
    residual = residual + (v[_HEAD_JOINTS] * t.seen_behind * jnp.square(jnp.maximum(-towards, 0))).sum(-1)
    residual = residual + (~v[_HEAD_JOINTS] * strict * jnp.square(jnp.maximum(towards - t.in_front, 0))).sum(-1)
    best = jnp.argmin(residual)
    place = origin + height * solution[best]
    unit = lambda angle: jnp.stack([jnp.cos(angle), jnp.sin(angle)])  # noqa: E731
    return place[0], place[1], place[2], unit(yaw[best]), unit(head_yaw[best])
