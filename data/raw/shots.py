"""Decoding a video and finding its shots, in memory that does not grow with its length.

Conventions: a frame's number counts from 0 in the order of decoding. A shot is a half-open range of frame numbers.
"""

import dataclasses
from pathlib import Path

import numpy as np

from vton_jax.media import video_files
from vton_jax.media.files import MediaError
from vton_jax.reading import clip_following


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
            colours = clip_following.colours(frame)
            changes.append(0.0 if before is None else clip_following.change(before, colours))
            before, total = colours, total + 1
    except MediaError as error:
        if not kept:
            raise
        problem = str(error)
    numbers = np.array([number for number, _ in kept], np.int32)
    bounds = _bounds(clip_following.cuts(np.array(changes)), total)
    shots = np.searchsorted([first for first, _ in bounds], numbers, side="right") - 1
    return Decoded(np.stack([f for _, f in kept]), numbers, shots.astype(np.int32), bounds, total, problem)


def _bounds(starts: list[int], total: int) -> tuple[tuple[int, int], ...]:
    return tuple(zip([0, *starts], [*starts, total], strict=True))
