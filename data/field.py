"""What the builders of the field's datasets share: features, the files of a layout, pairs, and readers of formats.

Alphabet: an example is one line of a pair list: a person, the garment the person wears (`paired`) or should wear, and,
where a dataset has it, another picture of the same person in the same clothes (`source`). Photos are stored as they
are (JPEG or PNG), label maps as PNG in ATR's table; keypoints are COCO-18 in pixels. What a dataset lacks has the value
that already means "missing": labels all `segmentation.UNKNOWN`, joints not visible, an absent picture one white pixel
with the name ''. `paired` is True where the picture of the person is the truth for the garment; unpaired lists are
splits of their own, `test_unpaired`.
"""

import dataclasses
import functools
import hashlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from vton_jax import keypoints, media, segmentation
from vton_jax.errors import UserError

VIDEO_QUALITY = 95  # JPEG quality of frames taken from clips; their own compression is coarser


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
class Picture:
    """An encoded photo and its (height, width)."""

    encoded: bytes
    size: tuple[int, int]


@dataclasses.dataclass
class Person:
    """A picture of a person; `labels` uint8 [H, W] or None, points [18, 2] with visible [18]."""

    picture: Picture
    labels: np.ndarray | None = None
    points: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((keypoints.NUM_JOINTS, 2), np.float32))
    visible: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(keypoints.NUM_JOINTS, bool))


class Source:
    """A dataset's folder. Subclasses say where files lie (`FILES`), which pairs there are, and what is different."""

    FILES: tuple[Files, ...] = ()
    LISTS: tuple[str, ...] = ()  # the files that name the pairs
    EXPECTED: dict[str, int] = {}  # noqa: RUF012  (pairs a split when the dataset is whole)
    LIST_MEND = "copy it from the dataset's own archive"

    def __init__(self, folder: str | Path, settings=None):
        self.folder, self.settings = Path(folder).expanduser(), settings
        if not self.folder.is_dir():
            raise UserError(f"There is no folder {self.folder}; give --source=DIR, where the dataset lies.")

    def pairs(self) -> dict[str, list[Pair]]:
        """The pairs of each split; splits without any may be left out. Raises UserError where nothing can be paired."""
        raise NotImplementedError

    def path(self, what: str, split: str, pair: Pair, name: str) -> Path | None:
        """Where a kind of file lies; None where there is none."""
        for files in self.FILES:
            if files.what == what and (path := files.path(self.folder, split, pair.folder, name)):
                return path
        return None

    def table(self, path: Path) -> np.ndarray:
        """The table of the label map at `path`: id there -> label here."""
        raise NotImplementedError

    def complete(self, split: str, pair: Pair) -> bool:
        """Whether the photos of a pair are there."""
        wanted = (("person photo", pair.person), ("person photo", pair.source), ("garment photo", pair.garment))
        return all(self.path(what, split, pair, name) for what, name in wanted if name)

    def person(self, split: str, pair: Pair, name: str) -> Person:
        """Reads a person of a complete pair by name. Raises UserError for a damaged file."""
        person = Person(read_picture(self.path("person photo", split, pair, name)))
        if labels := self.path("label map", split, pair, name):
            person.labels = read_labels(labels, self.table(labels), person.picture.size)
        if points := self.path("keypoints", split, pair, name):
            person.points, person.visible = self.read_keypoints(points, person.picture.size)
        return person

    def read_keypoints(self, path: Path, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Points [18, 2] and visible [18] from the dataset's own format, in a photo of `size`."""
        del size
        return read_openpose(path)

    def garment(self, split: str, pair: Pair) -> tuple[Picture, np.ndarray]:
        """The garment's photo and its mask (bool [H, W]) of a complete pair."""
        photo = self.path("garment photo", split, pair, pair.garment)
        picture = read_picture(photo)
        if mask := self.path("garment mask", split, pair, pair.garment):
            return picture, read_mask(mask, picture.size)
        return picture, mask_on_white(media.read_photo(photo))

    def how(self) -> str:
        """What else than the folder decides what the dataset becomes."""
        return repr(self.settings)

    def fingerprint(self) -> str:
        """A digest of all names and sizes, and of what the lists say. Contents of photos are not read."""
        digest = hashlib.sha256(self.how().encode())
        for path in sorted(path for path in self.folder.rglob("*") if path.is_file()):
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

    def own(self, person: str) -> str:
        """The name of the garment that a person wears."""
        raise NotImplementedError

    def pairs(self) -> dict[str, list[Pair]]:
        found = {}
        for split, name in zip(("train", "test"), self.LISTS, strict=True):
            path = self.folder / name
            if not path.is_file():
                continue
            listed = read_pairs(path)
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

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}  # noqa: RUF012  (TFDS's way)
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
    white = Picture(encode(np.full((1, 1, 3), 255, np.uint8)), (1, 1))
    given = source.garment(split, pair) if pair.garment else (white, np.zeros((1, 1), bool))
    values = {
        "garment_image": io.BytesIO(given[0].encoded),
        "garment_mask": io.BytesIO(encode(given[1].astype(np.uint8))),
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
            f"{prefix}segmentation": io.BytesIO(encode(labels)),
            f"{prefix}keypoints": np.where(person.visible[:, None], person.points, 0).astype(np.float32),
            f"{prefix}visible": person.visible,
        }
    return values


# --- files -----------------------------------------------------------------------------------------------------------


def encode(image: np.ndarray, extension: str = ".png") -> bytes:
    """uint8 RGB [H, W, 3] or [H, W] as encoded bytes: TFDS would encode an array with TensorFlow."""
    options = [cv2.IMWRITE_JPEG_QUALITY, VIDEO_QUALITY] if extension == ".jpg" else []
    _, encoded = cv2.imencode(extension, image[..., ::-1] if image.ndim == 3 else image, options)
    return encoded.tobytes()


