"""What try-on must not change is taken from the user's photo: parts that stand still, the head, and the background.

Conventions: pictures are float NumPy arrays [H, W, 3] in [0, 1] of the networks' size; labels uint8 [H, W], ATR's.
The networks paint a whole picture anew, and on real photos they leave the old person's outline behind the new one.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from vton_jax.compositing import backdrops, head_flow
from vton_jax.core import framing, keypoints, segmentation
from vton_jax.core.types import Dressed, Layout, User
from vton_jax.layout import limbs
from vton_jax.layout.body import PROPORTIONS

BACKGROUNDS = ("inpaint", "network")
_HEAD = ("nose", "neck", "left-eye", "right-eye", "left-ear", "right-ear")
_HAIR_LABELS = tuple(segmentation.ID[name] for name in ("hat", "hair", "sunglasses"))
_HEAD_LABELS = (*_HAIR_LABELS, segmentation.ID["face"])
_FACE_LABELS = segmentation.FACE
_TRUNK = ("left-shoulder", "right-shoulder", "left-hip", "right-hip")
# The joints that a part moves with; what is not named moves with the trunk.
_JOINTS = {name: _HEAD for name in ("hat", "hair", "sunglasses", "face")}
for _side in ("left", "right"):
    _JOINTS[f"{_side}-arm"] = tuple(f"{_side}-{joint}" for joint in ("shoulder", "elbow", "wrist"))
    _JOINTS[f"{_side}-leg"] = tuple(f"{_side}-{joint}" for joint in ("hip", "knee", "ankle"))
    _JOINTS[f"{_side}-shoe"] = (f"{_side}-knee", f"{_side}-ankle")
for _name in ("skirt", "pants"):
    _JOINTS[_name] = tuple(f"{s}-{joint}" for joint in ("hip", "knee", "ankle") for s in ("left", "right"))


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """What was chosen by eye on the two UBC clips and the twelve persons of the development data, which are scored too.

    Lengths are fractions of the frame's height, but for `still` and `moved`.
    """

    still: float = 0.015  # of the person's height: joints that move less stand still
    moved: float = 0.035  # of the person's height: joints that move more do not stand still at all
    same_turn: float = 30.0  # degrees between two people's turns: up to here the head's outline is the photo's
    other_turn: float = 60.0  # degrees: from here on it is not
    # Degrees: up to here a face is the photo's own, turned; from there on it is painted. By eye on the catalogue's
    # validation split.
    own_face: float = 75.0
    painted_face: float = 90.0
    least_trust: float = 0.5  # of a carried head: from here on its outline counts
    soft: float = 1.2 / 256  # sigma of every edge
    inner: float = 1 / 256  # an edge begins so far within what is kept
    halo: float = 2 / 256  # around what the backdrop makes up: the old outline would show in detail of the photo
    around_head: float = 4 / 256  # beyond a carried head or hand: moves with it too
    # Around the person: up to the first nothing of the background is copied along its flow, from the second on that is
    # the flow. By eye on photos set aside for choosing.
    apart: tuple[float, float] = (4 / 256, 2 / 256)


CHOSEN = Thresholds()


def softened(mask: np.ndarray) -> np.ndarray:
    """A float mask [H, W] with soft edges."""
    return cv2.GaussianBlur(mask, (0, 0), CHOSEN.soft * len(mask))


def stillness(user: Layout, pose: Layout) -> np.ndarray:
    """For each of the 18 labels, how much the part stands where it stood in the photo: [18] in [0, 1].

    A part stands still as far as its farthest joint does; one without a joint that both show has moved. In the photo's
    own pose all of it does.
    """
    if all(np.array_equal(getattr(user, name), getattr(pose, name)) for name in ("keypoints", "visible")):
        return np.ones(segmentation.NUM_LABELS, np.float32)
    both = np.asarray(user.visible) & np.asarray(pose.visible)
    height = keypoints.person_height(np.asarray(user.keypoints), np.asarray(user.visible))
    moved = np.linalg.norm(np.asarray(user.keypoints) - np.asarray(pose.keypoints), axis=-1) / height
    still = np.zeros(segmentation.NUM_LABELS, np.float32)
    for label, name in enumerate(segmentation.LABELS):
        seen = [joint for joint in map(keypoints.ID.get, _JOINTS.get(name, _TRUNK)) if both[joint]]
        if seen:
            still[label] = np.clip((CHOSEN.moved - moved[seen].max()) / (CHOSEN.moved - CHOSEN.still), 0, 1)
    still[0] = 1
    return still


def kept(labels: np.ndarray, final: np.ndarray, still: np.ndarray, garment_type: int) -> np.ndarray:
    """How much of each pixel [H, W] stays as it is in the photo.

    Kept are pixels whose parts, in the photo's labels and in the final map, stand still; never what wore the old
    garment or wears the new one. A part that begins to move fades into itself alone: where the final map shows another
    in its place, or the background, half of it would be a ghost. But for the photo's head, which is carried along and
    whose rim would be missing. Nor is the background kept beside what is gone: rests of it lie there. Edges are soft on
    the kept side: the new garment stays whole.
    """
    kind = segmentation.GARMENT_TYPES[garment_type]
    changed = segmentation.region(labels, segmentation.REPLACED_LABELS[kind])
    changed |= segmentation.region(final, segmentation.TARGET_LABELS[kind])
    keep = np.minimum(still[labels], still[final])
    gone = (final == 0) & (labels > 0)
    keep[(labels + final == 0) & (cv2.dilate(np.uint8(gone), framing.square(backdrops.CHOSEN.halo, len(gone))) > 0)] = 0
    ghost = (labels != final) & (keep < 1) & ~segmentation.region(labels, _HEAD_LABELS)
    keep = np.where(changed | ghost, 0, keep).astype(np.float32)
    keep = cv2.erode(keep, framing.square(CHOSEN.inner, len(keep)))
    return np.minimum(keep, softened(keep))


@dataclasses.dataclass(frozen=True)
class Head:
    """The user's photo moved, scaled and turned so that its head lies on the target's."""

    picture: np.ndarray  # float [H, W, 3]
    flow: np.ndarray  # float [H, W, 2], from there back to the photo
    labels: np.ndarray  # uint8 [H, W], the photo's, with one head
    inside: np.ndarray  # bool [H, W], what the photo shows
    chin: float  # the target's, in pixels from the top
    trust: float  # of its outline: 1 where the heads look the same way to `same_turn` degrees, 0 at `other_turn`
    sure: np.ndarray | float = 1.0  # float [H, W], of each pixel, where the labels agree


def carried_head(user: User, pose: Layout) -> Head | None:
    """The user's head at the target's place, turned as the target's is; None where it is not to be had.

    It is not where neither the two heads nor the two trunks look nearly the same way, nor where one shows a face and
    the other, from behind, does not.
    """
    size = user.image.shape[:2]
    own, there = limbs.bodies_of((user.layout, pose), user.image.shape[:2])
    angle, face = np.degrees(abs(head_flow.yaw_between(own, there))), head_flow.shows_face(own)
    trust = np.clip((CHOSEN.other_turn - angle) / (CHOSEN.other_turn - CHOSEN.same_turn), 0, 1)
    turned = np.clip((CHOSEN.painted_face - angle) / (CHOSEN.painted_face - CHOSEN.own_face), 0, 1) * face
    if face != head_flow.shows_face(there) or max(trust, turned) == 0:
        return None
    x, y = np.meshgrid(np.arange(size[1], dtype=np.float32), np.arange(size[0], dtype=np.float32))
    ratio = own.height / there.height
    place = np.stack([own.head[i] + (grid - there.head[i]) * ratio for i, grid in enumerate((x, y))], -1)
    place, sure = place.astype(np.float32), np.full(size, trust, np.float32)
    half, shown = PROPORTIONS.head_half_height, np.asarray(user.shown, np.uint8)
    near = (x - own.head[0]) ** 2 + (y - own.head[1]) ** 2 < (half * own.height) ** 2
    labels = _one_head(np.asarray(user.layout.segmentation), near)
    read = functools.partial(cv2.remap, user.image.astype(np.float32), map2=None, interpolation=cv2.INTER_CUBIC)
    picture = read(place, borderMode=cv2.BORDER_REPLICATE)
    if turned > 0:
        heads = shown * segmentation.region(labels, _HEAD_LABELS).astype(np.float32)
        inner = cv2.erode(
            heads, framing.square(CHOSEN.inner, size[0])
        )  # at its outline a little of the background is seen
        heads = np.stack([heads, np.minimum(inner, softened(inner))], -1)
        both = [head_flow.turned(own, there, size, mirrored=mirrored).where(heads) for mirrored in (False, True)]
        picture, place, sure = _on_the_ball(read, both, (picture, place, sure), turned)
    place = np.moveaxis(place, -1, 0)
    return Head(
        picture=np.clip(picture, 0, 1),
        flow=np.stack([place[0] - x, place[1] - y], -1),
        labels=cv2.remap(labels, *place, cv2.INTER_NEAREST),
        inside=cv2.remap(shown, *place, cv2.INTER_NEAREST) > 0,
        chin=float(there.head[1] + half * there.height),
        trust=float(trust),
        sure=sure,
    )


def _on_the_ball(read: Callable, both: Sequence, around: tuple, trust: float) -> tuple[np.ndarray, ...]:
    """(picture, place, how sure) of a head whose ellipsoid is turned; `around` is the same of what is not on it.

    What the photo's side hides is read on the other half of the head; where it hides nothing and shows no head, the
    target has none either. Args: both: `head_flow.Turned` of the half itself and of the other one.
    """
    picture, place, sure = around
    own, other = both
    first = own.seen / np.maximum(own.seen + (1 - own.seen) * other.seen, 1e-3)
    ball = own.inside & (other.shown + (own.shown - other.shown) * first > 0)
    soft = softened(ball.astype(np.float32)) * ball
    both = [read(one.place, borderMode=cv2.BORDER_REPLICATE) for one in (own, other)]
    face = both[1] + (both[0] - both[1]) * first[..., None]
    at = np.where((first > 0.5)[..., None], own.place, other.place)
    picture = picture + (face - picture) * soft[..., None]
    place = np.where(ball[..., None], at, place)
    return picture, place, np.where(ball, trust * (other.sure + (own.sure - other.sure) * first), sure)


def _one_head(labels: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Labels [H, W] without heads that do not reach into `near`, such as those of others in the picture."""
    heads = segmentation.region(labels, _HEAD_LABELS)
    _, parts = cv2.connectedComponents(heads.astype(np.uint8), connectivity=4)
    return np.where(heads & ~np.isin(parts, parts[heads & near]), 0, labels).astype(np.uint8)


