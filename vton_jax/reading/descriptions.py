"""What a picture shows, in words: what ReaderCNN says, put into a line or a JSON object.

Conventions: `Seen` as in `picture_reader`. `facing` names the side of the body that is turned to the camera: who is
turned to the picture's right shows the right side. A length says where something ends: an upper garment above the hips
(cropped), about them (hip) or below (long), a lower one or a dress above the knee (short), about it (knee) or below
(long). "" is what does not apply or cannot be seen.
"""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np

from vton_jax.core import keypoints, segmentation
from vton_jax.reading.picture_reader import Seen, tempered

FACINGS = ("front", "right", "back", "left")  # by quarters of a turn to the picture's right
_WORN = {
    "upper": (segmentation.ID["upper-clothes"],), "dress": segmentation.DRESS,
    "lower": (segmentation.ID["skirt"], segmentation.ID["pants"]),
}  # fmt: skip
_ENDS = {"upper": ("shoulder", "hip"), "lower": ("hip", "knee"), "dress": ("hip", "knee")}  # 0 and 1 of a length
_LENGTHS = {  # where the next class begins
    "upper": (("cropped", 0.8), ("hip", 1.45), ("long", math.inf)),
    "lower": (("short", 0.7), ("knee", 1.4), ("long", math.inf)),
    "dress": (("short", 0.7), ("knee", 1.4), ("long", math.inf)),
}
_FLAT_LENGTHS = (("short", 1.45), ("knee", 1.65), ("long", math.inf))  # of `flat_length`
# How much surer the network is of a type than it may be: the temperature with the least log loss by
# `benchmarks/calibration.py`, on drawn flats of the catalogue's validation split and flat photos that taught nothing
# (211, of which 203 are right; the calibration error falls from .019 to .012). The kind needs none: .009 without.
TYPE_TEMPERATURE = 1.19


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Chosen on the photos of Clothing Co-Parsing whose number ends in 1, and on flat photos that taught nothing."""

    worn: float = 0.07  # of a person's area that a garment covers at least
    sure: float = 0.8  # confidence below which a reading is called unsure: it holds two in three of the wrong ones
    facing: float = 0.5  # length of the direction below which nobody knows
    inside: float = 0.5  # probability from which a pair of joints is in the picture
    edge: float = 0.01  # of the picture's longer side: what comes as close to the edge goes on beyond it


THRESHOLDS = Thresholds()


@dataclasses.dataclass(frozen=True)
class Worn:
    """A garment: worn, or alone."""

    type: str  # upper, lower, dress
    sleeves: str = ""  # none, short, three-quarter, long; of what covers the arms
    length: str = ""

    def __str__(self) -> str:
        about = [f"{self.sleeves} sleeves".replace("none", "no")] if self.sleeves else []
        about += [f"{self.length} length"] if self.length else []
        return self.type + (f" ({', '.join(about)})" if about else "")


@dataclasses.dataclass(frozen=True)
class Description:
    """What a picture shows."""

    kind: str  # person, garment, none
    confidence: float  # probability of the kind; of a garment, of kind and type
    type: str = ""  # upper, lower, dress; outfit of a person
    garments: tuple[Worn, ...] = ()  # what a person wears
    sleeves: str = ""
    length: str = ""
    facing: str = ""
    framing: str = (
        ""  # of a person: whole, knees, hips, chest, head, which are the last in the picture; else whole, cut
    )

    def parts(self) -> tuple[str, str]:
        """Two lines: what it is, and how it is seen."""
        if self.kind == "person":
            what = "person in " + (" and ".join(map(str, self.garments)) or "nothing that was told apart")
            framing = self.framing if self.framing == "whole" else f"to the {self.framing}"
            how = [f"seen from the {self.facing}" if self.facing in ("front", "back") else f"{self.facing} side seen"]
            how = (how if self.facing else ["side unknown"]) + [framing]
        elif self.kind == "garment":
            what, how = "garment, " + str(Worn(self.type, self.sleeves, self.length)), [self.framing]
        else:
            what, how = "neither a person nor a garment", []
        return what, ", ".join([*how, f"confidence {self.confidence:.2f}{', unsure' * self.unsure}"])

    @property
    def unsure(self) -> bool:
        return self.confidence < THRESHOLDS.sure

    def line(self, path: str | Path) -> str:
        return f"{path}: {', '.join(self.parts())}"

    def as_json(self, path: str | Path) -> str:
        """One line."""
        known = {name: value or None for name, value in dataclasses.asdict(self).items()}
        known["garments"] = [
            {name: value or None for name, value in dataclasses.asdict(worn).items()} for worn in self.garments
        ]
        order = ("kind", "type", "garments", "sleeves", "length", "facing", "framing")
        found = {"file": str(path)} | {name: known[name] for name in order}
        return json.dumps(found | {"confidence": round(self.confidence, 4)}, ensure_ascii=False)


def describe(seen: Seen, mask: np.ndarray | None = None) -> Description:
    """What a reading says. Args: mask: bool [H, W], what the picture's own alpha channel shows."""
    sure = float(seen.kind.max())
    if seen.is_a == "none":
        return Description("none", sure)
    if seen.is_a == "person":
        garments = worn_by(seen)
        return Description(
            "person", sure, "outfit", garments, sleeves=next((one.sleeves for one in garments if one.sleeves), ""),
            facing=facing_of(seen.facing), framing=framing_of(seen),
        )  # fmt: skip
    there = seen.cut_out if mask is None else mask
    sleeves = "" if seen.type == "lower" else seen.sleeve_class
    length = flat_length(there) if seen.type == "lower" else length_of(seen.type, there, seen)
    sure *= float(tempered(seen.types, TYPE_TEMPERATURE).max())
    return Description(
        "garment", sure, seen.type, (), sleeves, length,
        framing="cut" if _at_edges(there).any() else "whole",
    )  # fmt: skip