def read_picture(path: Path) -> Picture:
    """A photo as it is in its file, where that is upright RGB in JPEG or PNG; else as PNG. Raises UserError."""
    pixels = media.read_photo(path)
    with Image.open(path) as image:
        plain = image.format in ("JPEG", "PNG") and image.mode == "RGB" and image.size == pixels.shape[1::-1]
        plain = plain and image.getexif().get(0x0112, 1) == 1 and "transparency" not in image.info
    return Picture(path.read_bytes() if plain else encode(pixels), pixels.shape[:2])


def read_ids(path: Path) -> np.ndarray:
    """The ids [H, W] of a label map: grey or indexed PNG, or one in the colours of LIP. Raises UserError."""
    if path.suffix == ".mat":
        import scipy.io

        try:
            return np.asarray(scipy.io.loadmat(path)["groundtruth"], np.uint8)
        except Exception as error:  # scipy raises all sorts on broken files
            raise UserError(f"{path} holds no label map ({error}); copy it again.") from None
    try:
        with Image.open(path) as image:
            if image.format == "JPEG":
                raise UserError(f"{path} is a JPEG, which does not keep label ids; get the PNG of the dataset.")
            pixels = np.array(image if image.mode in ("L", "P") else image.convert("RGB"))
    except OSError as error:
        raise UserError(f"{path} is no picture that can be read ({error}); copy it again.") from None
    if pixels.ndim == 2:
        return pixels
    code = pixels.astype(np.int32) @ (65536, 256, 1)
    colours = segmentation.LIP_PALETTE.astype(np.int32) @ (65536, 256, 1)
    order = np.argsort(colours)
    place = order[np.minimum(np.searchsorted(colours, code, sorter=order), len(order) - 1)]
    if not (colours[place] == code).all():
        raise UserError(f"{path} is a picture in colours, but not LIP's; give label ids as grey or indexed PNG.")
    return place.astype(np.uint8)


def read_labels(path: Path, table: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A label map as ATR labels uint8 [H, W]. UserError where it is not of the photo's `size` or has unknown ids."""
    ids = read_ids(path)
    if ids.shape != tuple(size):
        raise UserError(f"{path} is {ids.shape[1]}x{ids.shape[0]}, its photo {size[1]}x{size[0]}; "
                        "get the two from one release.")  # fmt: skip
    if ids.max() >= len(table):
        raise UserError(f"{path} has the label {ids.max()}, but the dataset's table ends at {len(table) - 1}; "
                        "it is a label map of another kind.")  # fmt: skip
    return table[ids]


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """A garment's mask, bool [H, W]: what is at least half bright. UserError where it is not of the photo's `size`."""
    mask = media.read_photo(path)[..., 0] >= 128
    if mask.shape != tuple(size):
        raise UserError(f"{path} is {mask.shape[1]}x{mask.shape[0]}, its garment {size[1]}x{size[0]}; "
                        "get the two from one release.")  # fmt: skip
    return mask


def mask_on_white(image: np.ndarray, tolerance: int = 4) -> np.ndarray:
    """Mask of a garment photographed on white, bool [H, W]: all but what joins the border in small steps of colour."""
    height, width = image.shape[:2]
    padded = cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    filled = np.zeros((height + 4, width + 4), np.uint8)
    cv2.floodFill(padded, filled, (0, 0), 0, (tolerance,) * 3, (tolerance,) * 3, 4 | cv2.FLOODFILL_MASK_ONLY)
    return filled[2:-2, 2:-2] == 0


def joints(points: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, 2] and confidence [N] in OpenPose's order, COCO-18, 19 or BODY_25 -> [18, 2] and visible [18].

    A joint without confidence is missing. Raises ValueError for another number.
    """
    if len(points) == 25:  # BODY_25 has the middle of the hips at 8
        points, confidence = np.delete(points, 8, 0), np.delete(confidence, 8, 0)
    elif len(points) not in (18, 19):
        raise ValueError(f"{len(points)} joints are neither COCO-18 nor BODY_25")
    points, confidence = np.asarray(points[:18], np.float32), np.asarray(confidence[:18])
    visible = confidence > 0
    return np.where(visible[:, None], points, np.float32(0)), visible


def read_openpose(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The first person in an OpenPose file; nobody in it means that all joints are missing. Raises UserError."""
    try:
        people = json.loads(path.read_text())["people"]
        if not people:
            return np.zeros((18, 2), np.float32), np.zeros(18, bool)
        flat = people[0].get("pose_keypoints_2d") or people[0]["pose_keypoints"]
        values = np.array(flat, np.float32).reshape(-1, 3)
        return joints(values[:, :2], values[:, 2])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} holds no OpenPose keypoints ({error}); copy it again.") from None


def read_lines(path: Path, read: Callable[[str], object]) -> list:
    """`read` of every line that is not empty. UserError with the number of the line where it raises ValueError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}); copy it again.") from None
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(read(line))
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"{path}, line {number}, is not as it should be: {line[:80]!r} ({error}).") from None
    return found


def read_pairs(path: Path) -> list[tuple[str, str]]:
    """(person, garment) of each line `000003_0.jpg 000003_1.jpg`, without extensions; a third column is passed over."""

    def read(line: str) -> tuple[str, str]:
        parts = line.split()
        if len(parts) not in (2, 3):
            raise ValueError("a line is: person garment")
        return Path(parts[0]).stem, Path(parts[1]).stem

    return read_lines(path, read)
