"""Decoding a video and finding its shots, in memory that does not grow with its length.

Conventions: a frame's number counts from 0 in the order of decoding. A shot is a half-open range of frame numbers.
"""

import dataclasses
from pathlib import Path

import cv2
import numpy as np

from vton_jax.media import video_files
from vton_jax.media.files import MediaError

_THUMBNAIL, _BINS = (64, 48), 8
# A cut is where the colours change (a fraction of the pixels), and change more than in the motion around it. Within
# nine real clips and twenty mannequin videos of 4 frames a second the fraction stays below 0.08; at twelve cuts that
# were made between mannequin videos it was 0.09 (one) to 0.96.
_CHANGE, _STANDS_OUT = 0.1, 1.8


@dataclasses.dataclass(frozen=True)
class Decoded:
    """Evenly spaced frames of a video.

    `frames` uint8 [N, H, W, 3], `numbers` int32 [N], `shots` int32 [N] (which shot a frame is of); `bounds` has each
    shot's (first, end); `total` frames were decoded; `problem` says what is wrong with the file, '' if nothing.
    """

    frames: np.ndarray
    numbers: np.ndarray
    shots: np.ndarray
    bounds: tuple[tuple[int, int], ...]
    total: int
    problem: str


def decode(path: str | Path, rate: float, max_frames: int, max_side: int = 1024) -> Decoded:
    """Reads a video once, keeping about `rate` frames a second and at most `max_frames`, evenly spaced.

    A file that breaks off gives what could be decoded, and `problem`. Raises MediaError where nothing can be.
    """
    step = max(1, round(float(video_files.video_info(path).frame_rate) / rate))
    kept, changes, before, total, problem = [], [], None, 0, ""
    try:
        for frame in video_files.iterate_video(path, max_side):
            if total % step == 0:
                kept.append((total, frame))
                if len(kept) > max_frames:  # a long video: every other one will do
                    kept, step = kept[::2], 2 * step
            colours = _colours(frame)
            changes.append(0.0 if before is None else float(np.abs(colours - before).sum() / 2))
            before, total = colours, total + 1
    except MediaError as error:
        if not kept:
            raise
        problem = str(error)
    numbers = np.array([number for number, _ in kept], np.int32)
    bounds = _bounds(cuts(np.array(changes)), total)
    shots = np.searchsorted([first for first, _ in bounds], numbers, side="right") - 1
    return Decoded(np.stack([f for _, f in kept]), numbers, shots.astype(np.int32), bounds, total, problem)


def _colours(frame: np.ndarray) -> np.ndarray:
    """The fractions of the colours in a frame: a histogram, which knows nothing of where things are."""
    small = cv2.resize(frame, _THUMBNAIL[::-1], interpolation=cv2.INTER_AREA)
    counts = cv2.calcHist([small], [0, 1, 2], None, [_BINS] * 3, [0, 256] * 3)
    return counts.ravel() / counts.sum()


def cuts(changes: np.ndarray) -> list[int]:
    """The numbers of frames that begin a new shot; `changes` [T] is each frame's difference from the one before."""
    found = []
    for i in range(1, len(changes)):
        around = np.concatenate([changes[max(i - 3, 1) : i], changes[i + 1 : i + 4]])
        if changes[i] > _CHANGE and changes[i] > _STANDS_OUT * (around.max() if len(around) else 0):
            found.append(i)
    return found


def _bounds(starts: list[int], total: int) -> tuple[tuple[int, int], ...]:
    return tuple(zip([0, *starts], [*starts, total], strict=True))