def facing_of(facing: np.ndarray) -> str:
    """The side that is turned to the camera, from (sin, cos) of the turn to the picture's right."""
    if np.linalg.norm(facing) < THRESHOLDS.facing:
        return ""
    return FACINGS[round(math.degrees(math.atan2(*facing)) / 90) % 4]


def worn_by(seen: Seen) -> tuple[Worn, ...]:
    """The garments that a person wears, the largest first; sleeves are those of the outer one that covers the arms.

    Of a dress and trousers or a skirt one is there: where labels say both, the larger has the other's pixels.
    """
    labels = seen.segmentation
    person = max(int((labels > 0).sum()), 1)
    masks = {name: segmentation.region(labels, of) for name, of in _WORN.items()}
    less, more = sorted(("lower", "dress"), key=lambda name: masks[name].sum())
    masks[more] |= masks.pop(less)
    fraction = {name: mask.sum() / person for name, mask in masks.items()}
    found = sorted((name for name in masks if fraction[name] >= THRESHOLDS.worn), key=lambda name: -fraction[name])
    sleeved = next((name for name in ("upper", "dress") if name in found), "")
    return tuple(
        Worn(name, seen.sleeve_class if name == sleeved else "", length_of(name, masks[name], seen)) for name in found
    )


def _rows(seen: Seen, joint: str) -> float:
    """Where both sides' joints lie, in rows."""
    return float(np.mean([seen.keypoints[keypoints.ID[f"{side}-{joint}"], 1] for side in ("left", "right")]))


def length_of(garment_type: str, mask: np.ndarray, seen: Seen) -> str:
    """Where a garment ends, measured by the joints of the one who wears it; "" where it leaves the picture below."""
    if not mask.any() or _at_edges(mask)[1]:
        return ""
    first, second = (_rows(seen, joint) for joint in _ENDS[garment_type])
    hem = float(np.flatnonzero(mask.sum(1) >= 0.1 * mask.sum(1).max())[-1])
    if second <= first:
        return ""
    return _class_of((hem - first) / (second - first), _LENGTHS[garment_type])


def flat_length(mask: np.ndarray) -> str:
    """The length of trousers or a skirt laid flat, by its shape: height over the width a little below the waist."""
    rows = np.flatnonzero(mask.any(1))
    if not len(rows):
        return ""
    height = rows[-1] - rows[0] + 1
    tenth = max(1, height // 10)
    width = float(np.median(mask[rows[0] + tenth : rows[0] + 2 * tenth].sum(1)))
    return _class_of(height / max(width, 1.0), _FLAT_LENGTHS)


def _class_of(value: float, classes: tuple[tuple[str, float], ...]) -> str:
    return next(name for name, end in classes if value < end)


def framing_of(seen: Seen) -> str:
    """How much of a person is in the picture, by the last joints that are: whole, knees, hips, chest, head."""
    last = len(seen.labels) - THRESHOLDS.edge * max(seen.labels.shape[:2])
    for name, joint in (("whole", "ankle"), ("knees", "knee"), ("hips", "hip"), ("chest", "shoulder")):
        inside = np.mean([seen.inside[keypoints.ID[f"{side}-{joint}"]] for side in ("left", "right")])
        if inside > THRESHOLDS.inside and _rows(seen, joint) < last:
            return name
    return "head"


def _at_edges(mask: np.ndarray) -> np.ndarray:
    """Whether something goes on beyond the picture: above, below, on the left, on the right; bool [4]."""
    near = max(1, round(THRESHOLDS.edge * max(mask.shape)))
    return np.array([mask[:near].any(), mask[-near:].any(), mask[:, :near].any(), mask[:, -near:].any()])
