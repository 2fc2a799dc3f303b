"""Dress Code (Morelli et al. 2022) as a TFDS builder. Conventions: see `data.field`."""

import json
from pathlib import Path

import numpy as np

from data import field, formats
from vton_jax.core import keypoints, segmentation
from vton_jax.core.errors import UserError

Settings = field.Settings
CATEGORIES = {"upper_body": "upper", "lower_body": "lower", "dresses": "dress"}
LIST_OF = {"train": "train_pairs.txt", "test": "test_pairs_paired.txt", "test_unpaired": "test_pairs_unpaired.txt"}
_KEYPOINT_SIZE = (512, 384)  # (height, width) that the keypoints are given in, whatever the photo's size


class Source(field.Source):
    """A folder a category: `ID_0.jpg` a person, `ID_1.jpg` the garment; paired and unpaired test lists are apart."""

    FILES = (
        field.Files("person photo", "person", ("{folder}/images/{name}_0.jpg",)),
        field.Files("label map", "person", ("{folder}/label_maps/{name}_4.png",)),
        field.Files("keypoints", "person", ("{folder}/keypoints/{name}_2.json",)),
        field.Files("garment photo", "garment", ("{folder}/images/{name}_1.jpg",)),
        field.Files("garment mask", "garment", ("{folder}/cloth_mask/{name}_1.png",)),  # of repackaged copies
    )
    LISTS = tuple(f"{category}/{name}" for category in CATEGORIES for name in LIST_OF.values())
    EXPECTED = {"train": 48392, "test": 5400}  # noqa: RUF012

    def pairs(self) -> dict[str, list[field.Pair]]:
        found = {split: [] for split in LIST_OF}
        for category, kind in CATEGORIES.items():
            for split, name in LIST_OF.items():
                path = self.folder / category / name
                if not path.is_file():
                    continue
                for listed_person, listed_garment in dict.fromkeys(formats.read_pairs(path)):
                    person, garment = listed_person.removesuffix("_0"), listed_garment.removesuffix("_1")
                    paired = split != "test_unpaired"
                    if (person == garment) != paired:
                        kinds = ("a pair", "no pair") if person == garment else ("no pair", "a pair")
                        raise UserError(f"{path} lists {listed_person} with {listed_garment}, which is {kinds[0]} "
                                        f"where each line should be {kinds[1]}; {self.LIST_MEND}.")  # fmt: skip
                    ids = {"person_id": f"{category}/{person}", "garment_id": f"{category}/{garment}"}
                    pair = field.Pair(person, garment, paired=paired, garment_type=kind, folder=category, **ids)
                    found[split].append(pair)
        if not any(found.values()):
            raise UserError(f"{self.folder} has no pair list, such as {self.LISTS[0]}; {self.LIST_MEND}.")
        return found

    def table(self, path: Path) -> np.ndarray:
        return np.arange(segmentation.NUM_LABELS, dtype=np.uint8)  # ATR's own

    def read_keypoints(self, path: Path, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        try:
            values = np.array(json.loads(path.read_text())["keypoints"], np.float32).reshape(-1, 4)
            points, visible = formats.joints(values[:, :2], (values[:, :2] > 1).all(-1))  # what lacks is -1 or 0
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} holds no Dress Code keypoints ({error}); copy it again.") from None
        return keypoints.scale(points, _KEYPOINT_SIZE, size), visible


class Builder(field.Builder):
    """Prepares Dress Code."""

    SOURCE = Source