def with_head(final: np.ndarray, head: Head | None) -> np.ndarray:
    """The final map [H, W] with the outline of the head that is carried there, where it is trusted at least half.

    Without it hair of the photo's shape would lie in hair of another shape. Hair may lie over cloth; below the chin all
    else stays, so that the neck and the garment's neckline are the trunk's.
    """
    if head is None or head.trust < CHOSEN.least_trust:
        return final
    above = np.arange(len(final))[:, None] < head.chin
    shown = segmentation.region(final, _HEAD_LABELS)
    hole = head.inside & (head.labels == 0) & shown & above
    out = np.where(hole, segmentation.fill_from_nearest(final, shown), final)
    cloth = segmentation.region(final, segmentation.GARMENTS)
    hair = segmentation.region(head.labels, _HAIR_LABELS) & (shown | cloth | (final == 0))
    face = (head.labels == segmentation.ID["face"]) & (shown | (final == 0)) & above
    return np.where(head.inside & (hair | face), head.labels, out)


def head_weight(final: np.ndarray, head: Head) -> np.ndarray:
    """How much of each pixel [H, W] is the carried head: where it and the final map show face, or both hair."""
    kinds = [[segmentation.region(labels, kind) for kind in (_HAIR_LABELS[:2], _FACE_LABELS)]
             for labels in (head.labels, final)]  # fmt: skip
    both = np.logical_or(*(here & there for here, there in zip(*kinds, strict=True))) & head.inside
    weight = cv2.erode(both.astype(np.float32), framing.square(CHOSEN.inner, len(final)))
    return np.float32(head.sure) * np.minimum(weight, softened(weight))


