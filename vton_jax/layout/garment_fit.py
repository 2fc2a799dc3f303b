"""The invisible person who wears a garment that lies flat: a body fitted to the joints that were read in it.

Single joints that were misread cannot fold a garment: a body of usual proportions, upright or turned in the picture but
never mirrored, is laid through all of them, and those far from it are left.

Conventions: joints are [18, 2], (x, y) in pixels, in OpenPose's order; the garment's front is up, so that the wearer's
left is at the right of the picture. Lengths are in body heights, as in body.py. NumPy.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from vton_jax.core.keypoints import ID, NUM_JOINTS
from vton_jax.layout.body import PROPORTIONS as BODY

KINDS = ("upper", "lower", "dress")  # an outfit of several pieces does not lie flat as one


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """How joints are believed. By thought, on no picture."""

    probable: float = 0.5  # from which a joint is used
    near: float = 0.06  # body heights: how far joints usually lie from the fitted body
    astray: float = 0.12  # farther ones are replaced by it
    rounds: int = 8
    least: int = 2  # joints of which a body is made
    limb: tuple[float, float] = (0.5, 1.5)  # of a limb's length, between which a joint of it is believed
    # Cloth beside a shoulder is a sleeve's: from here on aside and down to here, in body heights, if it is so much.
    sleeve_aside: float = 0.015
    sleeve_down: float = 0.14
    sleeve_least: float = 0.0015  # square body heights
    bare: complex = 1 + 0.1j  # where an arm goes that no sleeve shows, aside and down: clear of the cloth
    # How far down the upper arm a short sleeve reaches, in its lengths: as the catalogue cuts them. And how wide the
    # band about the bone is in which its end is looked for, in body heights.
    short: tuple[float, float] = (0.45, 0.75)
    unlikely: float = 0.1  # probability: classes of sleeves below it do not count
    lane: float = 0.02
    steps: int = 32  # of an upper arm
    # Lower garments: at which fraction of their length they lie how wide, in body heights; how far the hip joints are
    # below the waist; which fraction of a leg, from its end on, is its hem; and how far legs are apart at least. By
    # thought: so photographed trousers end at the ankles and shorts above the knee, see `benchmarks/flat_lengths.py`.
    trousers: tuple[float, float] = (0.2, 0.28)
    skirt: tuple[float, float] = (0.1, 0.235)
    waist: float = 0.1
    band: float = 0.04
    # Dresses: how wide they lie, in body heights, where they are narrowest between two fractions of their length, and
    # at a fraction of it. The median of 58 flat photos of garments_cc0 that `catalogue.garment_photos` fits.
    dress_narrowest: tuple[float, float, float] = (0.2, 0.6, 0.234)
    dress: tuple[float, float] = (0.25, 0.26)
    # Upper garments: how long they lie, and how wide at a fraction of it. The median of their photos alike.
    upper_length: float = 0.345
    upper: tuple[float, float] = (0.6, 0.25)
    outvoted: float = 1.5  # as tall, or as short, as the joints say
    hem: float = 0.12
    gap: float = 0.02


THRESHOLDS = Thresholds()
# Between which places down the arm (0..2, 1 being the elbow) sleeves of `reader_cnn.SLEEVES` end, as the catalogue cuts
# them: none, short, three-quarter, long.
SLEEVE_ENDS = np.array([(0.0, 0.0), THRESHOLDS.short, (0.85, 1.5), (1.95, 1.99)], np.float32)
ANY_SLEEVES = np.float32([0, 2])  # the same of sleeves of which nothing is known
_TRUNK = ("neck", "left-shoulder", "right-shoulder", "left-hip", "right-hip")
_SHOULDERS = ("neck", "left-shoulder", "right-shoulder")
_LEGS = ("left-hip", "right-hip", "left-knee", "right-knee", "left-ankle", "right-ankle")
_USED = {"upper": _TRUNK, "lower": _LEGS, "dress": _TRUNK + _LEGS[2:]}


def _standing() -> dict[str, np.ndarray]:
    """A body's joints about its neck, in body heights."""
    found = {"neck": np.zeros(2)}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        found[f"{side}-shoulder"] = np.array([sign * BODY.shoulder_distance / 2, BODY.neck_to_shoulders])
        for name, down in (("hip", 0.0), ("knee", BODY.thigh), ("ankle", BODY.thigh + BODY.shin)):
            found[f"{side}-{name}"] = np.array([sign * BODY.hip_distance / 2, BODY.torso + down])
    return found


