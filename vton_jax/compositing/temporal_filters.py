"""Temporal filters for result clips. Frames are float [T, H, W, 3] in [0, 1]; what comes back has the same shape.

`gaussian` averages neighbouring frames where they stand: it calms flicker and leaves ghosts of moving edges. `motion`
moves what it has seen so far along the optical flow to the next frame (DIS flow, OpenCV) and trusts it only where the
two frames then agree, and no further than the colours around, so that moving edges stay single.
"""

import collections
import dataclasses
import functools
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import cv2
import numpy as np

FILTERS = ("none", "gaussian", "motion")
WINDOW, AHEAD = 48, 16  # frames that `stream` filters at a time, and that it looks at beyond them
_KEEP, _TOLERANCE, _LEEWAY = 0.9, 0.35, 0.04  # of `motion`
_REFINEMENTS = 2  # of its flow: on six drawn walks SSIM and flicker are as with five (docs/performance.md)


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
    return _flow(_grey(source), _grey(target))


def _grey(frame: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.round(frame * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)


def _flow(source: np.ndarray, target: np.ndarray, refinements: int = 5) -> np.ndarray:
    """`optical_flow` of grey frames uint8 [H, W]. Args: refinements: iterations at the end of each scale."""
    return _searcher(refinements, threading.get_ident()).calc(target, source, None)


@functools.lru_cache(maxsize=32)
def _searcher(refinements: int, thread: int) -> cv2.DISOpticalFlow:
    """A search of a thread's own: it keeps its buffers, which take a millisecond to make."""
    found = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found.setVariationalRefinementIterations(refinements)
    return found


def moved(source: np.ndarray, flow: np.ndarray, *, nearest: bool = False) -> np.ndarray:
    """The source frame warped by a backward flow: float, or of labels (`nearest`) the label that is nearest."""
    x, y = _pixels(flow.shape[:2])
    place = (x + flow[..., 0], y + flow[..., 1])
    if nearest:
        return cv2.remap(source, *place, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return cv2.remap(source.astype(np.float32), *place, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


@functools.lru_cache(maxsize=8)
def _pixels(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The places (x, y) of a frame's pixels, float32 [H, W] each."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    return x, y


@dataclasses.dataclass(frozen=True)
class _Frame:
    """A frame as it came, and in grey, as every step of `motion` from and to it asks for it."""

    image: np.ndarray  # float32 [H, W, 3]
    grey: np.ndarray  # uint8 [H, W]


def _frame(image: np.ndarray) -> _Frame:
    image = np.asarray(image, np.float32)
    return _Frame(image, _grey(image))


def motion(frames: np.ndarray) -> np.ndarray:
    """A recursive average that follows the motion, run forwards and backwards, so that it lags neither way.

    Each frame is mixed with the filtered one before it, moved onto it, whose weight is `_KEEP` where the unfiltered two
    agree: times exp(-(difference / `_TOLERANCE`)²). What is mixed in is first brought within the range of the frame's
    own 3x3 pixels there, and `_LEEWAY` beyond it: this is what keeps ghosts away (Karis, "High-quality temporal
    supersampling", SIGGRAPH 2014 courses).
    """
    return np.stack(list(_both_ways(map(_frame, frames), len(frames), 0)))


def _both_ways(frames: Iterable[_Frame], window: int, ahead: int) -> Iterator[np.ndarray]:
    """`motion` of any number of frames, which knows `ahead` frames beyond the `window` that it gives back at a time."""
    frames, held, flows, last = iter(frames), [], [], None
    while True:
        held += itertools.islice(frames, window + ahead - len(held))
        if not held:
            return
        flows += (step_flow(after.grey, frame.grey) for frame, after in itertools.pairwise(held[len(flows) :]))
        done = window if len(held) == window + ahead else len(held)
        there, back = [], [held[-1].image]
        for frame in held[:done]:
            last = frame, (frame.image if last is None else _step(*last, frame, step_flow(last[0].grey, frame.grey)))
            there.append(last[1])
        for (after, frame), flow in zip(itertools.pairwise(held[::-1]), reversed(flows), strict=True):
            back.append(_step(after, back[-1], frame, flow))
        yield from (np.clip((one + two) / 2, 0, 1) for one, two in zip(there, reversed(back), strict=False))
        held, flows = held[done:], flows[done:]


def step(before: np.ndarray, filtered: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """One step of `motion` forwards, for frames that are shown as they come: [H, W, 3], not clipped.

    Args: before, filtered: the frame before, as it came and as this step gave it back.
    """
    before, frame = _frame(before), _frame(frame)
    return _step(before, filtered, frame, step_flow(before.grey, frame.grey))


def step_flow(before: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """The flow of `motion`, by which a frame shows the next one; both grey, uint8 [H, W]."""
    return _flow(before, frame, _REFINEMENTS)


def _step(before: _Frame, filtered: np.ndarray, frame: _Frame, flow: np.ndarray) -> np.ndarray:
    difference = cv2.transform(cv2.absdiff(moved(before.image, flow), frame.image), np.full((1, 3), 1 / 3))[..., None]
    weight = _KEEP * np.exp(-np.square(difference / _TOLERANCE))
    low, high = (find(frame.image, np.ones((3, 3), np.uint8)) for find in (cv2.erode, cv2.dilate))
    seen = np.clip(moved(filtered, flow), low - _LEEWAY, high + _LEEWAY)
    return frame.image + weight * (seen - frame.image)


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
    know all before them, and `AHEAD` beyond it: what `motion` would bring from farther away weighs less than a fifth.
    Raises: ValueError for another name.
    """
    if name == "none":
        yield from ((item, image_of(item)) for item in items)
        return
    items, waiting, held, past = iter(items), collections.deque(), [], []
    if name == "motion":

        def frames() -> Iterator[_Frame]:
            for item in items:
                waiting.append(item)
                yield _frame(image_of(item))

        for image in _both_ways(frames(), WINDOW, AHEAD):
            yield waiting.popleft(), image
        return
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
