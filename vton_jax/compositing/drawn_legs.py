"""Bare legs that no photo shows, in the outlines and with the light and shade of the catalogue's body.

Whoever wears trousers in the photo and a skirt in the result has legs that nobody has seen: their outlines are those of
the trousers, and what networks paint there are tubes. A leg looks as in those of the catalogue's views in which it is
bent and turned most alike.

Conventions: NumPy; `Body`: see layout/body.py, one frame of NumPy arrays; places on limbs: see layout/limbs.py. A leg's
own frame: rows are places down it, `BINS` a bone, columns body heights from the bone to the picture's right where it
hangs, `STEPS` a body height. `FILE`, which `python data/build.py legs` writes, holds right legs, of which left ones are
mirror images: 'key' [N, 6]; 'outlines' float16 [N, rows, 2], body heights from the bone to the left and the right one;
'detail' int8 [N, rows, columns], 127 times the logarithm of its brightness over the leg's middle.
"""

import dataclasses
import functools
from pathlib import Path

import cv2
import numpy as np

from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.layout import limbs
from vton_jax.layout.body import Body

FILE = Path(__file__).with_name("legs.npz")
BINS, STEPS = 48, 250.0
SIZE = (int(2.125 * BINS), 44)  # rows and columns; the bone lies in the middle
COLUMNS = (np.arange(SIZE[1]) - (SIZE[1] - 1) / 2) / STEPS  # body heights
CHAINS = {label: (side, joints) for side, kind, label, joints in limbs.CHAINS if kind == "leg"}


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """By eye on photos set aside for choosing (Clothing Co-Parsing, numbers that end in 1)."""

    turn: float = 0.08  # how much a trunk that is turned by a radian counts in keys, against body heights of a leg
    views: int = 3  # that are mixed, the nearer the more: so legs do not jump when somebody turns
    narrowest: float = 0.75  # times its width, where the map's leg is narrower
    aside: float = 0.015  # body heights that it may lie beside its joints, as the map's does
    fewest: float = 0.001  # of the picture: if both are smaller, they are specks
    # Of the larger leg's pixels: where the photo shows more of a leg, both are the photo's own.
    known: float = 0.25
    hem: float = 1.65  # place from which on what is seen of a leg below its hem is hardly more than a sock
    end: float = 2.05  # place where it ends: beyond are feet


CHOSEN = Thresholds()


@dataclasses.dataclass(frozen=True)
class DrawnLeg:
    """A leg in a picture."""

    label: int
    detail: np.ndarray  # float32 [H, W], the logarithm of its brightness over its middle