@dataclasses.dataclass(frozen=True)
class Carried:
    """A part of the photo that lies elsewhere in the result."""

    picture: np.ndarray  # float [H, W, 3]
    flow: np.ndarray  # float [H, W, 2], from there back to the photo
    weight: np.ndarray  # float [H, W]


def compose(
    dressed: Dressed, user: User, keep: np.ndarray, head: Head | None = None, ends: Sequence[Carried] = ()
) -> Dressed:
    """One frame: the result over the background, the user's head, hands and shoes over it, and over all what is kept of
    the photo.

    Args: dressed: one frame, without a leading axis. user: with the photo and its backdrop. keep: float [H, W], how
    much stays as it is in the photo, see `kept`. head: see `carried_head`. ends: see `ends.carried_hands` and
    `ends.with_limbs`.
    """
    photo, final = user.image, np.asarray(dressed.labels)
    image, flow = np.asarray(dressed.image), np.asarray(dressed.photo_flow)
    in_place, moved, new = np.asarray(dressed.photo_weight), np.asarray(dressed.moved_weight), np.ones_like(keep)
    if user.backdrop is not None:
        backdrop = user.backdrop
        person = np.float32(final > 0)  # soft edges would show what was painted behind: the old outline's shadow
        image = np.where(person[..., None] > 0, image, backdrop.picture)
        # Detail of the photo stops a little earlier than its colours: in it the old outline would show.
        known = 1 - cv2.dilate(backdrop.hole, framing.square(CHOSEN.halo, len(final)))
        # Enlarged, flows are interpolated: where the person's meets the background's, neither is copied along.
        near, nearer = (cv2.dilate(np.uint8(final > 0), framing.square(reach, len(final))) for reach in CHOSEN.apart)
        behind = np.where(near, 0, backdrop.copied)
        flow = np.where(nearer[..., None], flow, backdrop.flow)
        in_place, moved, new = person * in_place + (1 - person) * known, person * moved + behind, person
    parts = list(ends) if head is None else [Carried(head.picture, head.flow, head_weight(final, head)), *ends]
    for part in parts:
        weight = part.weight
        image = image + (part.picture - image) * weight[..., None]
        # A little beyond the part too: enlarged, its outline moves with it.
        near = cv2.dilate((weight > 0).astype(np.uint8), framing.square(CHOSEN.around_head, len(final))) > 0
        flow = np.where((near & (moved <= weight))[..., None], part.flow, flow)
        in_place, moved, new = (1 - weight) * in_place, weight + (1 - weight) * moved, (1 - weight) * new
        keep = keep * (1 - weight)  # of a head that hardly moved, one of the two pictures: both together have four eyes
    return dressed.replace(
        image=image + (photo - image) * keep[..., None],
        photo_weight=keep + (1 - keep) * in_place,
        garment_weight=(1 - keep) * new * np.asarray(dressed.garment_weight),
        besides=tuple((flow, (1 - keep) * new * np.asarray(weight)) for flow, weight in dressed.besides),
        photo_flow=flow,
        moved_weight=(1 - keep) * moved,
    )
