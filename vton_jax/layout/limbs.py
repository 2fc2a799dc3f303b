"""Bare arms and legs unrolled along their bones, as labels show them, and how wide they may be.

Conventions: NumPy; points are (x, y) in pixels; `Body`: see body.py, one frame of NumPy arrays. A place on a limb is
(down, across): down runs from 0 at shoulder or hip over 1 at elbow or knee to 2 at wrist or ankle, and on along the
hand; across from -1 to 1 between the limb's outlines, to the picture's right where it hangs.
"""

import dataclasses

import cv2
import jax
import numpy as np

from vton_jax.core import programs, segmentation
from vton_jax.core.batching import in_batches
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ID
from vton_jax.core.types import Layout
from vton_jax.layout.body import Body, body_of

BINS = 16  # rows of a bone
_BATCH = 4  # people whose bodies one program finds
_ROWS = np.arange(2 * BINS)
CHAINS = tuple(
    (side, kind, ID[f"{side}-{kind}"], [JOINTS[f"{side}-{joint}"] for joint in joints])
    for kind, joints in (("leg", ("hip", "knee", "ankle")), ("arm", ("shoulder", "elbow", "wrist")))
    for side in ("right", "left")
)
# Body heights: half a width that three of five of photographed people's bare limbs do not reach, from shoulder to wrist
# and from hip to ankle. `benchmarks/limb_shading.py` on the 699 photos of Clothing Co-Parsing that networks learn from.
# Of thighs' first eighth few are seen: it is the second one's.
USUAL_HALF = {
    "arm": np.float32([0.0189, 0.0191, 0.0185, 0.0191, 0.0192, 0.0185, 0.0161, 0.0151]),
    "leg": np.float32([0.0358, 0.0358, 0.0356, 0.0317, 0.03, 0.0295, 0.0245, 0.0194]),
}


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """By eye on photos set aside for choosing (Clothing Co-Parsing, numbers that end in 1)."""

    fewest: int = 2  # pixels of a row that say where its outlines are
    part: float = 0.4  # of the pixels that a limb's row usually has: fewer are a strap's edge, or specks
    fewest_rows: int = 3  # of a limb that is seen
    reach: float = 0.09  # of the body height: labels farther from the bone are no limb
    about: float = 0.7  # of a limb's pixels lie so near at least: else its joints are another's
    smooth: float = 1.0  # sigma of outlines, in rows
    edge: float = 0.0055  # body heights within an outline: there a little of the background is seen
    wrist: float = 1.9  # place from which on a limb is a hand: it is not narrowed, and no sleeve covers it
    # Times `USUAL_HALF`: wider ones are narrowed. Of the pixels that this changes in 45 cases of the catalogue's
    # validation split .33 were right and .41 are; with 1 they were as right before, with 1.5 half as many change.
    wider: float = 1.3


CHOSEN = Thresholds()


@dataclasses.dataclass(frozen=True)
class Limb:
    """Where a limb lies in one picture."""

    joints: np.ndarray  # float32 [3, 2]
    centre: np.ndarray  # float32 [rows], pixels from the bone to the middle between the outlines
    half: np.ndarray  # float32 [rows], pixels from there to either
    seen: np.ndarray  # bool [rows]
    edge: float  # pixels within its outlines that `points` leaves

    def place(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(down, across) of points [N, 2]."""
        down, side = along(points, self.joints)
        centre, half = self._outlines(down)
        return down, (side - centre) / half

    def points(self, down: np.ndarray, across: np.ndarray) -> np.ndarray:
        """The points float32 [N, 2] at places [N]."""
        centre, half = self._outlines(down)
        return points_at(self.joints, down, centre + across * np.maximum(half - self.edge, 0.5))

    def _outlines(self, down: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return tuple(np.interp(down * BINS - 0.5, _ROWS, edge) for edge in (self.centre, self.half))

    @property
    def ends(self) -> tuple[float, float]:
        """How far down the limb is seen first, and last: the hand is a part of what is seen to the wrist."""
        rows = np.flatnonzero(self.seen)
        last = (rows[-1] + 1) / BINS
        return rows[0] / BINS, np.inf if last == 2 else last


def points_at(joints: np.ndarray, down: np.ndarray, side: np.ndarray) -> np.ndarray:
    """The points float32 [N, 2] at places `down` a limb's joints [3, 2], and pixels to their side, [N] each."""
    second = np.int32(down >= 1)
    start, bone = joints[second], joints[1 + second] - joints[second]
    return (start + (down - second)[:, None] * bone + side[:, None] * _across(bone)).astype(np.float32)


def _across(bones: np.ndarray) -> np.ndarray:
    """Unit vectors at right angles to bones [..., 2]."""
    along = bones / np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1.0)
    return np.stack([along[..., 1], -along[..., 0]], -1)


