"""DeepFashion's In-shop photos with the pose-transfer pairs (Zhu et al. 2019) as a TFDS builder.

Conventions: see `data.field`. A pair is two photos of one person in the same clothes: `source` is the list's `from`,
the person its `to`. There is no garment photo and no label map.
"""

import functools
import json
import re
from pathlib import Path, PurePosixPath

import numpy as np

from data import field, formats
from vton_jax.core import keypoints, listings
from vton_jax.core.errors import UserError

Settings = field.Settings
SPLITS = ("train", "test")
_KEYPOINT_SIZE = (256, 176)  # (height, width) that the annotations are given in


def renamed(path: str) -> str:
    """The name in the lists of a photo of the original tree.

    `fashion/WOMEN/Tees_Tanks/id_00000042/01_1_front.jpg` -> `fashionWOMENTees_Tanksid0000004201_1front.jpg`: `_` goes
    from the id folder and after the view number, the category keeps its own. Raises ValueError for another form.
    """
    *folders, item, photo = PurePosixPath(path).parts
    match = re.fullmatch(r"(\d+_\d+)_(\w+\.jpg)", photo)
    if len(folders) < 2 or not item.startswith("id_") or match is None:
        raise ValueError(f"{path} is not GENDER/CATEGORY/id_NUMBER/VIEW.jpg")
    return "".join(("fashion", *folders[-2:], item.replace("_", ""), match[1], match[2]))


def item_of(name: str) -> str:
    """The item that a renamed photo shows: all but the view. People wear one item in all photos of it."""
    match = re.match(r"fashion(.+?id\d{8})", name)
    return match[1] if match else name


class Source(field.Source):
    """`train/` and `test/` with renamed photos, or the original tree, beside the lists and annotations."""

    FILES = (field.Files("person photo", "person", ("{split}/{name}.jpg", "{split}/{name}.png")),)
    LISTS = tuple(f"fasion-{kind}{what}-{split}.csv" for split in SPLITS for what in ("pairs", "annotation")
                  for kind in ("", "resize-"))  # fmt: skip
    EXPECTED = {"train": 101966, "test": 8570}  # noqa: RUF012

    def pairs(self) -> dict[str, list[field.Pair]]:
        found = {}
        for split in SPLITS:
            if path := self._list("pairs", split):
                rows = listings.read_table(path)
                if not rows or not {"from", "to"} <= rows[0].keys():
                    raise UserError(f"{path} should have the columns from and to; {self.LIST_MEND}.")
                found[split] = [
                    field.Pair(Path(row["to"]).stem, source=Path(row["from"]).stem, garment_type="outfit",
                               garment_id=item_of(row["to"])) for row in rows
                ]  # fmt: skip
                if crossed := [p for p in found[split] if item_of(p.source) != item_of(p.person)]:
                    raise UserError(f"{path} pairs {crossed[0].source} with {crossed[0].person}, which is another "
                                    f"item; {self.LIST_MEND}.")  # fmt: skip
        if not found:
            raise UserError(f"{self.folder} has no fasion-pairs-train.csv (it is spelt so); {self.LIST_MEND}.")
        return found

    def _list(self, what: str, split: str) -> Path | None:
        places = (self.folder / f"fasion-{kind}{what}-{split}.csv" for kind in ("", "resize-"))
        return next((path for path in places if path.is_file()), None)

    def path(self, what: str, split: str, pair: field.Pair, name: str) -> Path | None:
        if what != "person photo":
            return None
        return super().path(what, split, pair, name) or self._original.get(f"{name}.jpg")

    @functools.cached_property
    def _original(self) -> dict[str, Path]:
        """Photos of the original tree by their name in the lists."""
        found = {}
        for path in listings.files_in(self.folder, "**/id_*/*.jpg"):
            try:
                found[renamed(path.relative_to(self.folder).as_posix())] = path
            except ValueError:
                continue
        return found

    @functools.cached_property
    def _annotations(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Points and visible, as they are annotated, by the photo's name without extension."""

        def read(line: str):
            name, y, x = line.split(":")
            if name == "name":  # the header
                return "", None
            return Path(name).stem, np.array([json.loads(x), json.loads(y)], np.float32).T

        found = {}
        for split in SPLITS:
            if path := self._list("annotation", split):
                found |= dict(listings.read_lines(path, read))
        return {name: formats.joints(points, (points >= 0).all(-1)) for name, points in found.items()
                if name}  # fmt: skip

    def person(self, split: str, pair: field.Pair, name: str) -> field.Person:
        person = super().person(split, pair, name)
        if name in self._annotations:
            points, person.visible = self._annotations[name]
            person.points = place(points, person.picture.size)
        return person


def place(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Annotated points [18, 2] in a photo of `size`: a resized crop of 256x176, or a square that holds it centred."""
    height, width = size
    crop = (height, height * _KEYPOINT_SIZE[1] / _KEYPOINT_SIZE[0])
    if abs(width - crop[1]) < 0.1 * crop[1]:
        return keypoints.scale(points, _KEYPOINT_SIZE, size)
    return keypoints.scale(points, _KEYPOINT_SIZE, crop) + np.array([(width - crop[1]) / 2, 0], np.float32)


class Builder(field.Builder):
    """Prepares DeepFashion."""

    SOURCE = Source
