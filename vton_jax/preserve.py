"""What try-on must not change is taken from the user's photo: parts that stand still, and the background.

Alphabet: pictures are float NumPy arrays [H, W, 3] in [0, 1] of the networks' size; labels uint8 [H, W] in ATR's ids.
The networks paint a whole picture anew, and on real photos they leave the old person's outline behind the new one.
"""

import cv2
import numpy as np

from vton_jax import keypoints, segmentation
from vton_jax.types import Layout

BACKGROUNDS = ("inpaint", "network")
STILL, MOVED = 0.015, 0.035  # of the person's height: joints that move less stand still, those that move more do not
_SOFT = 1.2  # pixels, sigma of every edge
_HALO = 2  # pixels around the person in the photo that are not trusted to be background
_HEAD = ("nose", "neck", "left-eye", "right-eye", "left-ear", "right-ear")
_TRUNK = ("left-shoulder", "right-shoulder", "left-hip", "right-hip")
# The joints that a part moves with; what is not named moves with the trunk.
_JOINTS = {name: _HEAD for name in ("hat", "hair", "sunglasses", "face")}
for _side in ("left", "right"):
    _JOINTS[f"{_side}-arm"] = tuple(f"{_side}-{joint}" for joint in ("shoulder", "elbow", "wrist"))
    _JOINTS[f"{_side}-leg"] = tuple(f"{_side}-{joint}" for joint in ("hip", "knee", "ankle"))
    _JOINTS[f"{_side}-shoe"] = (f"{_side}-knee", f"{_side}-ankle")
for _name in ("skirt", "pants"):
    _JOINTS[_name] = tuple(f"{s}-{joint}" for joint in ("hip", "knee", "ankle") for s in ("left", "right"))


def backdrop(photo: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The photo without its person: (picture [H, W, 3], hole [H, W]); `hole` is 1 where the picture is made up.

    The hole is filled from its rim inwards by a pyramid of weighted means: smooth, as backgrounds out of focus are.
    """
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _HALO + 1,) * 2)
    hole = cv2.dilate((labels > 0).astype(np.float32), disk)
    filled = _fill(photo.astype(np.float32), 1 - hole)
    soft = np.maximum(hole, cv2.GaussianBlur(hole, (0, 0), _SOFT))
    return photo + (filled - photo) * soft[..., None], soft


def _fill(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Where `known` [H, W] is 0 the mean of what is known nearby, the nearest scale first; no holes stay."""
    height, width = image.shape[:2]
    if min(height, width) < 2:
        return image * known[..., None] + (1 - known[..., None]) * image.mean((0, 1))
    half = (width // 2, height // 2)
    weight = cv2.resize(known, half, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(image * known[..., None], half, interpolation=cv2.INTER_AREA)
    coarse = _fill(mean / np.maximum(weight, 1e-6)[..., None], np.minimum(weight * 4, 1))
    coarse = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return image * known[..., None] + coarse * (1 - known[..., None])


def stillness(user: Layout, pose: Layout) -> np.ndarray:
    """For each of the 18 labels, how much the part stands where it stood in the photo: [18] in [0, 1].

    A part stands still as far as its farthest joint does; one without a joint that both show has moved.
    """
    both = np.asarray(user.visible) & np.asarray(pose.visible)
    height = keypoints.person_height(np.asarray(user.keypoints), np.asarray(user.visible))
    moved = np.linalg.norm(np.asarray(user.keypoints) - np.asarray(pose.keypoints), axis=-1) / height
    still = np.zeros(segmentation.NUM_LABELS, np.float32)
    for label, name in enumerate(segmentation.LABELS):
        seen = [joint for joint in map(keypoints.ID.get, _JOINTS.get(name, _TRUNK)) if both[joint]]
        if seen:
            still[label] = np.clip((MOVED - moved[seen].max()) / (MOVED - STILL), 0, 1)
    still[0] = 1
    return still


def kept(labels: np.ndarray, final: np.ndarray, still: np.ndarray, garment_type: int) -> np.ndarray:
    """How much of each pixel [H, W] stays as it is in the photo.

    Kept are pixels whose parts, in the photo's labels and in the final map, stand still; never what wore the old
    garment or wears the new one. Edges are soft on the kept side: the new garment stays whole.
    """
    kind = segmentation.GARMENT_TYPES[garment_type]
    changed = segmentation.region(labels, segmentation.REPLACED_LABELS[kind])
    changed |= segmentation.region(final, segmentation.GARMENT_LABELS[kind])
    keep = np.where(changed, 0, np.minimum(still[labels], still[final])).astype(np.float32)
    keep = cv2.erode(keep, np.ones((3, 3), np.uint8))
    return np.minimum(keep, cv2.GaussianBlur(keep, (0, 0), _SOFT))


def compose(dressed, photo: np.ndarray, behind: tuple | None, final: np.ndarray, keep: np.ndarray):
    """One frame: the result over the background, and what is kept of the photo over both.

    Args: dressed: `try_on.Dressed` of one frame. behind: `backdrop` of the photo; None leaves the networks' background.
    """
    image, photo_share, dress_share = (np.asarray(a) for a in (dressed.image, dressed.photo_share, dressed.dress_share))
    if behind is not None:
        picture, hole = behind
        person = cv2.GaussianBlur((final > 0).astype(np.float32), (0, 0), _SOFT)
        image = picture + (image - picture) * person[..., None]
        photo_share, dress_share = person * photo_share + (1 - person) * (1 - hole), dress_share * person
    return dressed.replace(
        image=image + (photo - image) * keep[..., None],
        photo_share=keep + (1 - keep) * photo_share,
        dress_share=(1 - keep) * dress_share,
    )


def restore(dressed, photo, behind, user: Layout, pose: Layout, final: np.ndarray, garment_type: int):
    """`compose` for one frame, keeping what stands still between the photo's layout and the pose's."""
    keep = kept(np.asarray(user.segmentation), final, stillness(user, pose), garment_type)
    return compose(dressed, photo, behind, final, keep)
