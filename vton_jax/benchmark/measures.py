"""What an answer is worth: by the truth's picture, masks and colours alone, never by a reader of our own.

Conventions: pictures are floats [H, W, 3] in [0, 1], labels uint8 [H, W] of ATR's table, joints [18, 2] in pixels.
Every score of a case is better when larger, but for LPIPS; NaN where the truth does not show what it is about.
"""

import cv2
import numpy as np

from vton_jax.core import segmentation
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.evaluate import metrics, scores

_NEAR = 15.0  # CIELAB units: a colour that is nearer than this to the truth is right
_APART = 20.0  # units that two regions differ by, for their border to be seen
_BAND, _HAND = 0.02, 0.045  # of the picture's height: of a border, around a wrist


def _lab(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.asarray(picture, np.float32), cv2.COLOR_RGB2LAB)


def _ids(*names: str) -> tuple[int, ...]:
    return tuple(segmentation.ID[name] for name in names)


def regions(labels: np.ndarray, points: np.ndarray, visible: np.ndarray, garment_type: str) -> dict[str, np.ndarray]:
    """Masks bool [H, W]: `garment`, `face` (with hair, above the neck), `hands`."""
    height, width = labels.shape
    row, column = np.mgrid[:height, :width]
    head = np.isin(labels, _ids("face", "hair", "hat", "sunglasses"))
    neck = JOINTS["neck"]
    head &= row < points[neck, 1] - 0.01 * height if visible[neck] else False
    near = np.zeros_like(head)
    for joint in (JOINTS["left-wrist"], JOINTS["right-wrist"]):
        if visible[joint]:
            near |= np.hypot(column - points[joint, 0], row - points[joint, 1]) < _HAND * height
    garment = segmentation.region(labels, segmentation.TARGET_LABELS[garment_type])
    return {"garment": garment, "face": head, "hands": near & np.isin(labels, _ids("left-arm", "right-arm"))}


def _right(answer: np.ndarray, truth: np.ndarray, mask: np.ndarray) -> float:
    """The fraction of a mask whose colours, a little blurred, are near the truth's."""
    if mask.sum() < 10:
        return float("nan")
    one, two = (cv2.GaussianBlur(picture, (0, 0), 0.8) for picture in (answer, truth))
    return float((np.linalg.norm(one - two, axis=-1)[mask] < _NEAR).mean())


def _border(answer: np.ndarray, truth: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> float:
    """How much of the band along a border of two regions is on the right side of it: nearer to one side's colour than
    to the other's, as the truth is there."""
    reach = 2 * max(round(_BAND * len(inside)), 1) + 1
    kernel = np.ones((reach, reach), np.uint8)
    grown = [cv2.dilate(side.astype(np.uint8), kernel) > 0 for side in (inside, outside)]
    bands = inside & grown[1], outside & grown[0]
    if min(band.sum() for band in bands) < 10:
        return float("nan")
    colours = [np.median(truth[band], 0) for band in bands]
    if np.linalg.norm(colours[0] - colours[1]) < _APART:
        return float("nan")
    one, two = (
        np.argmin([np.linalg.norm(picture - colour, axis=-1) for colour in colours], 0) for picture in (answer, truth)
    )
    return float(np.mean([(one == two)[band].mean() for band in bands]))


def case_scores(answer: np.ndarray, truth: np.ndarray, labels: np.ndarray, facts: dict) -> dict[str, float]:
    """The scores of an answer but for LPIPS. Args: facts: see `cases`, the truth's `about`."""
    points, visible = np.asarray(facts["keypoints"], np.float32), np.asarray(facts["visible"], bool)
    found = regions(labels, points, visible, facts["garment_type"])
    garment, skin = found["garment"], np.isin(labels, segmentation.LEGS)
    below = skin if facts["garment_type"] != "upper" else np.isin(labels, segmentation.LOWER) & ~garment
    arms = np.isin(labels, _ids("left-arm", "right-arm"))
    one, two = _lab(answer), _lab(truth)
    return {
        "ssim": float(metrics.ssim(answer, truth)),
        "ssim_garment": float(metrics.ssim(answer, truth, garment)),
        "print_correlation": scores.print_correlation(one[..., 0], two[..., 0], garment),
        "garment_colour": _right(one, two, garment),
        "face_kept": _right(one, two, found["face"]),
        "hands": _right(one, two, found["hands"]),
        "sleeves": _border(one, two, garment, arms) if facts["garment_type"] != "lower" else float("nan"),
        "hems": _border(one, two, garment, below),
    }


def alone(picture: np.ndarray, labels: np.ndarray, garment_type: str) -> np.ndarray:
    """A picture of which everything but the true garment is grey: what LPIPS of the garment compares."""
    garment = segmentation.region(labels, segmentation.TARGET_LABELS[garment_type])
    return scores.alone(picture, garment)


def groups(facts: dict) -> dict[str, str]:
    """What groups a case belongs to, {of what: which}."""
    three = lambda value, low, high, names: names[int(value >= low) + int(value >= high)]  # noqa: E731
    turn = abs((facts["yaw"] + np.pi) % (2 * np.pi) - np.pi)
    return {
        "skin": three(facts["tone"], 0.25, 0.5, ("light", "medium", "dark")),
        "body": three(facts["weight"], 0.45, 0.6, ("slim", "average", "large")),
        "hair": facts["hair"],
        "garment": facts["garment_type"],
        "cloth": facts["cloth_is"],
        "turn": three(turn, np.pi / 4, 2 * np.pi / 3, ("front", "side", "back")),
    }


def summary(scores: list[dict[str, float]], facts: list[dict]) -> dict[str, float]:
    """The mean of every score over its cases, NAME with 95% intervals NAME.low and .high, and NAME.OF_WHAT.WHICH."""
    found = {}
    for name in scores[0]:
        values = np.array([case[name] for case in scores])
        mean, low, high = metrics.bootstrap_interval(values)
        found |= {name: mean, f"{name}.low": low, f"{name}.high": high}
        for of_what in groups(facts[0]):
            which = np.array([groups(case)[of_what] for case in facts])
            for one in sorted(set(which)):
                own = values[which == one]
                if not np.isnan(own).all():
                    found[f"{name}.{of_what}.{one}"] = float(np.nanmean(own))
    return found
