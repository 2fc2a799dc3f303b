"""Which frames of a shot can be used: each gate gives a reason in plain words, or '' for a frame that passes."""

import cv2
import numpy as np

from vton_jax.core import keypoints, segmentation
from vton_jax.reading import person_crop

_LEAST_JOINTS = 10
_BODY = [keypoints.ID[f"{side}-{joint}"] for side in ("left", "right") for joint in ("shoulder", "hip", "knee")]
_LEAST_BODY_CONFIDENCE = 0.35
# Frames of nine real clips and four capsule mannequins have 0.055 to 0.28; blurred by a Gaussian of 2 pixels, 0.012 to
# 0.047.
_SHARPNESS = 0.03
_LEAST_PARSE_CONFIDENCE = 0.6
_LEAST_PERSON, _LEAST_AGREEMENT = 0.05, 0.6
_SECOND_PERSON = 0.3  # of the first one's area


def pose_problem(points: np.ndarray, visible: np.ndarray, confidence: np.ndarray, size: tuple[int, int]) -> str:
    """What is wrong with a pose [18, 2] found in a frame of `size`: nobody, a cut-off body, low confidence."""
    if visible.sum() < _LEAST_JOINTS:
        return f"no person: {int(visible.sum())} of 18 joints found"
    head, feet = (float(value[0]) for value in person_crop.head_and_feet(points[None], visible[None]))
    if np.isnan(head):
        return "cut off: the head is not seen"
    if np.isnan(feet):
        return "cut off: the feet are not seen"
    extent = feet - head
    # Above the eyes lies a tenth of the span from head to ankles, below the ankles a twentieth.
    if head - 0.08 * extent < 0 or feet + 0.03 * extent > size[0]:
        return "cut off: the body reaches beyond the frame"
    if extent < 96:
        return f"too small: {extent:.0f} pixels from head to ankles, 96 are the least"
    if (least := float(confidence[_BODY].mean())) < _LEAST_BODY_CONFIDENCE:
        return f"pose uncertain: confidence {least:.2f}, {_LEAST_BODY_CONFIDENCE} is the least"
    return ""


def sharpness(crop: np.ndarray) -> float:
    """How much of a crop's contrast [H, W, 3] is fine detail: the mean of |Laplacian| over the standard deviation."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean() / (grey.std() + 8))


def blur_problem(crop: np.ndarray) -> str:
    value = sharpness(crop)
    return "" if value >= _SHARPNESS else f"blurred: sharpness {value:.3f}, {_SHARPNESS} is the least"


def parse_problem(labels: np.ndarray, confidence: float, points: np.ndarray, visible: np.ndarray) -> str:
    """What is wrong with a crop's parse [H, W]; keypoints in its pixels."""
    person = labels > 0
    if person.mean() < _LEAST_PERSON:
        return f"no person: {100 * person.mean():.0f}% of the crop is labelled"
    if confidence < _LEAST_PARSE_CONFIDENCE:
        return f"parse uncertain: confidence {confidence:.2f}, {_LEAST_PARSE_CONFIDENCE} is the least"
    if not segmentation.region(labels, segmentation.GARMENTS).any():
        return "no garment found"
    _, _, areas, _ = _components(person)
    if len(areas) > 1 and areas[1] > _SECOND_PERSON * areas[0]:
        return "several people"
    height, width = labels.shape
    columns, rows = np.round(points[visible]).astype(int).T
    inside = person[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)].mean()
    if inside < _LEAST_AGREEMENT:
        return f"pose and parse disagree: {100 * inside:.0f}% of the joints lie on the person"
    return ""


def _components(mask: np.ndarray):
    """cv2's connected components without the background, the largest first."""
    count, ids, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    order = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")
    return count - 1, ids, stats[order, cv2.CC_STAT_AREA], centres[order]


def without_person(frame: np.ndarray, points: np.ndarray, visible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The frame with the person of a pose painted over, row by row from left to right, and that box (x, y, x, y)."""
    height, width = frame.shape[:2]
    seen = points[visible]
    low, high = seen.min(0), seen.max(0)
    span = high[1] - low[1]
    left, top = np.maximum(np.floor(low - (0.12 * span, 0.2 * span)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(high + 0.12 * span), (width, height)).astype(int)
    weight = np.linspace(0, 1, right - left)[None, :, None]
    one, two = frame[top:bottom, max(left - 1, 0)][:, None], frame[top:bottom, min(right, width - 1)][:, None]
    painted = frame.copy()
    painted[top:bottom, left:right] = one * (1 - weight) + two * weight
    return painted, np.array([left, top, right, bottom])


def second_problem(points, visible, confidence, box, span: float) -> str:
    """Several people: a pose [18, 2] found where the first person, `span` pixels from head to ankles, is painted over.

    On seven clips that show one person, MoveNet's second poses have a mean confidence of at most 0.2. Of two capsule
    mannequins side by side the second one has 0.54 to 0.95, as MultiPathCNN read them.
    """
    if visible.sum() < _LEAST_JOINTS or confidence.mean() < 0.5:
        return ""
    seen = points[visible]
    outside = ((seen < box[:2]) | (seen > box[2:])).any(1).mean()
    return "several people" if outside > 0.8 and np.ptp(seen[:, 1]) > 0.4 * span else ""


def faces_problem(heights: list[float]) -> str:
    """Several people: a second face at least 0.6 of the largest one's height."""
    return "several people: two faces" if len(heights) > 1 and sorted(heights)[-2] > 0.6 * max(heights) else ""