def along(points: np.ndarray, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(down, pixels across) of points [N, 2], by the nearer of the two bones."""
    return nearest(points, joints)[:2]


def nearest(points: np.ndarray, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(down, pixels across, pixels away) of points [N, 2], by the nearer of the two bones."""
    found = []
    for start, bone in zip(joints, np.diff(joints, axis=0), strict=False):
        squared = max(float(bone @ bone), 1.0)
        relative = points - start
        down, side = relative @ bone / squared, relative @ _across(bone)
        found.append((down, side, np.hypot(side, (down - np.clip(down, 0, 1)) * np.sqrt(squared))))
    (first, first_side, near), (second, second_side, nearer) = found
    below = nearer < near
    down = np.where(below, 1 + np.maximum(second, 0), np.minimum(first, 1))
    return down, np.where(below, second_side, first_side), np.minimum(near, nearer)


def limb_of(labels: np.ndarray, label: int, joints: np.ndarray, height: float) -> Limb | None:
    """The limb of a label in labels [H, W], about its joints [3, 2]; None where hardly anything is seen of it."""
    points = np.argwhere(labels == label)[:, ::-1].astype(np.float32)
    down, side = along(points, joints)
    near = np.abs(side) < CHOSEN.reach * height
    if near.sum() < CHOSEN.about * len(near):
        return None
    good = near & (down > -1 / BINS) & (down < 2 + 1 / BINS)
    row, side = np.clip(down[good] * BINS, 0, len(_ROWS) - 1).astype(int), side[good]
    steps = np.repeat(np.linalg.norm(np.diff(joints, axis=0), axis=-1) / BINS, BINS)  # a row's, in pixels
    usual = 2 * height * usual_half(label) * steps
    seen = np.bincount(row, minlength=len(_ROWS)) >= np.maximum(CHOSEN.part * usual, CHOSEN.fewest)
    if seen.sum() < CHOSEN.fewest_rows:
        return None
    low, high = np.full(len(_ROWS), np.inf), np.full(len(_ROWS), -np.inf)
    np.minimum.at(low, row, side - 0.5)
    np.maximum.at(high, row, side + 0.5)
    low, high = (_smoothed(np.interp(_ROWS, _ROWS[seen], edge[seen])) for edge in (low, high))
    half = np.maximum((high - low) / 2, 0.5)
    return Limb(np.float32(joints), (low + high) / 2, half, seen, CHOSEN.edge * height)


def _smoothed(rows: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(rows[None], (0, 0), CHOSEN.smooth, borderType=cv2.BORDER_REPLICATE)[0]


def limbs_of(labels: np.ndarray, body: Body) -> dict[int, Limb]:
    """The limbs that labels [H, W] show, by their label: those of which knee and ankle, or elbow and wrist, are seen.

    Others have guessed joints, and their labels may lie anywhere about them.
    """
    seen = [(label, joints) for _, _, label, joints in CHAINS if np.asarray(body.visible)[joints[1:]].all()]
    found = {label: limb_of(labels, label, body.joints[joints], float(body.height)) for label, joints in seen}
    return {label: limb for label, limb in found.items() if limb is not None}


def hands(labels: np.ndarray, body: Body) -> np.ndarray:
    """The pixels bool [H, W] of labels [H, W] that show hands: arms beyond their wrists."""
    found = np.zeros(labels.shape, bool)
    for label, limb in limbs_of(labels, body).items():
        if label in segmentation.ARMS:
            y, x = np.nonzero(labels == label)
            down, _ = limb.place(np.stack([x, y], -1).astype(np.float32))
            found[y, x] = down > CHOSEN.wrist
    return found


@programs.compiled(static=1, many_steps=True)
def _bodies(people: Layout, size: tuple[int, int]) -> Body:
    return jax.vmap(lambda person: body_of(person, size))(people)


def all_bodies(people: Layout, size: tuple[int, int]) -> Body:
    """The bodies [N] of people [N] in pictures of a size, in NumPy arrays; labels do not count."""
    joints = Layout(None, np.asarray(people.keypoints, np.float32), np.asarray(people.visible, bool))
    return in_batches(lambda part: _bodies(part, size), joints, _BATCH, full=True)


def bodies_of(layouts: tuple[Layout, ...], size: tuple[int, int]) -> tuple[Body, ...]:
    """The same of single people, each by itself."""
    joints = [Layout(None, layout.keypoints, layout.visible) for layout in layouts]
    found = all_bodies(jax.tree.map(lambda *a: np.stack(a), *joints), size)
    return tuple(jax.tree.map(lambda a, i=index: a[i], found) for index in range(len(layouts)))


def usual_half(label: int) -> np.ndarray:
    """Half a bare limb's usual width in body heights, [rows]."""
    known = USUAL_HALF[next(kind for _, kind, of, _ in CHAINS if of == label)]
    return np.interp((_ROWS + 0.5) * len(known) / len(_ROWS) - 0.5, np.arange(len(known)), known)


def narrowed(final: np.ndarray, user: Layout, pose: Layout) -> np.ndarray:
    """A target layout [H, W] whose bare limbs are no wider than the user's and people's: a limb that comes out of a
    sleeve would fill it.

    What is cut off takes the nearest other label; what the photo shows there as the same limb stays.
    """
    labels = np.asarray(user.segmentation)
    own_body, body = bodies_of((user, pose), final.shape)
    own, cut = limbs_of(labels, own_body), np.zeros(final.shape, bool)
    for label, limb in limbs_of(final, body).items():
        bounds = CHOSEN.wider * usual_half(label)
        if label in own:
            bounds = np.maximum(bounds, np.where(own[label].seen, own[label].half / float(own_body.height), 0))
        y, x = np.nonzero((final == label) & (labels != label))
        down, across = limb.place(np.stack([x, y], -1).astype(np.float32))
        bound = np.interp(down * BINS - 0.5, _ROWS, bounds * float(body.height) / limb.half)
        near = np.abs(across * np.interp(down * BINS - 0.5, _ROWS, limb.half)) < CHOSEN.reach * float(body.height)
        wide = (np.abs(across) > bound) & near & (down < CHOSEN.wrist)
        cut[y[wide], x[wide]] = True
    if not cut.any():
        return final
    bare = segmentation.region(final, segmentation.ARMS + segmentation.LEGS)
    return np.where(cut, segmentation.fill_from_nearest(final, bare), final)
