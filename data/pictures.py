"""Files of pictures that ReaderCNN learns from: python data/build.py pictures --kind=KIND --source=DIR --data_dir=DIR

A file DATA_DIR/KIND.npz, as `vton_jax.inputs.pictures` reads it, for each of

  people      labelled photos of Clothing Co-Parsing (--source), joints by --pose_model, MediaPipe's landmarks
  unlabelled  its other photos, with labels by the released ReaderCNN
  chosen_by   its photos whose number ends in 1, from which nothing learns and by which one may choose
  cut_outs    garments cut out of `people`'s photos (--source=DIR/people.npz), on white
  garments    flat photos SOURCE/TYPE/*.jpg of known types; a mask where one stands out clearly
  nothing     places without people (--source, as data/build.py grounds makes them), and tables

Photos of Clothing Co-Parsing whose number ends in 1 or 3 teach nothing.
"""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from vton_jax.core import framing, keypoints, listings, segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.options import option
from vton_jax.inputs import pictures
from vton_jax.media import photo_files
from vton_jax.media.progress import Progress
from vton_jax.models.reader_cnn import KINDS, SLEEVES, TYPES

CANVAS = (384, 288)  # (height, width) of photos: half as much again as the network's 256, for close views
_GARMENT = (256, 256)  # of flat photos
# What the types of flat photos are: the type of garment, and its sleeves where all have the same.
FLAT = {
    "t-shirt": ("upper", "short"), "longsleeve": ("upper", "long"), "shirt": ("upper", None),
    "outwear": ("upper", None), "dress": ("dress", None), "skirt": ("lower", None), "pants": ("lower", None),
    "shorts": ("lower", None),
}  # fmt: skip
_CLEAR = (0.9, 0.95)  # of a contour: the part that stands out, and the part that is not the photo's border
_LEAST_AREA = 0.1  # of a photo that a mask covers to be believed


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is made; the command's flags."""

    kind: str = option("", "What the file holds: people, unlabelled, chosen_by, cut_outs, garments, nothing.")
    pose_model: str = option("", "TFLite file of MediaPipe's pose landmarks, for Clothing Co-Parsing.")


def _picture(image: np.ndarray, labels: np.ndarray, kind: str, **facts) -> dict:
    names = {"garment_type": TYPES, "sleeves": SLEEVES}
    facts = {name: names[name].index(value) if name in names and isinstance(value, str) else value
             for name, value in facts.items() if value is not None}  # fmt: skip
    return pictures.NOTHING_KNOWN | {"image": image, "segmentation": labels, "kind": KINDS.index(kind)} | facts


def _fitting(image: np.ndarray, canvas: tuple[int, int] = CANVAS) -> tuple[int, int]:
    """The size at which a picture fills the canvas."""
    scale = min(canvas[0] / image.shape[0], canvas[1] / image.shape[1])
    return tuple(max(1, min(side, round(of * scale))) for side, of in zip(canvas, image.shape, strict=False))


# ----------------------------------------------------------------------------------------------- Clothing Co-Parsing


class _Photos:
    """Photos of Clothing Co-Parsing with what MediaPipe sees in them."""

    def __init__(self, source: Path, settings: Settings):
        from data.catalogue import stances
        from data.ccp import ccp

        if not settings.pose_model:
            raise UserError("Give --pose_model=FILE, MediaPipe's pose landmarks.")
        self.photos = ccp.Source(source, ccp.Settings(settings.pose_model))
        self.space = stances.InSpace(settings.pose_model)

    def all(self, split: str, ends: tuple[str, ...]) -> Iterator[dict]:
        """The pictures of a split whose number ends so."""
        pairs = [pair for pair in self.photos.pairs()[split] if pair.person.endswith(ends)]
        return _counted((self.person(split, pair) for pair in pairs), len(pairs))

    def person(self, split: str, pair) -> dict:
        """The picture at the canvas' size; labels UNKNOWN where there are none."""
        found = self.photos.person(split, pair, pair.person)
        image = photo_files.read_photo(self.photos.path("person photo", split, pair, pair.person))
        size = _fitting(image)
        labels = np.full(size, segmentation.UNKNOWN, np.uint8)
        if found.labels is not None:
            labels = framing.resize(np.asarray(found.labels), size, nearest=True)
        points = keypoints.scale(np.asarray(found.points), image.shape[:2], size)
        visible = np.asarray(found.visible)
        return _picture(
            framing.resize(image, size), labels, "person", keypoints=points, known=visible, seen=visible,
            facing=facing(*self.space.in_space(image)),
        )  # fmt: skip


