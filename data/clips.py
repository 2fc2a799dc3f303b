"""What the datasets made of clips share: frames that are far apart in time, each paired with the clip's first one.

Conventions: as in `data.field`; a person's name is `CLIP:FRAME`, the frame counted from 0. A clip is a video file or a
folder of frames.
"""

import abc
import dataclasses
import functools
from pathlib import Path

import numpy as np

from data import field, formats
from vton_jax.core import listings
from vton_jax.core.errors import UserError
from vton_jax.media import video_files


@dataclasses.dataclass(frozen=True)
class Settings:
    """How many frames, evenly spaced, are taken from a clip; the first is the `source` of all others."""

    frames_per_video: int = 8


def frame_files(folder: Path) -> list[Path]:
    """The frames of a folder, in order."""
    return [path for path in listings.files_in(folder, "*.png", "*.jpg") if "_" not in path.stem]


def count_frames(clip: Path) -> int:
    if clip.is_dir():
        return len(frame_files(clip))
    return video_files.video_info(clip).num_frames or sum(1 for _ in video_files.iterate_video(clip, strict=False))


@functools.lru_cache(maxsize=2)
def _read(clip: Path, wanted: tuple[int, ...]) -> dict[int, formats.Picture]:
    """The wanted frames of a clip, encoded. UserError where the clip ends before them."""
    if clip.is_dir():
        files = frame_files(clip)
        return {index: formats.read_picture(files[index]) for index in wanted}
    found = {}
    for index, frame in enumerate(video_files.iterate_video(clip, max_side=4096, strict=False)):
        if index in wanted:
            found[index] = formats.Picture(formats.encode(frame, ".jpg"), frame.shape[:2])
        if index >= max(wanted):
            break
    if missing := set(wanted) - found.keys():
        raise UserError(f"{clip} breaks off before frame {min(missing)}; copy or download it again.")
    return found


class ClipSource(field.Source):
    """Clips found by `clip(split, folder, name)`."""

    @abc.abstractmethod
    def clip(self, split: str, folder: str, name: str) -> Path | None:
        """The video file or the folder of frames."""

    def chosen(self, clip: Path, within: list[tuple[int, int]] | None = None) -> list[int]:
        """Evenly spaced frames of a clip, of the frames in the closed ranges `within` where they are given."""
        frames = np.arange(count_frames(clip))
        if within:
            frames = frames[[any(first <= frame <= last for first, last in within) for frame in frames]]
        places = np.linspace(0, len(frames) - 1, min(self.settings.frames_per_video, len(frames))).round().astype(int)
        return [int(frames[place]) for place in places]

    def clip_pairs(self, split: str, folder: str, name: str, within=None, **about) -> list[field.Pair]:
        """Each chosen frame but the first, with the first as its source; `about` are further fields of the pairs.

        A clip that is missing gives one pair, which `complete` refuses.
        """
        clip = self.clip(split, folder, name)
        frames = self.chosen(clip, within) if clip else [0, 0]
        names = [f"{name}:{frame:05d}" for frame in frames]
        about = {"person_id": name, "garment_id": name} | about
        return [field.Pair(one, source=names[0], folder=folder, **about) for one in names[1:]]

    def path(self, what: str, split: str, pair: field.Pair, name: str) -> Path | None:
        if what == "person photo":
            return self.clip(split, pair.folder, name.rpartition(":")[0])
        return super().path(what, split, pair, name)

    def person(self, split: str, pair: field.Pair, name: str) -> field.Person:
        clip = self.path("person photo", split, pair, name)
        index = int(name.rpartition(":")[2])
        person = field.Person(_read(clip, self._wanted(clip, pair))[index])
        poses = clip.with_name(f"{clip.stem}_dwpose.npz")
        if poses.is_file():
            person.points, person.visible = read_dwpose(poses, index, person.picture.size)
        return person

    def _wanted(self, clip: Path, pair: field.Pair) -> tuple[int, ...]:
        """The frames of a clip that its pairs need: they are read at once."""
        needed = self._needed.get(clip)
        if needed is None:
            needed = {int(n.rpartition(":")[2]) for n in (pair.person, pair.source)}
        return tuple(sorted(needed))

    @functools.cached_property
    def _needed(self) -> dict[Path, set[int]]:
        needed = {}
        for split, pairs in self.pairs().items():
            for pair in pairs:
                if clip := self.path("person photo", split, pair, pair.person):
                    frames = {int(name.rpartition(":")[2]) for name in (pair.person, pair.source)}
                    needed.setdefault(clip, set()).update(frames)
        return needed


def read_dwpose(path: Path, frame: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Points [18, 2] in pixels and visible [18] of a frame; the file has them in fractions of the frame."""
    try:
        with np.load(path, allow_pickle=False) as file:
            body, valid = file["body"][frame], file["valid"][frame]
        return formats.joints(body * (size[1], size[0]) - 0.5, valid & (body > 0).all(-1))
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise UserError(f"{path} has no pose for frame {frame} ({error}); remove it or copy it again.") from None
