"""Clothing Co-Parsing's one `skin` and its footwear, told apart into face, arms, legs and shoes by the nearest limb.

Conventions: points `(x, y)` [18, 2] in pixels of the label map with visible [18], as in `keypoints`. Neck, chest and
belly are `face`, as in the catalogue. Where the pose shows no limb at all, the pixels are `UNKNOWN`.
"""

import cv2
import numpy as np

from vton_jax.core import keypoints, label_tables, segmentation

# Limbs as capsules: part, first and second joint, how far it goes on beyond the second (in lengths of the bone), radius
# in torso lengths. Distances count from the surface: a hand beside a thigh is nearer to the wrist's capsule.
_ARMS = (("arm", "shoulder", "elbow", 0.0, 0.08), ("arm", "elbow", "wrist", 0.45, 0.07))
_LEGS = (("leg", "hip", "knee", 0.0, 0.14), ("leg", "knee", "ankle", 0.2, 0.09))
_FEET = (("shoe", "knee", "ankle", 0.3, 0.0),)
_HEAD, _TORSO = 0.25, 0.2  # radii
_REACH = 0.25  # in torso lengths: how near to an arm's capsule a hand begins
_TORSO_OF_HEIGHT = 0.3  # where no hip is seen
_WHOLE = 0.85  # a connected piece with such a fraction of one label is all of it


def split(ccp_labels: np.ndarray, points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """CCP's ids [H, W] and the pose found on the photo -> ATR-18 labels, uint8 [H, W]."""
    labels = label_tables.LABEL_FROM_CCP[ccp_labels]
    joint = {name: points[i].astype(np.float32) for i, name in enumerate(keypoints.JOINTS) if visible[i]}
    hips = [joint[name] for name in ("left-hip", "right-hip") if name in joint]
    if hips and "neck" in joint:
        torso = np.linalg.norm(np.mean(hips, 0) - joint["neck"])
    else:
        torso = _TORSO_OF_HEIGHT * keypoints.person_height(points, visible)
    limbs = _capsules(joint, _ARMS + _LEGS, torso)
    if "neck" in joint:
        head = [joint[n] for n in ("nose", "left-eye", "right-eye", "left-ear", "right-ear") if n in joint]
        limbs += [("face", joint["neck"], np.mean(head, 0), _HEAD * torso)] if head else []
        limbs += [("face", joint["neck"], np.mean(hips, 0), _TORSO * torso)] if hips else []
    knees = [joint[name][1] for name in ("left-knee", "right-knee") if name in joint]
    _assign(labels, ccp_labels == label_tables.CCP_SKIN, limbs, min(knees, default=0), _REACH * torso)
    _assign(labels, np.isin(ccp_labels, label_tables.CCP_FOOTWEAR), _capsules(joint, _FEET, torso))
    return labels


def _capsules(joint: dict, limbs: tuple, torso: float) -> list:
    """(label, end, end, radius in pixels) of the limbs whose two joints are seen."""
    found = []
    for side in ("left", "right"):
        for part, first, second, beyond, radius in limbs:
            names = f"{side}-{first}", f"{side}-{second}"
            if all(name in joint for name in names):
                a, b = (joint[name] for name in names)
                found.append((f"{side}-{part}", a, b + beyond * (b - a), radius * torso))
    return found


def _assign(labels: np.ndarray, mask: np.ndarray, capsules: list, knees: float = 0, reach: float = 0) -> None:
    """Writes into `labels`, where `mask`, the label of the nearest capsule; connected pieces hold together.

    A piece that ends above `knees` (y) and comes within `reach` of an arm is no leg: hands hang beside thighs.
    """
    if not capsules or not mask.any():
        return
    y, x = np.nonzero(mask)
    pixels = np.stack([x, y], -1).astype(np.float32)
    distances = []
    for _, a, b, radius in capsules:
        along = np.clip((pixels - a) @ (b - a) / max(float((b - a) @ (b - a)), 1e-6), 0, 1)
        distances.append(np.linalg.norm(pixels - a - along[:, None] * (b - a), axis=-1) - radius)
    pieces = cv2.connectedComponents(mask.astype(np.uint8))[1][y, x]
    of_capsule = np.array([segmentation.ID[name] for name, *_ in capsules], np.uint8)
    distances, arms = np.stack(distances), np.isin(of_capsule, segmentation.ARMS)
    if arms.any():
        lowest, nearest = np.zeros(pieces.max() + 1), np.full(pieces.max() + 1, np.inf)
        np.maximum.at(lowest, pieces, y)
        np.minimum.at(nearest, pieces, distances[arms].min(0))
        hand = (lowest < knees) & (nearest <= reach)
        distances[np.isin(of_capsule, segmentation.LEGS)[:, None] & hand[pieces]] = np.inf
    ids = of_capsule[np.argmin(distances, 0)]
    counts = np.zeros((pieces.max() + 1, segmentation.NUM_LABELS), np.int64)
    np.add.at(counts, (pieces, ids), 1)
    whole = counts.max(1) >= _WHOLE * counts.sum(1)
    labels[y, x] = np.where(whole[pieces], counts.argmax(1)[pieces], ids)
