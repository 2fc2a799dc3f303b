"""The light of a photo, and what lies flat as that light would show it on a body.

Where a photo shows skin or one piece of cloth, what varies is mostly light: its brightness says from where it comes.

Conventions: NumPy; shadings [h, w, 5] as `models.shading_cnn` has them, at half the size of pictures [H, W, 3] in
[0, 1] and labels [H, W]; a light [5] is how bright each of a shading's lights is, and a light's shading `shading @
light` is linear.
"""

import dataclasses

import cv2
import numpy as np
import scipy.optimize

from vton_jax.core import segmentation
from vton_jax.core.segmentation import ID

GAMMA = 2.2
_LUMA = np.float32([0.2126, 0.7152, 0.0722])


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """What lights are believed, see `benchmarks/lighting.py`."""

    usual: tuple[float, ...] = (0.50, 0.15, 0.15, 0.20, 0.10)  # as the catalogue's scenes are lit, in the mean
    usual_weight: float = 0.001  # of the usual light, against all of the photo
    skin_weight: float = 2.0  # of a pixel of skin, against one of cloth, which may have a print
    fewest: int = 30  # pixels of a part, at half the size, that say something
    far: float = 0.25  # from where on a pixel's error counts less: creases, prints
    least: float = 0.02  # linear brightness: what is darker is noise
    # How much of the logarithm cloth shows: it creases and hangs where bodies are round. On 1,203 pieces of clothes of
    # photographed people none of it misses by .2350, half by .2288, this by .2279 (`benchmarks/limb_shading.py`).
    cloth: float = 0.7
    most: tuple[float, float] = (0.5, 1.35)  # how much darker or brighter cloth becomes, as screens show it


CHOSEN = Thresholds()
_SKIN = (ID["face"], *segmentation.ARMS, *segmentation.LEGS)
_CLOTH = tuple(ID[name] for name in ("upper-clothes", "skirt", "pants", "dress"))
_ROUNDS = 6
_DARKEST = 1e-3  # of a brightness: there is a logarithm of it


def light_of(
    image: np.ndarray, labels: np.ndarray, shading: np.ndarray, shown: np.ndarray, chosen: Thresholds = CHOSEN
) -> np.ndarray:
    """The light [5] in which a photo shows a person.

    Each of the person's parts has a colour of its own, and all one light; found in turns, with least squares of
    non-negative lights. Args: shown: bool [H, W], what of the picture is the photo's own.
    """
    small = shading.shape[1::-1]
    bright = cv2.resize(np.float32(image), small, interpolation=cv2.INTER_AREA) ** GAMMA @ _LUMA
    inside = labels[::2, ::2] * shown[::2, ::2]
    usual, parts = np.float64(chosen.usual), []
    for label in (*_SKIN, *_CLOTH):
        mask = cv2.erode(np.uint8(inside == label), np.ones((3, 3), np.uint8)) > 0
        mask &= bright > chosen.least
        if mask.sum() >= chosen.fewest:
            weight = chosen.skin_weight if label in _SKIN else 1.0
            parts.append((np.float64(shading[mask]), np.log(bright[mask]), weight))
    light = usual.copy()
    for _ in range(_ROUNDS if parts else 0):
        rows, goals, count = [], [], 0.0
        for fields, logs, weight in parts:
            now = np.maximum(fields @ light, _DARKEST)
            off = logs - np.log(now)
            off -= np.median(off)
            trust = weight / np.maximum(1, np.abs(off) / chosen.far)
            root = np.sqrt(trust)[:, None]
            rows.append(root * fields / now[:, None])
            goals.append(root[:, 0] * np.exp(np.clip(off, -1, 1)))
            count += trust.sum()
        tied = np.sqrt(chosen.usual_weight * count) * np.eye(len(usual)) / usual.mean()
        light = scipy.optimize.nnls(np.concatenate([*rows, tied]), np.concatenate([*goals, tied @ usual]))[0]
    return np.float32(light)


def brightness(shading: np.ndarray, light: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How bright a white surface is, float32 [H, W], linear. Beyond the outline, where nobody knows, it goes on."""
    beyond, lit = labels[::2, ::2] == 0, np.float32(np.maximum(shading @ light, _DARKEST))
    if beyond.all():
        return np.ones(labels.shape, np.float32)
    lit = segmentation.fill_from_nearest(lit, beyond)
    return cv2.resize(lit, labels.shape[::-1], interpolation=cv2.INTER_LINEAR)


def as_worn(bright: np.ndarray, garment: np.ndarray, chosen: Thresholds = CHOSEN) -> np.ndarray:
    """How much brighter or darker each pixel of evenly lit cloth becomes on a body, float32 [H, W], as screens show it;
    in the mean nothing changes.

    Args: bright: see `brightness`. garment: float [H, W], how much of each pixel is such cloth.
    """
    total = np.sum(garment)
    if total < 1:
        return np.ones_like(bright)
    factor = bright / (np.sum(bright * garment) / total)
    return np.clip(factor ** (chosen.cloth / GAMMA), *chosen.most).astype(np.float32)
