"""Bare arms and legs in the result: the photo's own skin, put back where the target's limbs are, and skin that the
photo does not show, shaded as limbs usually are.

Conventions: NumPy; places on limbs: see layout/limbs.py.
"""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from vton_jax.compositing.drawn_hands import DrawnHand
from vton_jax.compositing.drawn_legs import DrawnLeg
from vton_jax.compositing.lighting import GAMMA
from vton_jax.core import framing, segmentation
from vton_jax.core.segmentation import ID
from vton_jax.layout.limbs import BINS, CHAINS, Limb


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """By eye on photos set aside for choosing (Clothing Co-Parsing, numbers that end in 1)."""

    # How far along a bone what is carried begins within what is seen, and over which it fades in: beside a hem there is
    # a little of the cloth.
    within: float = 0.06
    fade: float = 0.2
    around: float = 5 / 256  # of the frame's height about a limb, places are said too: enlarged, flows are interpolated
    fewest_skin: float = 0.0006  # of the frame: so many pixels' middle colour is believed
    # CIELAB units: an arm whose hue is farther from the face's is no skin. Of 898 hands of photographed people nine of
    # ten are nearer, three of four nearer than 8.
    hue: float = 11.0
    other: tuple[float, float] = (15.0, 25.0)  # what is so far from its limb's hue begins to be, and is, none of it
    painted: float = 0.25  # how much brighter or darker a painted arm may make its skin in a place
    # How much of the logarithm of light arms show: of 382 arms of photographed people none of it misses by .213, once
    # by .195, so by .192 (`benchmarks/limb_shading.py`).
    light: float = 1.5
    light_of_legs: float = 1.0  # of 366 legs none of it misses by .173, once by .160
    # Times what is drawn of a leg's light and shade, by eye: it makes legs round. Of 366 none of it misses by .1435,
    # half by .148, all by .157.
    deep: float = 0.5
    alone: float = 0.7  # of what is seen of an arm that is a drawn hand: then it has a long sleeve
    known: float = 0.7  # of what is carried: from here on it says what colours its limb has
    rows: float = 2.0  # sigma in rows of a limb (`limbs.BINS` a bone) over which it gets brighter or darker


# How much brighter bare arms are than the face's middle, by colour, in the same light. `benchmarks/limb_shading.py` on
# the 699 photos of Clothing Co-Parsing that networks learn from.
# Skin in the shade is redder: by how much each colour's logarithm changes where brightness's does by 1 (the same).
BEYOND_FACE = np.float32([0.088, 0.129, 0.163])
# Of 239 people whose arms are seen, too, faces miss legs' logarithm by .144, arms by .154, the mean of both by .130.
LEGS_BEYOND_FACE = np.float32([0.040, 0.027, 0.002])
HANDS_BEYOND_FACE = np.float32([0.018, 0.045, 0.110])  # at long sleeves' ends
DARKER = np.float32([0.88, 1.05, 1.13])
CHOSEN = Thresholds()
LUMA, DARK = np.float32([0.3, 0.59, 0.11]), 0.03  # brightness is ln(LUMA @ colour + DARK)
_OTHER = {label: ID[f"{'left' if side == 'right' else 'right'}-{kind}"] for side, kind, label, _ in CHAINS}


