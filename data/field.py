"""What the builders of the field's datasets share: features, the files of a layout, pairs, and the builder itself.

Conventions: an example is one line of a pair list: a person, the garment the person wears (`paired`) or should wear,
and, where a dataset has it, another picture of the same person in the same clothes (`source`). Photos are stored as
they are (JPEG or PNG), label maps as PNG in ATR's table; keypoints are COCO-18 in pixels. What a dataset lacks has the
value that already means "missing": labels all `segmentation.UNKNOWN`, joints not visible, an absent picture one white
pixel with the name ''. `paired` is True where the picture of the person is the truth for the garment; unpaired lists
are splits of their own, `test_unpaired`.
"""

import abc
import dataclasses
import functools
import hashlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from data import formats
from vton_jax.core import keypoints, listings, segmentation
from vton_jax.core.errors import UserError
from vton_jax.media import photo_files


@dataclasses.dataclass(frozen=True)
class Settings:
    """Nothing to choose; datasets made from clips have `clips.Settings`."""


@dataclasses.dataclass(frozen=True)
class Files:
    """Where one kind of file lies: the first of `patterns` that exists counts.

    Patterns are relative to the source; {split} is train or test, {folder} the pair's folder, {name} the name in the
    pair list without its extension.
    """

    what: str
    of: str  # "person" or "garment"
    patterns: tuple[str, ...]

    def path(self, source: Path, split: str, folder: str, name: str) -> Path | None:
        places = {"split": split.split("_")[0], "folder": folder, "name": name}
        return next((path for p in self.patterns if (path := source / p.format(**places)).is_file()), None)


@dataclasses.dataclass(frozen=True)
class Pair:
    """A line of a pair list. Names are those of the lists without extension; '' where there is none."""

    person: str
    garment: str = ""
    source: str = ""
    paired: bool = True
    garment_type: str = "upper"
    folder: str = ""
    person_id: str = ""  # whoever or whatever may not be in two splits
    garment_id: str = ""

    @property
    def key(self) -> str:
        return " ".join((self.folder, self.person, self.source, self.garment))


@dataclasses.dataclass
class Person:
    """A picture of a person; `labels` uint8 [H, W] or None, points [18, 2] with visible [18]."""

    picture: formats.Picture
    labels: np.ndarray | None = None
    points: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((keypoints.NUM_JOINTS, 2), np.float32))
    visible: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(keypoints.NUM_JOINTS, bool))