_BODY = _standing()


def _complex(points: np.ndarray) -> np.ndarray:
    return points[..., 0] + 1j * points[..., 1]


def _similarity(body: np.ndarray, seen: np.ndarray, weights: np.ndarray) -> tuple[complex, complex]:
    """(turn and scale, shift) that bring places of a body nearest to what was seen, by weighted squares."""
    total = max(float(weights.sum()), 1e-9)
    middle, there = (weights * body).sum() / total, (weights * seen).sum() / total
    apart = body - middle
    scale = (weights * (seen - there) * apart.conj()).sum() / max(float((weights * abs(apart) ** 2).sum()), 1e-9)
    return scale, there - scale * middle


def wearer(
    points: np.ndarray, probability: np.ndarray, kind: str, mask: np.ndarray, *, sleeves: str = "", skirt: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The wearer's joints [18, 2] and which are given, bool [18]: those that the garment of a kind covers.

    An upper garment shows arms and hips, a dress the legs too, a lower garment hips and legs; the head is missing. All
    are missing where fewer than `THRESHOLDS.least` were read.

    Args: points [18, 2], as read. probability [18], that each lies on the garment. kind: of `KINDS`. mask: bool [H, W],
    the garment, which shows where a sleeve goes that ends above the elbow. sleeves: which it has, where that was read.
    Of `none`, arms are clear of the cloth; `short` ones end within `THRESHOLDS.short` of the shoulder, which gives way.
    skirt: whether a lower garment is one. Of lower garments only the way they lie is read, the rest is their outline's.
    Raises: ValueError for another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"garment kind {kind!r} is none of {', '.join(KINDS)}.")
    t, found = THRESHOLDS, {}
    names = [name for name in _USED[kind] if probability[ID[name]] > t.probable]
    if len(names) >= t.least:
        body = _complex(np.stack([_BODY[name] for name in names]))
        seen = _complex(np.stack([points[ID[name]] for name in names]))
        sure = np.array([probability[ID[name]] for name in names])
        weights = sure
        for _ in range(t.rounds):
            scale, shift = _similarity(body, seen, weights)
            away = abs(scale * body + shift - seen) / max(abs(scale), 1e-6)
            weights = sure / (1 + (away / t.near) ** 2)
        height = {"dress": _dress_height, "upper": _upper_height}.get(kind, lambda *_: None)(mask, scale, shift)
        if height:
            scale *= height / abs(scale)
            upper = [index for index, name in enumerate(names) if name in _SHOULDERS] or range(len(names))
            shift = np.average((seen - scale * body)[upper], weights=sure[upper])
        for name in _USED[kind]:
            place = scale * _complex(_BODY[name]) + shift
            read = _complex(points[ID[name]])
            believed = probability[ID[name]] > t.probable and abs(read - place) < t.astray * abs(scale)
            believed &= not height or name in _SHOULDERS
            found[name] = read if believed else place
        if kind == "lower":
            found |= _legs(mask, scale / abs(scale), skirt=skirt)
        else:
            for side, sign in (("left", 1.0), ("right", -1.0)):
                shoulder = found[f"{side}-shoulder"]
                ahead = _sleeve(mask & (sleeves != "none"), shoulder, scale, sign)
                if sleeves == "short":
                    shoulder = found[f"{side}-shoulder"] = _shoulder(mask, shoulder, scale, ahead)
                found |= _arm(shoulder, points, probability, side=side, scale=scale, ahead=ahead)
    joints, given = np.zeros((NUM_JOINTS, 2), np.float32), np.zeros(NUM_JOINTS, bool)
    for name, place in found.items():
        joints[ID[name]], given[ID[name]] = (place.real, place.imag), True
    return joints, given