def carried(
    image: np.ndarray,
    labels: np.ndarray,
    limbs: tuple[dict[int, Limb], dict[int, Limb]],
    final: np.ndarray,
    still: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Where in the photo the final map's limbs lie, float32 [H, W, 2], and how surely, float32 [H, W].

    An arm or a leg that the photo hides is the other one, mirrored. Bags, hair and hems over a limb stay behind, by
    their hue. Args: image, labels: the photo [H, W, 3] and what it shows [H, W]. limbs: `limbs_of` labels, and of
    `final`. still: [18], how much each part stands where it stood: it comes from its own place.
    """
    own, there = limbs
    of_limb = {label: _like_its_limb(image, labels == label) for label in own}
    size = final.shape
    pixels = np.stack(np.meshgrid(*map(np.arange, size[::-1])), -1).astype(np.float32)
    place, weight = pixels.copy(), np.zeros(size, np.float32)
    for label, limb in there.items():
        near = (
            cv2.dilate(
                np.uint8(final == label), np.ones((2 * framing.pixels(CHOSEN.around, size[0]) + 1,) * 2, np.uint8)
            )
            > 0
        )
        near &= (final == label) | ~segmentation.region(final, segmentation.ARMS + segmentation.LEGS)
        y, x = np.nonzero(near)
        down, across = limb.place(np.stack([x, y], -1).astype(np.float32))
        for source, mirrored in ((_OTHER[label], True), (label, False)):
            if source not in own:
                continue
            begin, end = own[source].ends
            inside = np.minimum(np.where(begin > 0, down - begin, np.inf), end - down) - CHOSEN.within
            at = own[source].points(down, -across if mirrored else across)
            shown = cv2.remap(of_limb[source], at[:, None], None, cv2.INTER_LINEAR)[:, 0]
            sure = np.clip(2 * shown, 0, 1) * np.clip(inside / CHOSEN.fade, 0, 1) * (final[y, x] == label)
            better = sure >= weight[y, x]
            place[y[better], x[better]], weight[y[better], x[better]] = at[better], sure[better]
        stays = still[label] * (labels[y, x] == label)[:, None]
        place[y, x] += stays * (pixels[y, x] - place[y, x])
        weight[y, x] = np.maximum(weight[y, x], stays[:, 0] * (final[y, x] == label))
    return place, weight


def matched(
    image: np.ndarray,
    skin: tuple[np.ndarray, np.ndarray],
    there: dict[int, Limb],
    final: np.ndarray,
    still: np.ndarray,
) -> np.ndarray:
    """The picture [H, W, 3], its limbs in the colours of their own skin that is carried there.

    So what the photo does not show of a limb goes on from what it does, without a seam; as bright as that, row by row,
    only where the limb stands still: moved, it is lit otherwise. On 32 cases of the catalogue's validation split arms
    have an error of .092 with all of the brightness, .089 so and without. A limb of which nothing is carried has the
    colours of the other one.
    Args: skin: what is carried, [H, W, 3], and how surely, [H, W]. there: `limbs_of(final)`. still: see `carried`.
    """
    (picture, sure), out, off = skin, image.copy(), {}
    log = lambda of: np.log(np.maximum(of, 0) + DARK)  # noqa: E731
    rows, places = np.arange(2 * BINS), {}
    for label, limb in there.items():
        places[label] = y, x = np.nonzero(final == label)
        row = np.clip(limb.place(np.stack([x, y], -1).astype(np.float32))[0] * BINS, 0, len(rows) - 1).astype(int)
        known = sure[y, x] > CHOSEN.known
        off[label] = row, None
        if known.sum() < CHOSEN.fewest_skin * final.size:
            continue
        hues = [_hue(np.median(of[y, x][known], 0)) for of in (picture, image)]
        if np.abs(hues[0] - hues[1]).max() > CHOSEN.other[0]:  # what was read as the limb is none
            continue
        # One hue, of all that is seen: single rows show straps and rings. And how bright, row by row; beyond what is
        # seen as all that is: at its end what was painted may be a shadow.
        whole = np.median(log(picture[y, x])[known], 0) - np.median(log(image[y, x]), 0)
        apart = (log(picture[y, x]) - log(image[y, x]))[known].mean(-1)
        seen = np.unique(row[known])
        bright = np.interp(rows, seen, [np.median(apart[row[known] == one]) for one in seen]).astype(np.float32)
        bright[(rows < seen[0]) | (rows > seen[-1])] = whole.mean()
        bright = cv2.GaussianBlur(bright[None], (0, 0), CHOSEN.rows, borderType=cv2.BORDER_REPLICATE)[0]
        off[label] = row, whole - whole.mean() + still[label] * bright[:, None]
    for label, (row, own) in off.items():
        own = off.get(_OTHER[label], (row, None))[1] if own is None else own
        if own is not None:
            out[places[label]] = np.clip(np.exp(log(image[places[label]]) + own[row]) - DARK, 0, 1)
    return out


def _like_its_limb(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """How surely pixels [H, W] of a limb's mask show it, float32: they are of about its hue."""
    hue = cv2.cvtColor(np.float32(image[mask])[None], cv2.COLOR_RGB2LAB)[0, :, 1:]
    apart = np.abs(hue - np.median(hue, 0)).max(-1)
    (begin, end), sure = CHOSEN.other, np.zeros(mask.shape, np.float32)
    sure[mask] = np.clip((end - apart) / (end - begin), 0, 1)
    return sure


def shaded(
    image: np.ndarray,
    labels: np.ndarray,
    there: dict[int, Limb],
    final: np.ndarray,
    painted: np.ndarray,
    bright: tuple[np.ndarray, np.ndarray],
    hands: Sequence[DrawnHand] = (),
    legs: Sequence[DrawnLeg] = (),
) -> np.ndarray:
    """The picture [H, W, 3] that was painted into the final map, its arms in the photo's skin, lit as the photo is.

    It is left as it is where the photo shows no skin. Legs that the photo shows are, too: they may wear tights.
    Args: image: the photo. labels: of what it shows. there: `limbs_of(final)`. painted: whose bright and dark places
    stay, up to a bound. bright: how bright a white surface is in the photo and in the final map, [H, W] each, linear.
    hands, legs: that are drawn, not painted.
    """
    own, beyond = (np.log(of) / GAMMA for of in bright)
    skin = _skin(image, labels, own)
    if skin is None:
        return painted
    out, (arm, hand_alone, leg) = painted.copy(), skin
    drawn = {hand.label: hand for hand in hands}
    for label in segmentation.ARMS:
        y, x = np.nonzero(final == label)
        if not (label in there or label in drawn) or not len(y):  # a bag lies before the whole hand
            continue
        own, colour = np.log(painted[y, x] @ LUMA + DARK), arm
        own = np.clip(own - np.median(own), -CHOSEN.painted, CHOSEN.painted)
        if (hand := drawn.get(label)) is not None:
            own = np.where(hand.mask[y, x], hand.detail[y, x], own)
            colour = hand_alone if is_alone(hand, final == label) else arm
        out[y, x] = _lit(colour, beyond[y, x], CHOSEN.light, own)
    for one in legs:
        y, x = np.nonzero(final == one.label)
        if len(y):
            out[y, x] = _lit(leg, beyond[y, x], CHOSEN.light_of_legs, CHOSEN.deep * one.detail[y, x])
    return out


def _lit(skin: np.ndarray, light: np.ndarray, much: float, own: np.ndarray) -> np.ndarray:
    """Colours [N, 3] of a limb's skin, ln(colour + DARK), in light, of which so `much` shows, with a shade of its own,
    logarithms [N].
    """
    middle = np.median(light)
    return np.clip(np.exp(skin + middle + (much * (light - middle) + own)[:, None] * DARKER) - DARK, 0, 1)


def is_alone(hand: DrawnHand, arm: np.ndarray) -> bool:
    """Whether a drawn hand is all that is seen of its arm, bool [H, W]."""
    return bool(arm.any() and hand.mask[arm].mean() > CHOSEN.alone)


def _skin(image: np.ndarray, labels: np.ndarray, light: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """ln(colour + DARK) [3] of arms, of hands at long sleeves' ends, and of legs, in the light that leaves white as it
    is.

    It is that of what is seen of arms; or they are as bright beside the face as they usually are.

    Args: light: logarithm of how bright white is in the photo [H, W].
    """

    def middle(mask: np.ndarray) -> np.ndarray | None:
        enough = mask.mean() >= CHOSEN.fewest_skin
        return np.median(np.log(np.maximum(image[mask], 0) + DARK) - light[mask][:, None], 0) if enough else None

    arm, face = (middle(segmentation.region(labels, of)) for of in (segmentation.ARMS, (ID["face"],)))
    hue = lambda of: _hue(np.clip(np.exp(of) - DARK, 0, 1))  # noqa: E731
    if arm is not None and (face is None or np.abs(hue(arm) - hue(face)).max() < CHOSEN.hue):
        theirs = arm - BEYOND_FACE  # what the face would be
        return arm, arm, (theirs if face is None else (theirs + face) / 2) + LEGS_BEYOND_FACE
    return None if face is None else (face + BEYOND_FACE, face + HANDS_BEYOND_FACE, face + LEGS_BEYOND_FACE)


def _hue(colour: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.float32(colour)[None, None], cv2.COLOR_RGB2LAB)[0, 0, 1:]
