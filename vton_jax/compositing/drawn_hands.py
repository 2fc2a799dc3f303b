"""Hands that no photo shows, as the catalogue's body has them: drawn where the target's arms end.

The pose's picture may hide a hand in a pocket or behind a bag, the user's photo another; what networks paint there is a
stump. A hand lies as in the catalogue's view in which the arm looks most alike.

Conventions: NumPy; `Body`: see layout/body.py, one frame of NumPy arrays. A hand's own frame: rows run along the
forearm beyond the wrist, columns to the picture's right where it hangs, `STEPS` a body height. `FILE`, which
`python data/build.py hands` writes, holds right hands, of which left ones are mirror images: 'key' [N, 6]; 'alpha'
uint8 [N, rows, columns], how much of a pixel the hand covers; 'detail' int8, alike, 127 times the logarithm of its
brightness over the hand's middle.
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from vton_jax.compositing.limb_ends import box_about
from vton_jax.core import segmentation
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.segmentation import ID
from vton_jax.layout import limbs
from vton_jax.layout.body import Body

FILE = Path(__file__).with_name("hands.npz")
SIZE, ORIGIN, STEPS = (84, 84), (14, 42), 500.0  # rows and columns; the wrist in them


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """By eye on photos set aside for choosing (Clothing Co-Parsing, numbers that end in 1)."""

    turn: float = 0.08  # how much a trunk that is turned by a radian counts in keys, against body heights of an arm
    shortest: float = 0.05  # body heights of a forearm as it is seen: one that points to the camera says no direction
    deep: float = 1.5  # times the logarithm of brightness: photos show deeper creases than the catalogue's even light
    gap: float = -0.4  # the logarithm of brightness between fingers, and at a hand's outline
    covered: float = 0.5  # of a pixel, from which on it is the hand's
    about: float = 0.13  # body heights about the wrist: there, beyond it, nothing else is that arm
    bare: float = 0.6  # of a forearm above the wrist that may be missing, and is skin then; more, and the arm is hidden
    part: float = 0.5  # of what is seen of a forearm, from where skin is first: more is skin, and it has no sleeve
    whole: tuple[float, float] = (0.7, 1.6)  # of a drawn hand's pixels that the photo's own has, where it is taken


CHOSEN = Thresholds()


@dataclasses.dataclass(frozen=True, eq=False)  # one by one: arrays do not compare
class Place:
    """Which hand lies where in a picture."""

    label: int  # of its arm
    index: int  # in `FILE`
    wrist: np.ndarray  # float32 [2]
    along: np.ndarray  # float32 [2], the forearm's direction
    height: float  # pixels a body height

    def matrix(self, factor: float = 1.0) -> np.ndarray:
        """From pixels of the picture, `factor` times as large, to the hand's frame, float32 [2, 3].

        A mirrored frame has its wrist one column aside.
        """
        x, y = self.along
        matrix = np.float32([[y, -x, 0], [x, y, 0]]) * (STEPS / self.height / factor)
        column = SIZE[1] - 1 - ORIGIN[1] if self._mirrored else ORIGIN[1]
        wrist = self.wrist * factor + (factor - 1) / 2
        matrix[:, 2] = np.float32([column, ORIGIN[0]]) - matrix[:, :2] @ wrist
        return matrix

    def shape(self, factor: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """(alpha, detail) float32 [rows, columns], each the mean of what a pixel of such a picture covers."""
        alpha, detail = (of[self.index][:, :: -1 if self._mirrored else 1] for of in shapes()[1:])
        alpha, detail = alpha / np.float32(255), CHOSEN.deep / np.float32(127) * detail
        detail[alpha < CHOSEN.covered] = CHOSEN.gap
        sigma = max(STEPS / self.height / factor / 3, 0.3)
        return tuple(cv2.GaussianBlur(of, (0, 0), sigma) for of in (alpha, detail))

    @property
    def _mirrored(self) -> bool:
        return self.label == ID["left-arm"]


@dataclasses.dataclass(frozen=True)
class DrawnHand:
    """A hand in a picture."""

    place: Place
    mask: np.ndarray  # bool [H, W]
    around: np.ndarray  # bool [H, W], beyond the wrist: there the same arm's pixels are this hand's, or none
    detail: np.ndarray  # float32 [H, W], the logarithm of its brightness over its middle

    @property
    def label(self) -> int:
        """Of its arm."""
        return self.place.label


def bone(body: Body, side: str) -> tuple[np.ndarray, np.ndarray, float]:
    """(the wrist [2], the forearm's direction [2], its length in body heights)."""
    elbow, wrist = (np.float32(body.joints[JOINTS[f"{side}-{joint}"]]) for joint in ("elbow", "wrist"))
    length = float(np.linalg.norm(wrist - elbow))
    return wrist, (wrist - elbow) / max(length, 1e-6), length / float(body.height)


def key(body: Body, side: str) -> np.ndarray:
    """What two arms must have alike for their hands to look alike, [6]; a left one's is its mirror image's."""
    shoulder, elbow, wrist = (body.joints[JOINTS[f"{side}-{joint}"]] for joint in ("shoulder", "elbow", "wrist"))
    limb = np.concatenate([elbow - shoulder, wrist - elbow]) / float(body.height)
    found = np.concatenate([limb, CHOSEN.turn * np.asarray(body.turn)])
    return found if side == "right" else found * _MIRRORED


_MIRRORED = np.float32([-1, 1, -1, 1, 1, -1])


def places(wrist: np.ndarray, along: np.ndarray, height: float) -> np.ndarray:
    """Where in a picture the pixels of a hand's frame lie, float32 [rows, columns, 2].

    Args: height: pixels a body height.
    """
    row, column = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    down, aside = ((of - at) * height / STEPS for of, at in zip((row, column), ORIGIN, strict=True))
    across = np.float32([along[1], -along[0]])
    return (wrist + down[..., None] * along + aside[..., None] * across).astype(np.float32)


def drawn_hand(there: Body, side: str, size: tuple[int, int]) -> DrawnHand | None:
    """One hand in a picture of a size (height, width); None where it cannot be said how it lies."""
    seen = np.asarray(there.visible)[[JOINTS[f"{side}-{joint}"] for joint in ("elbow", "wrist")]].all()
    wrist, along, length = bone(there, side)
    if not seen or length < CHOSEN.shortest:
        return None
    index = int(np.square(shapes()[0] - key(there, side)).sum(-1).argmin())
    place = Place(ID[f"{side}-arm"], index, wrist, along, float(there.height))
    alpha, detail = (cv2.warpAffine(of, place.matrix(), size[::-1], flags=_INVERSE) for of in place.shape())
    pixels = np.stack(np.meshgrid(*map(np.arange, size[::-1])), -1).astype(np.float32) - wrist
    near = (np.hypot(*np.moveaxis(pixels, -1, 0)) < CHOSEN.about * float(there.height)) & (pixels @ along > 0)
    outlines, _ = cv2.findContours(np.uint8(alpha > CHOSEN.covered), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    mask = cv2.drawContours(np.zeros(size, np.uint8), outlines, -1, 1, cv2.FILLED) > 0  # no speck shows between fingers
    return DrawnHand(place, mask, near, detail) if mask.any() else None


def detailed(picture: np.ndarray, hands: Sequence[Place], size: tuple[int, int]) -> np.ndarray:
    """A picture [H, W, 3] that was enlarged from a size (height, width), with what a hand shows at its own size."""
    out, factor = picture.copy() if hands else picture, picture.shape[0] / size[0]
    for hand in hands:
        (alpha, fine), (_, coarse) = hand.shape(factor), hand.shape()
        reach = SIZE[0] / STEPS * hand.height * factor
        rows, columns = box = box_about(hand.wrist * factor, reach, picture.shape[:2])
        matrix, shape = hand.matrix(factor), (columns.stop - columns.start, rows.stop - rows.start)
        matrix[:, 2] += matrix[:, :2] @ np.float32([columns.start, rows.start])
        more = cv2.warpAffine(np.float32(alpha * (fine - coarse)), matrix, shape, flags=_INVERSE)
        out[box] = np.clip(out[box] * np.exp(more)[..., None], 0, 1)
    return out


def between(one: Sequence[Place], two: Sequence[Place], fraction: float) -> tuple[Place, ...]:
    """The hands a `fraction` of the time from one picture to another, of those that both have."""
    other, found = {hand.label: hand for hand in two}, []
    for hand in one:
        if hand.label in other:
            there = other[hand.label]
            mix = lambda name: (1 - fraction) * getattr(hand, name) + fraction * getattr(there, name)  # noqa: B023, E731
            along = mix("along")
            index = hand.index if fraction < 0.5 else there.index
            found.append(
                Place(hand.label, index, mix("wrist"), along / max(np.linalg.norm(along), 1e-6), mix("height"))
            )
    return tuple(found)


def with_hands(
    final: np.ndarray, there: Body, own: dict[int, np.ndarray], still: np.ndarray
) -> tuple[np.ndarray, list[DrawnHand]]:
    """(the final map [H, W] with whole hands where arms end, the drawn ones among them).

    A hand lies before all but bags. Where it does not reach the sleeve's end, the forearm between is bare.
    Args: own: by the label of an arm, where the photo's own hand would lie, bool [H, W]. still: [18], see
    `kept_parts.stillness`: an arm that stands quite still has the hand that it has.
    """
    out, drawn = final, []
    for side in ("right", "left"):
        label = ID[f"{side}-arm"]
        hand = None if still[label] == 1 else drawn_hand(there, side, final.shape)
        if hand is None:
            continue
        share = own[label].sum() / hand.mask.sum() if label in own else 0.0
        carried = CHOSEN.whole[0] <= share <= CHOSEN.whole[1]
        mask = own[label] if carried else hand.mask
        forearm = _bare_forearm(out, mask if carried else None, there, side)
        if forearm is None:
            continue
        drawn += [] if carried else [hand]
        cut = (out == label) & hand.around & ~mask
        out = np.where(cut, segmentation.fill_from_nearest(out, out == label), out)
        out = np.where((mask | forearm) & (out != ID["bag"]), label, out).astype(np.uint8)
    return out, drawn


def _bare_forearm(final: np.ndarray, hand: np.ndarray | None, there: Body, side: str) -> np.ndarray | None:
    """The pixels bool [H, W] from where the final map shows an arm to its hand; None where it shows little of one.

    Args: hand: the photo's own, bool [H, W], which may begin beyond the wrist, as below a bracelet; None: it is drawn.
    """
    label, (wrist, along, length) = ID[f"{side}-arm"], bone(there, side)
    reach = length * float(there.height)
    steps = np.arange(0, 1, 1 / max(reach, 1))  # from the wrist up
    column, row = np.rint(wrist - along * reach * steps[:, None]).astype(int).T
    inside = (column >= 0) & (column < final.shape[1]) & (row >= 0) & (row < final.shape[0])
    over = final[row[inside], column[inside]]
    bare, arm, sleeves = over == label, np.isin(over, (label, *_SLEEVES)), _SLEEVES
    whole = bare.any() and bare.sum() > CHOSEN.part * arm[bare.argmax() :].sum()
    arm = bare if whole else arm
    if not arm.any() or steps[inside][arm.argmax()] > CHOSEN.bare:
        return None
    first = np.flatnonzero(arm)[0]
    if whole:  # its skin goes on to the hand, whatever lies there or in between
        first, sleeves = np.flatnonzero(arm)[-1], ()
    relative = np.stack(np.meshgrid(*map(np.arange, final.shape[::-1])), -1) - wrist
    down, aside = relative @ along / reach, relative @ np.float32([along[1], -along[0]])
    wide = limbs.USUAL_HALF["arm"]
    half = np.interp(down, np.linspace(-1, 0, len(wide) // 2), wide[len(wide) // 2 :]) * float(there.height)
    begin, end = -steps[inside][first], 0 if hand is None else np.median(down[hand])
    return (down >= begin) & (down <= end) & (np.abs(aside) <= half) & ~(np.isin(final, sleeves) & (down < 0))


_INVERSE = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_SLEEVES = tuple(ID[name] for name in ("upper-clothes", "dress", "scarf"))


@functools.cache
def shapes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(key, alpha, detail) of `FILE`."""
    with np.load(FILE) as found:
        return found["key"], found["alpha"], found["detail"]