def _dress_height(mask: np.ndarray, scale: complex, shift: complex) -> float | None:
    """How tall the wearer of a dress is, in pixels, by how wide it lies; None where that cannot be said.

    Joints that were read below the shoulders say less: on 55 photos of garments_cc0/train knees lay .11 body heights
    too high and were off by .13, the median; so .03 and .07 (`benchmarks/flat_wearers.py`).
    Args: scale, shift: of the body that was laid through the joints.
    """
    if (lies := _lies(mask, scale, shift)) is None:
        return None
    _, width = lies
    first, last, narrowest = THRESHOLDS.dress_narrowest
    at, wide = THRESHOLDS.dress
    found = min(map(width, np.linspace(first, last, THRESHOLDS.steps))) / narrowest, width(at) / wide
    return float(np.sqrt(np.prod(found))) or None


def _upper_height(mask: np.ndarray, scale: complex, shift: complex) -> float | None:
    """How tall the wearer of an upper garment is, in pixels, where length and width of the cloth agree that the joints
    are far off; else None. Of 150 flat tops of garments_cc0/train it is so with four. Args: see `_dress_height`.
    """
    if (lies := _lies(mask, scale, shift)) is None:
        return None
    length, width = lies
    at, wide = THRESHOLDS.upper
    height = float(np.median([abs(scale), length / THRESHOLDS.upper_length, width(at) / wide]))
    return height if abs(np.log(height / abs(scale))) > np.log(THRESHOLDS.outvoted) else None


def _lies(mask: np.ndarray, scale: complex, shift: complex) -> tuple[float, Callable[[float], float]] | None:
    """How long a garment lies, in pixels, and how wide at a fraction of its length; None where it is too small."""
    row, column = np.nonzero(mask)
    if not len(row):
        return None
    cloth = (column + 1j * row) * abs(scale) / scale  # upright
    middle = (shift * abs(scale) / scale).real
    top, bottom = np.quantile(cloth.imag, (0.005, 0.995))
    if bottom - top < THRESHOLDS.steps:
        return None
    return bottom - top, lambda part: _width(cloth, top + part * (bottom - top), middle)


def _width(cloth: np.ndarray, row: float, middle: float) -> float:
    """How wide cloth, pixels x + iy, lies in a row without a gap, about a column or next to it."""
    x = np.sort(cloth.real[abs(cloth.imag - row) <= 0.5])
    if not len(x):
        return 0.0
    begin = np.concatenate([[0], np.flatnonzero(np.diff(x) > 2) + 1])
    first, last = x[begin], x[np.append(begin[1:] - 1, -1)]
    nearest = np.argmin(np.maximum(first - middle, middle - last))
    return float(last[nearest] - first[nearest] + 1)


def _sleeve(mask: np.ndarray, shoulder: complex, scale: complex, sign: float) -> complex:
    """Where a sleeve goes from a shoulder, of unit length: to the middle of the cloth beside it."""
    row, column = np.nonzero(mask)
    beside = (column + 1j * row - shoulder) / scale  # in body heights, upright
    t = THRESHOLDS
    here = (sign * beside.real > t.sleeve_aside) & (abs(beside.imag) < t.sleeve_down)
    enough = here.sum() > t.sleeve_least * abs(scale) ** 2
    ahead = beside[here].mean() if enough else sign * t.bare.real + 1j * t.bare.imag
    ahead = ahead * scale
    return ahead / abs(ahead)


