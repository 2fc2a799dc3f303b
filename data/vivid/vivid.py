"""ViViD (Fang et al. 2024) as a TFDS builder. Conventions: see `data.field` and `data.clips`.

The clips of a category lie beside its garments; labels and points are missing (DensePose is not read).
"""

import json
from pathlib import Path

from data import clips, field
from data.dress_code.dress_code import CATEGORIES
from vton_jax.core import listings
from vton_jax.core.errors import UserError

Settings = clips.Settings
TEST_LISTS = {"test": "test_data_180.jsonl", "test_unpaired": "test_data_180_unpaired.jsonl"}


class Source(clips.ClipSource):
    """`CATEGORY/{videos,images}` with the lists of the release, or the demo's `{videos,cloth,cloth_mask}`.

    The demo says of nothing what belongs to what: every clip is paired with every garment, as `test_unpaired`.
    """

    FILES = (
        field.Files("person photo", "person", ()),
        field.Files("garment photo", "garment", ("{folder}/images/{name}.jpg", "cloth/{name}.jpg")),
        field.Files("garment mask", "garment", ("{folder}/masks/{name}.png", "cloth_mask/{name}.jpg")),
    )
    LISTS = (*(f"{category}/train_data.jsonl" for category in CATEGORIES), *TEST_LISTS.values())

    def clip(self, split: str, folder: str, name: str) -> Path | None:
        path = self.folder / folder / "videos" / f"{name}.mp4"
        return path if path.is_file() else None

    def pairs(self) -> dict[str, list[field.Pair]]:
        found = {}
        for category in CATEGORIES:
            if (path := self.folder / category / "train_data.jsonl").is_file():
                found.setdefault("train", []).extend(self._listed(path, "train", category))
        for split, name in TEST_LISTS.items():
            if (path := self.folder / name).is_file():
                found[split] = self._listed(path, split, None)
        if not found and (self.folder / "videos").is_dir() and (self.folder / "cloth").is_dir():
            found["test_unpaired"] = self._demo()
        if not any(found.values()):
            raise UserError(f"{self.folder} has neither CATEGORY/train_data.jsonl nor {TEST_LISTS['test']}, nor the "
                            "demo's videos/ and cloth/; copy the lists from the dataset's archive.")  # fmt: skip
        return found

    def _listed(self, path: Path, split: str, category: str | None) -> list[field.Pair]:
        pairs = []
        for entry in listings.read_lines(path, json.loads):
            if entry.get("type", "video") != "video":
                continue
            try:
                folder, name = category or entry["subdir"], Path(entry["video"]).stem
                garment = Path(entry["image"]).stem
                kind = CATEGORIES[folder]
            except KeyError as error:
                raise UserError(f"{path} has an entry without a known {error}: {entry}.") from None
            paired = split != "test_unpaired"
            own = {"person_id": f"{folder}/{name}", "garment_id": f"{folder}/{garment}"}
            pairs += self.clip_pairs(split, folder, name, entry.get("front_seqs"), garment=garment, paired=paired,
                                     garment_type=kind, **own)  # fmt: skip
        return pairs

    def _demo(self) -> list[field.Pair]:
        garments = [path.stem for path in listings.files_in(self.folder / "cloth", "*.jpg")]
        pairs = []
        for clip in listings.files_in(self.folder / "videos", "*.mp4"):
            kind = next((kind for kind in CATEGORIES.values() if clip.stem.startswith(kind)), "upper")
            for garment in garments:
                pairs += self.clip_pairs("test_unpaired", "", clip.stem, garment=garment, paired=False,
                                         garment_type=kind, garment_id=garment)  # fmt: skip
        return pairs


class Builder(field.Builder):
    """Prepares ViViD."""

    SOURCE = Source
