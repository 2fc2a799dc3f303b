"""A picture's own alpha channel as the outline of what was read in it."""

import cv2
import numpy as np


def keep(labels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Labels [H, W] with the outline of `mask`, bool [H, W]: nothing outside, and inside the nearest label, if any."""
    labels = np.where(mask, labels, 0)
    if not labels.any():
        return labels
    _, nearest = cv2.distanceTransformWithLabels(
        (labels == 0).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE, labelType=cv2.DIST_LABEL_PIXEL
    )
    of_pixel = np.zeros(nearest.max() + 1, labels.dtype)
    of_pixel[nearest[labels > 0]] = labels[labels > 0]
    return np.where(mask, of_pixel[nearest], 0).astype(labels.dtype)
