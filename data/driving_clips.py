"""Clips of real people for FirstOrder: python data/build.py clips --source=DIR --data_dir=DIR --region=face

A source is a folder of clips, at any depth: video files, and folders of frames (as VoxCeleb, TED, taichi and UBC
Fashion are handed on). Each is decoded, cropped to the face or the body of whoever it shows by one square for the whole
clip, and kept as windows of frames that lie a while apart, see `vton_jax.inputs.clips`. A file for each clip, so that
no clip is in two splits; several clips of one person may be. Finished clips are not read again.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Literal

import numpy as np

from data.clips import frame_files
from vton_jax.core.errors import NoPersonFound, UserError
from vton_jax.core.files import replacing, require_writable, writing
from vton_jax.core.options import option
from vton_jax.inputs import clips
from vton_jax.media import photo_files, video_files
from vton_jax.media.files import MediaError
from vton_jax.systems.first_order import cropping

_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v")
_FRAMES_RATE = 25.0  # of folders of frames
_MAX_SIDE = 640
_LEAST = 2  # frames of a clip


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is kept of each clip."""

    region: Literal["face", "body"] = option("face", "What the clips are cropped to.")
    windows: int = option(4, "Windows of frames that are kept of a clip, evenly spaced.", lower_bound=1)


def find(source: Path) -> list[Path]:
    """The clips of a folder, at any depth, in the order of their names. Raises: UserError where there are none."""
    source = Path(source).expanduser()
    if not source.is_dir():
        raise UserError(f"There is no folder {source}.")
    found = {path for path in source.rglob("*") if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")}
    found |= {folder for folder in source.rglob("*") if folder.is_dir() and len(frame_files(folder)) >= _LEAST}
    if not found:
        raise UserError(f"{source} holds no clips: neither video files nor folders of frames.")
    return sorted(found)


def read(clip: Path) -> tuple[np.ndarray, float]:
    """A clip's frames [T, H, W, 3] and its frames a second."""
    if clip.is_dir():
        frames = [photo_files.read_photo(path, _MAX_SIDE) for path in frame_files(clip)]
        return np.stack([frame for frame in frames if frame.shape == frames[0].shape]), _FRAMES_RATE
    frames, rate = video_files.read_video(clip, max_side=_MAX_SIDE, strict=False)
    return frames, float(rate)


def windows(count: int, rate: float, settings: Settings) -> np.ndarray:
    """The numbers [K, T] of the frames that are kept of `count`; a short clip gives one window of what there is."""
    step = max(1, round(clips.BETWEEN * rate))
    span = step * (clips.NUM_FRAMES - 1)
    if count <= span:
        return np.linspace(0, count - 1, clips.NUM_FRAMES).round().astype(int)[None]
    firsts = np.unique(np.linspace(0, count - 1 - span, settings.windows).round().astype(int))
    return firsts[:, None] + step * np.arange(clips.NUM_FRAMES)


def build(source: str | Path, data_dir: str | Path, settings: Settings, reader=None) -> int:
    """Writes a file for each clip; how many there are. Raises: UserError where there is none, or none can be used."""
    from vton_jax.reading.picture_reader import PictureReader

    found, folder = find(Path(source)), Path(data_dir).expanduser()
    require_writable(folder / "0000.npz")
    reader, written = reader or PictureReader(), 0
    for number, clip in enumerate(found):
        path = folder / f"{number:04d}.npz"
        if not path.exists():
            try:
                frames, rate = read(clip)
                box = cropping.find_in_clip(reader, frames, settings.region)
            except (MediaError, NoPersonFound) as error:
                print(f"{clip} is left out: {error}", file=sys.stderr)
                continue
            chosen = windows(len(frames), rate, settings)
            kept = np.stack([[cropping.crop(frames[index], box) for index in row] for row in chosen])
            with replacing(path) as temporary, writing(path):
                np.savez(temporary, frames=kept)
        written += 1
    if not written:
        raise UserError(f"No clip of {source} can be used.")
    return written
