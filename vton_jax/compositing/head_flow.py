"""The photo's head turned to where another head looks: a backward flow over an ellipsoid, held by the face's joints.

Conventions: NumPy; points are (x, y) in pixels; `Body`: see layout/body.py, one frame of NumPy arrays; a head's yaw is
the angle of its (cosine, sine). A head is an ellipsoid about its centre, of the half axes that `body.PROPORTIONS` has.
"""

import dataclasses

import cv2
import numpy as np

from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.layout.body import PROPORTIONS, Body

FACE_JOINTS = tuple(JOINTS[name] for name in ("nose", "left-eye", "right-eye"))
_OTHER_EYE = (JOINTS["nose"], JOINTS["right-eye"], JOINTS["left-eye"])


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """By eye on the catalogue's validation split; lengths in body heights."""

    depth: float = 1.2  # of a head over its width
    edge: tuple[float, float] = (0.1, 0.35)  # cosine towards the camera: from where on a place is seen, and seen well
    held: float = 0.03  # sigma about a joint within which the flow leads to the photo's own
    everywhere: float = 0.15  # weight of the joints' mean shift far from all of them
    farthest: float = 0.04  # that a joint moves the flow


CHOSEN = Thresholds()


@dataclasses.dataclass(frozen=True)
class Turned:
    """Where in the photo a turned head's pixels lie."""

    place: np.ndarray  # float32 [H, W, 2]
    seen: np.ndarray  # float32 [H, W], how well the photo's camera sees that side of the ellipsoid
    inside: np.ndarray  # bool [H, W], the ellipsoid
    shown: np.ndarray | None = None  # float32 [H, W], `seen`, and the photo's own head is there
    sure: np.ndarray | None = None  # float32 [H, W], `shown`, and away from the outline of the photo's head

    def where(self, head: np.ndarray) -> "Turned":
        """The same, shown only where the photo's own head is: beside a profile lies the background.

        Args: head: float [H, W, 2], where the head is, and where surely.
        """
        there = cv2.remap(head, self.place, None, cv2.INTER_LINEAR)
        return dataclasses.replace(self, shown=self.seen * (there[..., 0] > 0.5), sure=self.seen * there[..., 1])


def yaw_between(own: Body, there: Body) -> float:
    """By how much the photo's head is turned further than the target's, radians in [-pi, pi].

    Of heads and trunks the smaller angle counts: heads are small, and turn with the trunk more often than their joints
    are read well.
    """
    angles = []
    for name in ("head_turn", "turn"):
        (c, s), (user_c, user_s) = getattr(there, name), getattr(own, name)
        angles.append(np.arctan2(user_s * c - user_c * s, user_c * c + user_s * s))
    return float(min(angles, key=abs))


def shows_face(body: Body) -> bool:
    """Whether a nose or an eye is seen: from behind there is none."""
    return bool(np.asarray(body.visible)[list(FACE_JOINTS)].any())


def turned(own: Body, there: Body, size: tuple[int, int], *, mirrored: bool = False) -> Turned:
    """The photo's head as the target's looks. Args: mirrored: read each half on the other one, as heads are alike."""
    points = np.stack(np.meshgrid(*map(np.arange, size[::-1])), -1).astype(np.float32)
    place, towards, wanted, inside = _by_geometry(points, own, there, mirrored)
    low, high = CHOSEN.edge
    place = place + _by_joints(points, own, there, mirrored)
    # What the target sees from the side need not be seen better: of a head that does not turn, all is the photo's own.
    seen = np.clip(1 - (np.minimum(wanted, high) - towards) / (high - low), 0, 1)
    return Turned(place.astype(np.float32), seen.astype(np.float32), inside)


def _by_geometry(points: np.ndarray, own: Body, there: Body, mirrored: bool) -> tuple[np.ndarray, ...]:
    """(places [..., 2] in the photo, cosine towards its camera, towards the target's, whether on the head) of target
    points [..., 2].

    A pixel at x across shows the nearer of the two places of the head's outline, seen from above, that lie there.
    """
    p, depth = PROPORTIONS, CHOSEN.depth
    unit = (points - np.asarray(there.head)) / (np.float32([p.head_half_width, p.head_half_height]) * there.height)
    x, down = unit[..., 0], unit[..., 1]
    yaw = np.arctan2(there.head_turn[1], there.head_turn[0])
    user_yaw = yaw + yaw_between(own, there)
    c, s, flat = np.cos(yaw), np.sin(yaw), 1 / depth**2
    a, b = s * s + c * c * flat, x * c * s * (flat - 1)
    rest = x * x * (c * c + s * s * flat) - np.maximum(1 - down * down, 0)
    root = np.sqrt(np.maximum(b * b - a * rest, 0))
    near = (root - b) / a
    left, front = x * c - near * s, x * s + near * c
    wanted = front * flat * c - left * s
    left = -left if mirrored else left
    user_c, user_s = np.cos(user_yaw), np.sin(user_yaw)
    across, towards = left * user_c + front * user_s, front * flat * user_c - left * user_s
    length = np.sqrt(left**2 + (front * flat) ** 2 + 1e-6)
    scale = np.float32([p.head_half_width, p.head_half_height]) * own.height
    return (
        np.asarray(own.head) + np.stack([across, down], -1) * scale,
        towards / length,
        wanted / length,
        b * b > a * rest,
    )


def _by_joints(points: np.ndarray, own: Body, there: Body, mirrored: bool) -> np.ndarray:
    """What the geometry misses [..., 2], so that nose and eyes lead to nose and eyes, where both pictures show them."""
    pairs = zip(FACE_JOINTS, _OTHER_EYE if mirrored else FACE_JOINTS, strict=True)
    seen = [(at, to) for at, to in pairs if there.visible[at] and own.visible[to]]
    if not seen:
        return np.zeros_like(points)
    at, to = (np.float32(body.joints)[[pair[i] for pair in seen]] for i, body in enumerate((there, own)))
    missed = to - _by_geometry(at, own, there, mirrored)[0]
    farthest = CHOSEN.farthest * own.height
    missed *= np.minimum(1, farthest / np.maximum(np.linalg.norm(missed, axis=-1, keepdims=True), 1e-6))
    sigma = CHOSEN.held * there.height
    distance = np.square(points[..., None, :] - at).sum(-1)
    weight = np.exp(-distance / (2 * sigma**2))
    mean = missed.mean(0) * CHOSEN.everywhere
    return (weight @ missed + mean) / (weight.sum(-1, keepdims=True) + CHOSEN.everywhere)
