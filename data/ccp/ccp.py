"""Clothing Co-Parsing (Yang et al. 2014) as a TFDS builder. Conventions: see `data.field`.

Photos of people on the street: there are no garment photos and no pairs. Validation are the photos whose number ends in
3; what resembles one of them is left out of training, and said. Labels need a pose to tell face, arms, legs and the two
shoes apart: without `pose_model`, skin and footwear are UNKNOWN and no joint is visible.
"""

import dataclasses
import functools
import sys

import numpy as np

from data import field, formats, near_duplicates
from vton_jax import reading
from vton_jax.core import label_tables, listings
from vton_jax.core.errors import UserError
from vton_jax.media import photo_files
from vton_jax.reading import pose, skin


@dataclasses.dataclass(frozen=True)
class Settings:
    """`pose_model` is the file of MoveNet or of MediaPipe's pose landmarks (tflite); see docs/datasets.md."""

    pose_model: str = ""


class Source(field.Source):
    """`photos/NUMBER.jpg` with `labels/NUMBER.png`, or with the original `annotations/pixel-level/NUMBER.mat`."""

    FILES = (
        field.Files("person photo", "person", ("photos/{name}.jpg", "photos_unlabelled_w288/{name}.jpg")),
        field.Files("label map", "person", ("labels/{name}.png", "annotations/pixel-level/{name}.mat")),
    )
    EXPECTED = {"train": 901, "validation": 101, "train_unlabelled": 984}  # noqa: RUF012

    def pairs(self) -> dict[str, list[field.Pair]]:
        photos = listings.files_in(self.folder, "photos/*.jpg", "photos_unlabelled_w288/*.jpg")
        found = {"train": [], "validation": [], "train_unlabelled": []}
        for path in photos:
            pair = field.Pair(path.stem, garment_type="outfit", person_id=path.stem)
            labelled = self.path("label map", "", pair, path.stem) is not None
            if path.stem.endswith("3"):
                if labelled:
                    found["validation"].append(pair)
            elif path.stem not in self.resembling_validation:
                found["train" if labelled else "train_unlabelled"].append(pair)
        if not found["train"] and not found["validation"]:
            raise UserError(f"{self.folder} has no photos/NUMBER.jpg with labels/NUMBER.png or "
                            "annotations/pixel-level/NUMBER.mat; give the folder of Clothing Co-Parsing.")  # fmt: skip
        return found

    @functools.cached_property
    def resembling_validation(self) -> dict[str, str]:
        """Photos that show the scene of a validation photo, and which; they are in no split."""
        looks = {True: {}, False: {}}
        for files in self.FILES[0].patterns:
            for path in listings.files_in(self.folder, files.format(name="*")):
                looks[path.stem.endswith("3")][path.stem] = near_duplicates.look(
                    photo_files.read_photo(path, max_side=256)
                )
        held, free = list(looks[True]), list(looks[False])
        found = near_duplicates.resembling(list(looks[False].values()), list(looks[True].values()))
        named = {free[i]: held[j] for i, j, *_ in found}
        if named:
            listed = ", ".join(f"{photo} (as {like})" for photo, like in sorted(named.items()))
            print(f"left out, since they resemble photos of validation: {listed}", file=sys.stderr)
        return named

    def how(self) -> str:
        return self.estimator.name if self.estimator else ""

    def person(self, split: str, pair: field.Pair, name: str) -> field.Person:
        photo = self.path("person photo", split, pair, name)
        person = field.Person(formats.read_picture(photo))
        if self.estimator:
            points, confidence = self.estimator.estimate(photo_files.read_photo(photo)[None])
            points, visible = reading.visible_only(points, confidence, self.estimator.threshold)
            person.points, person.visible = points[0], visible[0]
        if path := self.path("label map", split, pair, name):
            everything = np.arange(len(label_tables.CCP_LABELS), dtype=np.uint8)
            ids = formats.read_labels(path, everything, person.picture.size)
            person.labels = skin.split(ids, person.points, person.visible)
        return person

    @functools.cached_property
    def estimator(self) -> reading.PoseEstimator | None:
        """MoveNet or MediaPipe by its file; None without one."""
        path = getattr(self.settings, "pose_model", "")
        if not path:
            return None
        try:
            return pose.MediaPipePose(path)
        except UserError:
            return pose.MoveNet(path)


class Builder(field.Builder):
    """Prepares Clothing Co-Parsing."""

    SOURCE = Source