def _legs(mask: np.ndarray, turn: complex, *, skirt: bool) -> dict[str, complex]:
    """Hips, knees and ankles of a lower garment that lies turned: a leg goes from its hip to the middle of its hem.

    What joints were read says little: a network takes the hem for the ankles, however short trousers are. A side
    without cloth is left out.
    """
    t, (row, column) = THRESHOLDS, np.nonzero(mask)
    if not len(row):
        return {}
    cloth = (column + 1j * row) / turn  # upright
    top, bottom = np.quantile(cloth.imag, (0.005, 0.995))

    at, wide = t.skirt if skirt else t.trousers
    here = abs(cloth.imag - top - at * (bottom - top)) < t.band * (bottom - top)
    if here.sum() < t.least:
        return {}
    left, right = np.quantile(cloth.real[here], (0.02, 0.98))
    height = (right - left) / (0.96 * wide)  # between the quantiles
    middle, hips, quarter = (left + right) / 2, top + t.waist * height, (right - left) / 4
    aside, found = cloth.real - _parting(cloth, top, t.gap * height), {}
    # The garment's front is up: the wearer's left is at the right.
    for side, sign in (("left", 1), ("right", -1)):
        hip = middle + sign * quarter + 1j * hips
        own = cloth[sign * aside > 0] - hip
        own = own[own.imag > 0]
        if not len(own):
            continue
        far = abs(own)
        hem = own[far > (1 - t.hem) * np.quantile(far, 0.99)].mean()
        along = hem / abs(hem)
        found[f"{side}-hip"] = hip * turn
        for name, place in (("knee", BODY.thigh), ("ankle", BODY.thigh + BODY.shin)):
            found[f"{side}-{name}"] = (hip + along * place * height) * turn
    return found


def _parting(cloth: np.ndarray, top: float, gap: float) -> np.ndarray:
    """For pixels x + iy of a lower garment, at which x their row parts the legs: in its widest gap, or its middle."""
    rows = np.floor(cloth.imag - top).astype(int)
    rows -= rows.min()
    parted = np.zeros(rows.max() + 1)
    for row in np.unique(rows):
        x = np.sort(cloth.real[rows == row])
        widest = np.argmax(np.diff(x)) if len(x) > 1 and np.diff(x).max() > gap else None
        parted[row] = (x[0] + x[-1]) / 2 if widest is None else (x[widest] + x[widest + 1]) / 2
    return parted[rows]


def sleeve_bounds(probability: np.ndarray) -> np.ndarray:
    """Between which places down the arm a garment's sleeves end, float32 [2], by how probable each class [4] is."""
    likely = SLEEVE_ENDS[np.asarray(probability) >= min(THRESHOLDS.unlikely, float(np.max(probability)))]
    return np.float32([likely[:, 0].min(), likely[:, 1].max()])


def _shoulder(mask: np.ndarray, shoulder: complex, scale: complex, ahead: complex) -> complex:
    """The shoulder, moved along its arm until a short sleeve ends where such sleeves do."""
    t, length = THRESHOLDS, BODY.upper_arm * abs(scale)
    row, column = np.nonzero(mask)
    beyond = (column + 1j * row - shoulder) / ahead
    down = beyond.real[abs(beyond.imag) < t.lane * abs(scale)] * t.steps / length
    cloth = np.bincount(np.floor(down[down > 0]).astype(int), minlength=2 * t.steps) > 0
    end = (np.argmin(cloth) if not cloth.all() else len(cloth)) / t.steps
    return shoulder + (end - np.clip(end, *t.short)) * length * ahead


def _arm(
    shoulder: complex, points: np.ndarray, probability: np.ndarray, *, side: str, scale: complex, ahead: complex
) -> dict[str, complex]:
    """Elbow and wrist of a side: where they were read, else on along the arm."""
    start, arm = shoulder, {}
    for name, length in (("elbow", BODY.upper_arm), ("wrist", BODY.forearm)):
        joint = f"{side}-{name}"
        read, length = _complex(points[ID[joint]]), length * abs(scale)
        low, high = (part * length for part in THRESHOLDS.limb)
        if probability[ID[joint]] > THRESHOLDS.probable and low < abs(read - start) < high:
            ahead, arm[joint] = (read - start) / abs(read - start), read
        else:
            arm[joint] = start + length * ahead
        start = arm[joint]
    return arm
