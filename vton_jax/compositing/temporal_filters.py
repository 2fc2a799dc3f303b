"""Temporal filters for result clips. Frames are float [T, H, W, 3] in [0, 1]; what comes back has the same shape.

`gaussian` averages neighbouring frames where they stand: it calms flicker and leaves ghosts of moving edges. `motion`
moves what it has seen so far along the optical flow to the next frame (DIS flow, OpenCV) and trusts it only where the
two frames then agree, and no further than the colours around, so that moving edges stay single.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import cv2
import numpy as np

FILTERS = ("none", "gaussian", "motion")
WINDOW, AHEAD = 48, 16  # frames that `stream` filters at a time, and that it looks at beyond them
_KEEP, _TOLERANCE, _LEEWAY = 0.9, 0.35, 0.04  # of `motion`


def _weights(radius: int) -> np.ndarray:
    offsets = np.arange(-radius, radius + 1)
    return np.exp(-0.5 * np.square(offsets / max(radius / 1.5, 1e-6)))


def gaussian(frames: np.ndarray, radius: int = 2) -> np.ndarray:
    """A plain Gaussian average over `radius` frames to either side; the clip's ends repeat."""
    weights = _weights(radius)
    count = len(frames)
    out = np.zeros_like(frames)
    for weight, offset in zip(weights / weights.sum(), range(-radius, radius + 1), strict=True):
        out += weight * frames[np.clip(np.arange(count) + offset, 0, count - 1)]
    return out


def optical_flow(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The backward flow [H, W, 2] by which the source frame shows the target frame; frames float [H, W, 3]."""
    grey = [cv2.cvtColor(np.round(f * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY) for f in (target, source)]
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(grey[0], grey[1], None)


def moved(source: np.ndarray, flow: np.ndarray, *, nearest: bool = False) -> np.ndarray:
    """The source frame warped by a backward flow: float, or of labels (`nearest`) the label that is nearest."""
    height, width = flow.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    place = (x + flow[..., 0], y + flow[..., 1])
    if nearest:
        return cv2.remap(source, *place, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return cv2.remap(source.astype(np.float32), *place, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def motion(
    frames: np.ndarray, keep: float = _KEEP, tolerance: float = _TOLERANCE, leeway: float = _LEEWAY
) -> np.ndarray:
    """A recursive average that follows the motion, run forwards and backwards, so that it lags neither way.

    Each frame is mixed with the filtered one before it, moved onto it, whose weight is `keep` where the unfiltered two
    agree: times exp(-(difference / tolerance)²). What is mixed in is first brought within the range of the frame's own
    3x3 pixels there, and `leeway` beyond it: this is what keeps ghosts away (Karis, "High-quality temporal
    supersampling", SIGGRAPH 2014 courses).
    """
    frames = np.asarray(frames, np.float32)
    there, back = (_recursive(f, keep, tolerance, leeway) for f in (frames, frames[::-1]))
    return np.clip((there + back[::-1]) / 2, 0, 1)


def _recursive(frames: np.ndarray, keep: float, tolerance: float, leeway: float) -> np.ndarray:
    out = [frames[0]]
    for before, frame in itertools.pairwise(frames):
        out.append(step(before, out[-1], frame, keep=keep, tolerance=tolerance, leeway=leeway))
    return np.stack(out)


def step(
    before: np.ndarray,
    filtered: np.ndarray,
    frame: np.ndarray,
    *,
    keep: float = _KEEP,
    tolerance: float = _TOLERANCE,
    leeway: float = _LEEWAY,
) -> np.ndarray:
    """One step of `motion` forwards, for frames that are shown as they come: [H, W, 3], not clipped.

    Args: before, filtered: the frame before, as it came and as this step gave it back.
    """
    flow, window = optical_flow(before, frame), np.ones((3, 3), np.uint8)
    difference = np.abs(moved(before, flow) - frame).mean(-1, keepdims=True)
    weight = keep * np.exp(-np.square(difference / tolerance))
    seen = np.clip(moved(filtered, flow), cv2.erode(frame, window) - leeway, cv2.dilate(frame, window) + leeway)
    return (1 - weight) * frame + weight * seen


def apply(name: str, frames: np.ndarray) -> np.ndarray:
    """The filter `name` of `FILTERS`. Raises: ValueError for another name."""
    if name not in FILTERS:
        raise ValueError(f"temporal filter {name!r} is none of {', '.join(FILTERS)}")
    if name == "none" or len(frames) < 2:
        return frames
    return {"gaussian": gaussian, "motion": motion}[name](frames)


def stream(name: str, items: Iterable, image_of: Callable[[Any], np.ndarray]) -> Iterator[tuple[Any, np.ndarray]]:
    """The filter on a clip of any length: (item, its filtered image) for every item, whose frame `image_of` it is.

    A clip of fewer than `WINDOW` + `AHEAD` frames is filtered as `apply` does it. In a longer one a window's frames
    know `AHEAD` frames to either side of it: what `motion` would bring from farther away weighs less than a fifth.
    Raises: ValueError for another name.
    """
    if name == "none":
        yield from ((item, image_of(item)) for item in items)
        return
    items, held, past = iter(items), [], []
    while True:
        held += itertools.islice(items, WINDOW + AHEAD - len(held))
        if not held:
            return
        done = WINDOW if len(held) == WINDOW + AHEAD else len(held)
        images = [*past, *map(image_of, held)]
        filtered = apply(name, np.stack(images))[len(past) :]
        yield from zip(held[:done], filtered[:done], strict=True)
        past, held = images[: len(past) + done][-AHEAD:], held[done:]


def flicker(frames: np.ndarray) -> float:
    """Mean absolute difference between each frame and the one before it moved onto it, motion compensated."""
    found = [np.abs(moved(a, optical_flow(a, b)) - b).mean() for a, b in itertools.pairwise(frames)]
    return float(np.mean(found)) if found else 0.0
