"""Proves that no person, garment or near-duplicate picture is in two parts of a prepared dataset.

Conventions: see `vton_jax.splits` for parts, `data.near_duplicates` for what resembles what. People and garments are
told apart by the ids that an example carries; where a dataset knows none, only the pictures can speak. Garments of raw
videos have ids within a person alone (`data.raw.outfits`): those that look alike on two people in two parts are
suspected, which is no proof, as many clothes look alike.
"""

import dataclasses
import hashlib
import itertools
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data import near_duplicates
from data.raw import outfits
from vton_jax.inputs import splits

# What is compared: pictures of people, and of garments on white. The dress alone is cut out of the donor's picture.
_PEOPLE = ("image", "source_image", "input_image", "donor_image", "output_image")
_GARMENTS = ("garment_image",)
_PERSON_IDS = ("person_id", "person")  # the first that an example has
_WORN = (("input", "input_garments"), ("donor", "donor_garments"))  # whose pictures show which of them
_LOOKS = 4  # pictures of a garment that are looked at
_GARMENT_IDS = ("garment_id", "input_garments", "donor_garments")  # ids apart by spaces


@dataclasses.dataclass
class Part:
    """What is met in a part: ids with the example that shows them first, and the pictures."""

    people: dict[str, str] = dataclasses.field(default_factory=dict)
    garments: dict[str, str] = dataclasses.field(default_factory=dict)
    names: list[str] = dataclasses.field(default_factory=list)
    pictures: dict[str, dict[bytes, tuple[str, near_duplicates.Look]]] = dataclasses.field(
        default_factory=lambda: {"person": {}, "garment": {}}
    )  # kind -> digest of the file -> (name of the example, look)
    raw_garments: dict[str, list[np.ndarray]] = dataclasses.field(default_factory=dict)  # id -> colours [216] each time


@dataclasses.dataclass(frozen=True)
class Report:
    """The hash of each split and of all, and a sentence for everything that is, or may be, in two parts."""

    hashes: dict[str, str]
    problems: list[str]
    pictures: int
    suspected: list[str]

    @property
    def hash(self) -> str:
        return splits.split_hash(f"{split} {digest}" for split, digest in self.hashes.items())


def _text(features: dict, names: tuple[str, ...]) -> list[str]:
    return [features[name].decode() for name in names if features.get(name)]


def read_parts(folder: Path) -> tuple[dict[str, Part], dict[str, str]]:
    """The parts of a prepared dataset, and the hash of each split."""
    import tensorflow_datasets as tfds

    parts, hashes = {}, {}
    for split in tfds.builder_from_directory(str(folder)).info.splits:
        part = parts.setdefault(splits.part_of(split), Part())
        source, images = splits.read_undecoded(folder, split)
        names = []
        for features in tqdm(source, desc=split, unit=" examples", leave=False, disable=None):
            name = splits.example_name({n: v for n, v in features.items() if n not in images})
            shown = f"{split}: {name}"
            names.append(name)
            for person in _text(features, _PERSON_IDS)[:1]:
                part.people.setdefault(person, shown)
            for garment in itertools.chain(*(text.split() for text in _text(features, _GARMENT_IDS))):
                part.garments.setdefault(garment, shown)
            _add_raw_garments(part.raw_garments, features)
            for kind, known in (("person", _PEOPLE), ("garment", _GARMENTS)):
                for image in known:
                    if image in features:
                        _add_picture(part.pictures[kind], features[image], f"{shown} ({image})")
        part.names += names
        hashes[split] = splits.split_hash(names)
    return parts, hashes


def _add_picture(pictures: dict, encoded: bytes, shown: str) -> None:
    digest = hashlib.sha256(encoded).digest()
    if digest in pictures:
        return
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    if image.shape[:2] != (1, 1):  # an absent picture is one pixel
        pictures[digest] = shown, near_duplicates.look(image[..., ::-1])


def _add_raw_garments(known: dict[str, list[np.ndarray]], features: dict) -> None:
    """What garments look like that have ids within a person."""
    for prefix, ids in _WORN:
        for garment in features.get(ids, b"").decode().split():
            piece = garment.partition("-")[0]
            if not garment.startswith(f"{piece}-{outfits.name_in_ids(features['person'].decode())}-"):
                continue
            mine = known.setdefault(garment, [])
            if len(mine) == _LOOKS:
                continue
            encoded = (features[f"{prefix}_{what}"] for what in ("image", "segmentation"))
            image, labels = (cv2.imdecode(np.frombuffer(e, np.uint8), cv2.IMREAD_UNCHANGED) for e in encoded)
            colours = outfits.describe(image[None, ..., ::-1], labels[None])[outfits.PIECES.index(piece)]
            if colours.any():
                mine.append(colours)


def suspected(one: Part, other: Part, between: str) -> list[str]:
    """A sentence for each two garments of raw videos that look alike in two parts."""
    found = []
    mine, its = ({g: np.mean(seen, 0) for g, seen in part.raw_garments.items() if seen} for part in (one, other))
    for (a, x), (b, y) in itertools.product(sorted(mine.items()), sorted(its.items())):
        if a.partition("-")[0] == b.partition("-")[0] and (apart := outfits.distance(x, y)) < outfits.SAME:
            found.append(f"suspected: garments in {between} look alike ({100 * apart:.0f}% of the colours differ): "
                         f"{a}, {one.garments[a]} / {b}, {other.garments[b]}")  # fmt: skip
    return found


def check(folder: str | Path) -> Report:
    """Looks at every example of a prepared dataset."""
    parts, hashes = read_parts(Path(folder))
    problems, maybe = [], []
    for (name, one), (other_name, other) in itertools.combinations(parts.items(), 2):
        between = f"{name} and {other_name}"
        maybe += suspected(one, other, between)
        for what in ("people", "garments"):
            mine, theirs = getattr(one, what), getattr(other, what)
            kind = {"people": "person", "garments": "garment"}[what]
            problems += [f"{kind} {i} is in {between}: {mine[i]} / {theirs[i]}" for i in sorted(mine.keys() & theirs)]
        for kind in ("person", "garment"):
            mine, theirs = list(one.pictures[kind].values()), list(other.pictures[kind].values())
            found = near_duplicates.resembling([p[1] for p in mine], [p[1] for p in theirs])
            problems += [f"pictures in {between} resemble each other{', mirrored' if mirrored else ''} (edges "
                         f"{correlation:.2f}, {apart} of 255 bits differ): {mine[i][0]} / {theirs[j][0]}"
                         for i, j, apart, correlation, mirrored in found]  # fmt: skip
    pictures = sum(len(p) for part in parts.values() for p in part.pictures.values())
    return Report(hashes, problems, pictures, maybe)