@dataclasses.dataclass(frozen=True)
class Shape:
    """A leg in its own frame."""

    outlines: np.ndarray  # float32 [rows, 2], body heights
    detail: np.ndarray  # float32 [rows, columns]

    def edges(self, down: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where its outlines are, body heights, at places down it."""
        return tuple(np.interp(down * BINS - 0.5, np.arange(SIZE[0]), edge) for edge in self.outlines.T)

    def detail_at(self, down: np.ndarray, side: np.ndarray) -> np.ndarray:
        """`detail` [H, W] at places [H, W] and body heights to their side."""
        row, column = np.float32(down * BINS - 0.5), np.float32(side * STEPS + (SIZE[1] - 1) / 2)
        return cv2.remap(self.detail, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def key(body: Body, side: str) -> np.ndarray:
    """What two legs must have alike to look alike, [6]; a left one's is its mirror image's."""
    points = np.float32([body.joints[JOINTS[f"{side}-{joint}"]] for joint in ("hip", "knee", "ankle")])
    found = np.append(np.diff(points, axis=0) / float(body.height), CHOSEN.turn * np.asarray(body.turn))
    return found if side == "right" else found * np.float32([-1, 1, -1, 1, 1, -1])


def between(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The places bool [rows, columns] between outlines [rows]."""
    return (low[:, None] < COLUMNS) & (high[:, None] > COLUMNS)


def places(joints: np.ndarray, height: float) -> np.ndarray:
    """Where in a picture the places of a leg's frame lie, float32 [rows, columns, 2].

    Args: joints: [3, 2]. height: pixels a body height.
    """
    down, side = np.meshgrid((np.arange(SIZE[0]) + 0.5) / BINS, COLUMNS * height, indexing="ij")
    return limbs.points_at(np.float32(joints), down.ravel(), side.ravel()).reshape(*SIZE, 2)


def shape_of(body: Body, side: str) -> Shape:
    """How a leg looks that is bent and turned as this one."""
    keys, outlines, detail = views()
    apart = np.square(keys - key(body, side)).sum(-1)
    nearest = np.argsort(apart)[: CHOSEN.views]
    weight = 1 / (apart[nearest] + 1e-6)
    weight = np.float32(weight / weight.sum())
    outlines, detail = (np.tensordot(weight, of[nearest].astype(np.float32), 1) for of in (outlines, detail / 127))
    return Shape(outlines, detail) if side == "right" else Shape(-outlines[:, ::-1], detail[:, ::-1].copy())


def with_legs(labels: np.ndarray, final: np.ndarray, body: Body) -> tuple[np.ndarray, list[DrawnLeg]]:
    """(the final map [H, W] in which legs that the photo does not show have a body's outlines, what is drawn of them).

    Below a hem a leg is as the catalogue's, no wider than the map's, where the map has legs or the ground; what lies
    before it stays there. Args: labels: what the photo shows, [H, W]. body: in the final map.
    """
    area = {label: (final == label).sum() for label in CHAINS}
    shown = max((labels == label).sum() for label in CHAINS)  # either is the other's mirror image
    if max(area.values()) <= max(CHOSEN.fewest * final.size, shown / CHOSEN.known):
        return final, []
    there, drawn, out = limbs.limbs_of(final, body), [], final.copy()
    known, free = [label for label in CHAINS if label in there], np.isin(final, (0, *CHAINS))
    if min((there[label].ends[0] for label in known), default=np.inf) > CHOSEN.hem:
        return final, []
    for label in known:
        inside, mask, detail = drawn_leg(there[label], body, label, final.shape)
        out[inside & ~mask & (final == label)] = 0
        others = np.isin(out, list(CHAINS)) & (out != label) & (final != label)
        out[mask & free & ~others] = label
        drawn.append(DrawnLeg(label, detail))
    # Of the other one, hidden behind it or nobody knows how bent, the outlines stay: it has the colours of skin alone.
    rest = [label for label in CHAINS if label not in known and area[label]]
    return out, drawn + [DrawnLeg(label, np.zeros(final.shape, np.float32)) for label in rest]


def drawn_leg(
    limb: limbs.Limb, body: Body, label: int, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(the pixels bool [H, W] that may be a leg's by its joints, those of its shape, its detail float32 [H, W]).

    Args: limb: as a map has it, whose width and place it keeps.
    """
    shape, height = shape_of(body, CHAINS[label][0]), float(body.height)
    scale, aside = _fitted(limb, shape, height)
    reach = limbs.CHOSEN.reach * height
    low, high = limb.joints.min(0) - reach, limb.joints.max(0) + reach
    (left, top), (right, bottom) = (np.clip(np.rint(edge), 0, size[::-1]).astype(int) for edge in (low, high))
    points = np.stack(np.meshgrid(np.arange(left, right), np.arange(top, bottom)), -1).astype(np.float32)
    down, across = (of.reshape(points.shape[:2]) for of in limbs.along(points.reshape(-1, 2), limb.joints))
    beside = (across / height - aside) / scale
    low, high = shape.edges(down)
    near = (np.abs(across) < reach) & (down > limb.ends[0]) & (down < CHOSEN.end)
    found = near, near & (beside > low) & (beside < high), shape.detail_at(down, beside)
    around = (top, size[0] - bottom), (left, size[1] - right)
    return tuple(np.pad(of, around) for of in found)


def _fitted(limb: limbs.Limb, shape: Shape, height: float) -> tuple[float, float]:
    """(times how wide, how many body heights aside) a shape lies as a map's leg does."""
    low, high = shape.edges((np.arange(2 * limbs.BINS) + 0.5) / limbs.BINS)
    middle, half = (low + high) / 2, np.maximum(high - low, 1e-6) / 2
    wide, centre = limb.half[limb.seen] / height, limb.centre[limb.seen] / height
    scale = float(np.clip(np.median(wide / half[limb.seen]), CHOSEN.narrowest, 1))
    return scale, float(np.clip(np.median(centre - scale * middle[limb.seen]), -CHOSEN.aside, CHOSEN.aside))


@functools.cache
def views() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(key, outlines, detail) of `FILE`."""
    with np.load(FILE) as found:
        return found["key"], found["outlines"], found["detail"]