class Source(abc.ABC):
    """A dataset's folder. Subclasses say where files lie (`FILES`), which pairs there are, and what is different."""

    FILES: tuple[Files, ...] = ()
    LISTS: tuple[str, ...] = ()  # the files that name the pairs
    EXPECTED: dict[str, int] = {}  # noqa: RUF012  (pairs a split when the dataset is whole)
    LIST_MEND = "copy it from the dataset's own archive"

    def __init__(self, folder: str | Path, settings=None):
        self.folder, self.settings = Path(folder).expanduser(), settings
        if not self.folder.is_dir():
            raise UserError(f"There is no folder {self.folder}; give --source=DIR, where the dataset lies.")

    @abc.abstractmethod
    def pairs(self) -> dict[str, list[Pair]]:
        """The pairs of each split; splits without any may be left out. Raises UserError where nothing can be paired."""

    def path(self, what: str, split: str, pair: Pair, name: str) -> Path | None:
        """Where a kind of file lies; None where there is none."""
        for files in self.FILES:
            if files.what == what and (path := files.path(self.folder, split, pair.folder, name)):
                return path
        return None

    def table(self, path: Path) -> np.ndarray:
        """The table of the label map at `path`: id there -> label here. Sources whose FILES have label maps say it."""
        raise TypeError(f"{type(self).__name__} has label maps such as {path.name}, but no table of their labels.")

    def complete(self, split: str, pair: Pair) -> bool:
        """Whether the photos of a pair are there."""
        wanted = (("person photo", pair.person), ("person photo", pair.source), ("garment photo", pair.garment))
        return all(self.path(what, split, pair, name) for what, name in wanted if name)

    def person(self, split: str, pair: Pair, name: str) -> Person:
        """Reads a person of a complete pair by name. Raises UserError for a damaged file."""
        person = Person(formats.read_picture(self.path("person photo", split, pair, name)))
        if labels := self.path("label map", split, pair, name):
            person.labels = formats.read_labels(labels, self.table(labels), person.picture.size)
        if points := self.path("keypoints", split, pair, name):
            person.points, person.visible = self.read_keypoints(points, person.picture.size)
        return person

    def read_keypoints(self, path: Path, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Points [18, 2] and visible [18] from the dataset's own format, in a photo of `size`."""
        del size
        return formats.read_openpose(path)

    def garment(self, split: str, pair: Pair) -> tuple[formats.Picture, np.ndarray]:
        """The garment's photo and its mask (bool [H, W]) of a complete pair."""
        photo = self.path("garment photo", split, pair, pair.garment)
        picture = formats.read_picture(photo)
        if mask := self.path("garment mask", split, pair, pair.garment):
            return picture, formats.read_mask(mask, picture.size)
        pixels, own = photo_files.read_cut_out(photo)
        return picture, formats.mask_on_white(pixels) if own is None else own

    def how(self) -> str:
        """What else than the folder decides what the dataset becomes."""
        return repr(self.settings)

    def fingerprint(self) -> str:
        """A digest of all names and sizes, and of what the lists say. Contents of photos are not read."""
        digest = hashlib.sha256(self.how().encode())
        for path in listings.files_in(self.folder, "**/*"):
            digest.update(f"{path.relative_to(self.folder)} {path.stat().st_size}\n".encode())
            if path.suffix in (".txt", ".csv", ".lst", ".jsonl"):
                digest.update(path.read_bytes())
        return digest.hexdigest()


class ShopSource(Source):
    """Photos of people and of garments by name, in `train` and `test`, with `train_pairs.txt` and `test_pairs.txt`.

    The lists of these datasets pair anyone with anything. Here a `paired` example is always a person with the own
    garment (`own`), whatever the list says; the pairs of the test list are the split `test_unpaired`.
    """

    LISTS = ("train_pairs.txt", "test_pairs.txt")

    @abc.abstractmethod
    def own(self, person: str) -> str:
        """The name of the garment that a person wears."""

    def pairs(self) -> dict[str, list[Pair]]:
        found = {}
        for split, name in zip(("train", "test"), self.LISTS, strict=True):
            path = self.folder / name
            if not path.is_file():
                continue
            listed = formats.read_pairs(path)
            people = dict.fromkeys(person for person, _ in listed)
            found[split] = [self._pair(p, self.own(p)) for p in people]
            if split == "test":
                found["test_unpaired"] = [self._pair(p, g) for p, g in dict.fromkeys(listed) if g != self.own(p)]
        if not found:
            raise UserError(f"{self.folder} has neither {self.LISTS[0]} nor {self.LISTS[1]}; {self.LIST_MEND}.")
        return found

    def _pair(self, person: str, garment: str) -> Pair:
        return Pair(person, garment, paired=garment == self.own(person), person_id=person, garment_id=garment)


class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Prepares one of the field's datasets; a subclass names its `SOURCE`."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {  # noqa: RUF012  (TFDS's way)
        "2.0.0": "A whole outfit is of the garment type `outfit`; `dress` is one piece.",
        "1.0.0": "First version.",
    }
    SOURCE: type[Source]

    def __init__(self, *, source: str | Path | None = None, settings=None, **kwargs):
        self.source, self.settings = source, settings
        super().__init__(**kwargs)

    @classmethod
    def fingerprint(cls, source: str | Path, settings) -> str:
        """A digest of what the dataset would be made from; kept in its metadata."""
        return f"{cls.SOURCE(source, settings).fingerprint()[:16]}-{cls.VERSION}"

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(features=features(), metadata=tfds.core.MetadataDict())

    def _split_generators(self, dl_manager):
        del dl_manager  # nothing is downloaded
        if self.source is None:
            raise UserError(f"{self.name} is made from a folder: give --source=DIR.")
        source = self.SOURCE(self.source, self.settings)
        self.info.metadata["fingerprint"] = self.fingerprint(self.source, self.settings)
        splits = {}
        for split, pairs in source.pairs().items():
            ready = [pair for pair in pairs if source.complete(split, pair)]
            if len(ready) < len(pairs):
                print(f"{split}: {len(pairs) - len(ready)} of {len(pairs)} pairs are left out, since a photo is "
                      f"missing; python data/build.py doctor --dataset={self.name} --source={self.source} names them.",
                      file=sys.stderr)  # fmt: skip
            if ready:
                splits[split] = self._generate_examples(source, split, ready)
        if not splits:
            raise UserError(f"{self.source} gives no example of {self.name}: python data/build.py doctor "
                            f"--dataset={self.name} --source={self.source} says what is missing.")  # fmt: skip
        return splits

    def _generate_examples(self, source: Source, split: str, pairs: list[Pair]) -> Iterator[tuple[str, dict]]:
        for pair in pairs:
            yield pair.key, example(source, split, pair)


def features() -> tfds.features.FeaturesDict:
    """The features that all of the field's datasets have."""
    photo = functools.partial(tfds.features.Image, shape=(None, None, 3))
    labels = functools.partial(tfds.features.Image, shape=(None, None, 1), encoding_format="png")
    listed = {"garment_image": photo(), "garment_mask": labels(), "paired": tfds.features.Scalar(np.bool_)}
    listed["garment_type"] = tfds.features.ClassLabel(names=list(segmentation.GARMENT_TYPES))
    for prefix in ("", "source_"):
        listed |= {
            f"{prefix}image": photo(),
            f"{prefix}segmentation": labels(),
            f"{prefix}keypoints": tfds.features.Tensor(shape=(keypoints.NUM_JOINTS, 2), dtype=np.float32),
            f"{prefix}visible": tfds.features.Tensor(shape=(keypoints.NUM_JOINTS,), dtype=np.bool_),
        }
    texts = ("person", "source", "garment", "person_id", "garment_id")
    return tfds.features.FeaturesDict(listed | {name: tfds.features.Text() for name in texts})


def example(source: Source, split: str, pair: Pair) -> dict:
    """The features of a pair whose photos are there."""
    white = formats.Picture(formats.encode(np.full((1, 1, 3), 255, np.uint8)), (1, 1))
    given = source.garment(split, pair) if pair.garment else (white, np.zeros((1, 1), bool))
    values = {
        "garment_image": io.BytesIO(given[0].encoded),
        "garment_mask": io.BytesIO(formats.encode(given[1].astype(np.uint8))),
        "garment_type": pair.garment_type,
        "paired": pair.paired,
    }
    values |= {name: getattr(pair, name) for name in ("person", "source", "garment", "person_id", "garment_id")}
    for prefix, name in (("", pair.person), ("source_", pair.source)):
        person = source.person(split, pair, name) if name else Person(white)
        labels = person.labels
        if labels is None:
            labels = np.full(person.picture.size, segmentation.UNKNOWN, np.uint8)
        values |= {
            f"{prefix}image": io.BytesIO(person.picture.encoded),
            f"{prefix}segmentation": io.BytesIO(formats.encode(labels)),
            f"{prefix}keypoints": np.where(person.visible[:, None], person.points, 0).astype(np.float32),
            f"{prefix}visible": person.visible,
        }
    return values
