"""UBC Fashion (Zablotskaia et al. 2019) as a TFDS builder. Conventions: see `data.field` and `data.clips`.

Each clip shows one person in one outfit: there are no garment photos, pairs are paired, and labels are missing. Points
come from `CLIP_dwpose.npz` beside a clip, where it is there.
"""

from pathlib import Path

from data import clips, field
from vton_jax.core import listings
from vton_jax.core.errors import UserError

Settings = clips.Settings
# Where the clips of a split lie: the original, FOMM, GFLA, DreamPose.
PLACES = ("{split}", "{split}_256/train_A", "{split}-frames")


class Source(clips.ClipSource):
    """`train/` and `test/` with clips or folders of frames; clips that lie in the source itself are `test`."""

    FILES = (field.Files("person photo", "person", ()),)
    EXPECTED = {"train": 500 * 7, "test": 100 * 7}  # noqa: RUF012

    def _folders(self, split: str) -> list[Path]:
        folders = [self.folder / place.format(split=split) for place in PLACES]
        return folders + [self.folder] if split == "test" else folders

    def clip(self, split: str, folder: str, name: str) -> Path | None:
        del folder
        for place in self._folders(split):
            for path in (place / f"{name}.mp4", place / name):
                if path.is_file() or (place != self.folder and path.is_dir()):
                    return path
        return None

    def pairs(self) -> dict[str, list[field.Pair]]:
        found = {}
        for split in ("train", "test"):
            for place in self._folders(split):
                names = [path.stem for path in listings.files_in(place, "*.mp4")]
                if place != self.folder and place.is_dir():
                    below = [path for path in place.iterdir() if path.is_dir() and not listings.hidden(path)]
                    names += sorted(path.name for path in below if clips.frame_files(path))
                for name in names:
                    found.setdefault(split, []).extend(self.clip_pairs(split, "", name, garment_type="outfit"))
        if not found:
            raise UserError(f"{self.folder} has no clips: train/*.mp4 and test/*.mp4, or folders of frames there.")
        return found


class Builder(field.Builder):
    """Prepares UBC Fashion."""

    SOURCE = Source