def facing(points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(sin, cos) of the trunk's turn to the picture's right, from MediaPipe's landmarks in space [33, 3] with
    visibility [33]; (0, 0) where shoulders and hips are not seen.
    """
    trunk = [11, 12, 23, 24]  # left and right shoulder, left and right hip
    if seen[trunk].min() < 0.5:
        return np.zeros(2, np.float32)
    across = (points[11] - points[12]) + (points[23] - points[24])  # to the person's left
    turn = np.array([across[2], across[0]])  # z leads away from the camera: turning right brings the left side there
    return (turn / max(float(np.linalg.norm(turn)), 1e-6)).astype(np.float32)


_LEARNED = tuple("02456789")


def people(source: Path, settings: Settings) -> Iterator[dict]:
    """Labelled photos."""
    return _Photos(source, settings).all("train", _LEARNED)


def chosen_by(source: Path, settings: Settings) -> Iterator[dict]:
    """Labelled photos that are kept for choosing."""
    return _Photos(source, settings).all("train", ("1",))


def unlabelled(source: Path, settings: Settings) -> Iterator[dict]:
    """Photos with labels by the released ReaderCNN (self-training)."""
    from vton_jax.reading.picture_reader import PictureReader

    parser = PictureReader()
    for picture in _Photos(source, settings).all("train_unlabelled", _LEARNED):
        yield picture | {"segmentation": parser.parse(picture["image"][None])[0][0]}


def cut_outs(source: Path, settings: Settings) -> Iterator[dict]:
    """Garments of labelled photos, alone on white or a pale colour: the largest piece of each kind, holes closed."""
    del settings
    generator = np.random.default_rng(0)
    types = {"upper-clothes": "upper", "dress": "dress", "skirt": "lower", "pants": "lower"}
    photos = pictures.read(source)
    for number in _counted(iter(range(len(photos["kind"]))), len(photos["kind"])):
        picture = {name: array[number] for name, array in photos.items()}
        height, width = picture["shown"]
        picture |= {name: picture[name][:height, :width] for name in ("image", "segmentation")}
        for name, garment_type in types.items():
            mask = (picture["segmentation"] == segmentation.ID[name]).astype(np.uint8)
            if mask.mean() < 0.03:
                continue
            _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask)
            mask = (pieces == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8)
            mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
            yield _alone(picture, mask, segmentation.ID[name], garment_type, generator)


def _alone(picture: dict, mask: np.ndarray, label: int, garment_type: str, generator: np.random.Generator) -> dict:
    left, top, width, height = cv2.boundingRect(mask)
    low = np.maximum([left - 12, top - 12], 0)
    high = np.minimum([left + width + 12, top + height + 12], mask.shape[::-1])
    cut = np.s_[low[1] : high[1], low[0] : high[0]]
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)[cut][..., None]
    colour = np.full(3, 255.0) if generator.random() < 0.7 else generator.uniform(200, 256, 3)
    image = np.round(soft * picture["image"][cut] + (1 - soft) * colour).astype(np.uint8)
    points = picture["keypoints"] - low
    near = cv2.dilate(mask, np.ones((9, 9), np.uint8))
    x, y = np.clip(np.rint(picture["keypoints"]).astype(int), 0, np.array(mask.shape[::-1]) - 1).T
    known = picture["known"] & (near[y, x] > 0)
    labels = np.where(mask[cut] > 0, np.uint8(label), np.uint8(0))
    return _picture(image, labels, "garment", garment_type=garment_type, keypoints=points.astype(np.float32),
                    known=known, seen=known)  # fmt: skip


# --------------------------------------------------------------------------------------------------- garments, nothing


def garments(source: Path, settings: Settings) -> Iterator[dict]:
    """Flat photos of known types."""
    del settings
    paths = [path for name in FLAT for path in listings.files_in(source / name, "*.jpg")]
    if not paths:
        raise UserError(f"{source} holds no photos as TYPE/*.jpg, TYPE being {', '.join(FLAT)}.")
    for path in _counted(iter(paths), len(paths)):
        garment_type, sleeves = FLAT[path.parent.name]
        image = photo_files.read_photo(path)
        image = framing.resize(image, _fitting(image, _GARMENT))
        yield _picture(image, _clear_mask(image, path.parent.name), "garment", garment_type=garment_type,
                       sleeves=sleeves)  # fmt: skip


def _clear_mask(image: np.ndarray, photo_type: str) -> np.ndarray:
    """Labels of a flat photo, all UNKNOWN where the garment does not stand out."""
    from vton_jax.catalogue import garment_outlines, garment_photos

    unknown = np.full(image.shape[:2], segmentation.UNKNOWN, np.uint8)
    try:
        mask = garment_outlines.garment_mask(image)
        clear, within = garment_photos.edge_contrast(image, garment_outlines.contour_of(mask))
    except (ValueError, cv2.error):
        return unknown
    if clear < _CLEAR[0] or within < _CLEAR[1] or mask.mean() < _LEAST_AREA:
        return unknown
    name = {"dress": "dress", "skirt": "skirt", "pants": "pants", "shorts": "pants"}.get(photo_type, "upper-clothes")
    return np.where(mask > 0, np.uint8(segmentation.ID[name]), np.uint8(0))


def nothing(source: Path, settings: Settings) -> Iterator[dict]:
    """Places without people, and tables on which nothing lies."""
    from vton_jax.catalogue import flat_photos

    del settings
    generator = np.random.default_rng(0)
    paths = [path for path in listings.files_in(source, "*.jpg") if path.stem.endswith(_LEARNED)]
    if not paths:
        raise UserError(f"{source} holds no pictures of places; make them with python data/build.py grounds.")
    for path in _counted(iter(paths), len(paths)):
        image = photo_files.read_photo(path)
        yield _empty(framing.resize(image, _fitting(image)))
        if generator.random() < 0.4:
            kind = flat_photos.GROUNDS[generator.integers(len(flat_photos.GROUNDS))]
            yield _empty(np.round(255 * flat_photos.ground(generator, kind, (256, 192))).astype(np.uint8))


def _empty(image: np.ndarray) -> dict:
    return _picture(image, np.zeros(image.shape[:2], np.uint8), "none")


# --------------------------------------------------------------------------------------------------------------- a file

MAKERS = {maker.__name__: maker for maker in (people, unlabelled, chosen_by, cut_outs, garments, nothing)}


def _counted(found: Iterator, count: int) -> Iterator:
    progress = Progress(count, unit="pictures")
    for number, one in enumerate(found, start=1):
        yield one
        progress.advance(number)
    progress.close()


def build(source: str, data_dir: str, settings: Settings) -> Path:
    """Makes the file of one kind. Raises: UserError for an unknown kind and what it cannot be made from."""
    kind = settings.kind
    if kind not in MAKERS:
        raise UserError(f"--kind={kind} is none of {', '.join(MAKERS)}.")
    path = Path(data_dir).expanduser() / f"{kind}.npz"
    canvas = _GARMENT if kind == "garments" else CANVAS
    arrays = pictures.packed(MAKERS[kind](Path(source).expanduser(), settings), canvas)
    pictures.write(path, arrays)
    print(f"{path}: {len(arrays['kind'])} pictures", file=sys.stderr)
    return path
