"""The suite `ccp`, part `backward`: the backward procedure on real photos' layouts, their garments disturbed.

Conventions: a case is one photo at the networks' size, user and pose image at once. Its truth is the data set's own
labels in ATR's table. The coarse map is the truth whose garment region was cut into parts (`PARTS`), each moved by a
small random similarity about its joint and pasted back; what nothing covers is `segmentation.UNKNOWN`. What the names
mean: docs/evaluation.md.
"""

import dataclasses
import functools

import cv2
import jax
import numpy as np

from vton_jax.core import batching, framing, geometry, segmentation
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.types import Layout, Pose
from vton_jax.evaluate import dressing, protocol
from vton_jax.evaluate.scores import at, fraction_improved, layout_score, stack
from vton_jax.inputs import ccp, splits
from vton_jax.layout import body_map, completion
from vton_jax.layout.body import PROPORTIONS, body_of
from vton_jax.media import progress, visualize
from vton_jax.reading import skin
from vton_jax.systems.lab126.system import Lab126
from vton_jax.systems.lab126.target_layouts import TargetLayouts
from vton_jax.systems.reader import Reader

PARTS = ("right-leg", "left-leg", "trunk", "right-arm", "left-arm")  # in the order in which they are pasted
_TOGETHER = 10  # cases of one batch
_EXAMPLES = 12  # cases on the sheet, evenly over the set
_BEYOND = 0.03  # of the body height: by so much more beyond neck or hips the trunk is one of its half widths farther


@dataclasses.dataclass(frozen=True)
class Disturbance:
    """How far parts are moved at most; every number is drawn evenly between its two bounds."""

    angle: float = 10.0  # degrees, to either side
    scale: float = 1.15  # times or through
    shift: float = 0.02  # of the person's height, to either side along x and y


def truth_of(folder: str, number: str, reader: Reader) -> tuple[np.ndarray, np.ndarray, Pose]:
    """(photo uint8 [H, W, 3], true labels uint8 [H, W], pose) of one photo, fitted to the reader's size.

    Skin and footwear are told apart by the joints that the reader finds, as `reading.skin` does.
    """
    photo, ids = ccp.read(folder, number)
    frame = framing.fit(photo, reader.size)[0]
    ids = framing.fit(ids, reader.size, fill=0, nearest=True)[0]
    pose = at(Pose(*reader.read_people(frame[None])), 0)
    return frame, skin.split(ids, pose.layout.keypoints, pose.layout.visible), pose


@functools.partial(jax.jit, static_argnames="size")
def _compiled_places(points, visible, size):
    body, grid = body_of(Layout(None, points, visible), size), geometry.grid(size)
    return body, *body_map.trunk_coordinates(grid, body), body_map.limb_place(grid, body)[0]


def _places(points: np.ndarray, visible: np.ndarray, size: tuple[int, int]):
    """NumPy: the `body.Body`, each pixel's trunk coordinates [H, W] twice, its nearness to the limbs [8, H, W]."""
    return jax.device_get(_compiled_places(points, visible, tuple(size)))


def garment_parts(labels: np.ndarray, points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Which part each pixel of a garment goes with: index in `PARTS` [H, W], -1 where there is no garment.

    The nearest part, distances in its own thickness. Skirts and the skirts of dresses hang from the trunk and are not
    torn apart by the legs; what is worn below the hips goes with no arm.
    """
    _, along, across, near = _places(points, visible, labels.shape)
    # LIMBS: right upper arm, forearm, thigh, shin, and the same of the left side.
    arms, legs = ([near[i : i + 2].min(0) for i in pair] for pair in ((0, 4), (2, 6)))
    hangs = segmentation.region(labels, (segmentation.ID["skirt"], *segmentation.DRESS))
    lower = segmentation.region(labels, segmentation.LOWER)
    beyond = np.maximum(-along, np.where(hangs, 0, along - 1)) * PROPORTIONS.torso
    trunk = np.abs(across) + np.maximum(beyond, 0) / _BEYOND
    distances = {"trunk": trunk}
    for side, arm, leg in zip(("right", "left"), arms, legs, strict=True):
        distances[f"{side}-arm"] = np.where(lower, np.inf, arm)
        distances[f"{side}-leg"] = np.where(hangs, np.inf, leg)
    nearest = np.argmin([distances[name] for name in PARTS], 0)
    return np.where(segmentation.region(labels, segmentation.GARMENTS), nearest, -1)


def similarities(
    points: np.ndarray, visible: np.ndarray, size: tuple[int, int], disturbance: Disturbance, seed
) -> np.ndarray:
    """Draws how parts are moved: about shoulders and hips, the trunk about its middle.

    Args: points [18, 2], visible [18]: the person's joints. size: of the layout. seed: what `np.random.default_rng`
    takes. Returns: a forward similarity for each of `PARTS`, [5, 2, 3].
    """
    body, *_ = _places(points, visible, size)
    joints, generator = body.joints, np.random.default_rng(seed)
    pivots = {"trunk": (joints[JOINTS["neck"]] + body.hips) / 2}
    for side in ("right", "left"):
        pivots[f"{side}-arm"], pivots[f"{side}-leg"] = joints[JOINTS[f"{side}-shoulder"]], joints[JOINTS[f"{side}-hip"]]
    found = []
    for name in PARTS:
        angle, exponent, *shift = generator.uniform(-1, 1, 4)
        turn = np.deg2rad(disturbance.angle) * angle
        scale = disturbance.scale**exponent
        matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        moved = pivots[name] + disturbance.shift * float(body.height) * np.array(shift)
        found.append(np.column_stack([matrix, moved - matrix @ pivots[name]]))
    return np.stack(found)


def disturb(labels: np.ndarray, parts: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """The coarse map uint8 [H, W]: the garment's parts, moved by similarities [5, 2, 3] and pasted over the rest.

    Args: labels [H, W]; parts [H, W] from `garment_parts`. Where the garment was and no part lies now is `UNKNOWN`.
    """
    coarse = np.where(parts >= 0, np.uint8(segmentation.UNKNOWN), labels.astype(np.uint8))
    for index, matrix in enumerate(matrices):
        layer = np.where(parts == index, labels, segmentation.UNKNOWN).astype(np.uint8)
        moved = cv2.warpAffine(
            layer, matrix, labels.shape[::-1], flags=cv2.INTER_NEAREST, borderValue=segmentation.UNKNOWN
        )
        coarse = np.where(moved != segmentation.UNKNOWN, moved, coarse)
    return coarse


class Backward(protocol.Suite):
    """Disturbs the garments' layouts, and lets the backward procedure mend them.

    Args: options: those of the suite `ccp`. chosen: the photos' numbers. seed: of the disturbances.
    """

    name = "ccp.backward"

    def __init__(self, options, chosen: list[str], seed: int = 0, disturbance: Disturbance = Disturbance()):
        super().__init__(options)
        self.chosen, self.seed, self.disturbance = chosen, seed, disturbance

    def run(self):
        (system,) = dressing.open_arms(self.options, ("none",)).values()
        cases = [self._case(system, number) for number in progress.each(self.chosen, "photo")]
        cases = [case for case in cases if case is not None]
        yield "ccp.backward.num_cases", len(cases)
        if not cases:
            return
        frames, truths, coarse, poses = stack(cases)
        maps = {"coarse": coarse, "filled": completion.fill_unknown(coarse)} | mend(system.layouts, coarse, poses)
        scores = {
            name: np.array([layout_score(*one).miou for one in zip(values, truths, strict=True)])
            for name, values in maps.items()
        }
        yield from ((f"ccp.backward.{name}_miou", float(values.mean())) for name, values in scores.items())
        yield "ccp.backward.unknown", float((coarse == segmentation.UNKNOWN).mean())
        for prefix, name in (("", "final"), ("reconciled.", "reconciled")):
            for suffix, other in (("", "coarse"), ("_filled", "filled")):
                name_of = f"ccp.backward.{prefix}share_improved{suffix}"
                yield from fraction_improved(name_of, scores[name], scores[other]).items()
        columns = ("coarse", "filled", "final", "reconciled")
        rows, titles = [], []
        for i in np.unique(np.linspace(0, len(cases) - 1, _EXAMPLES).round().astype(int)):
            shown = truths[i], *(maps[name][i] for name in columns)
            rows.append([frames[i], *map(visualize.colour_segmentation, shown)])
            titles.append(" ".join(f"{scores[name][i]:.2f}" for name in columns))
        sheet = visualize.contact_sheet(rows, titles, ["photo", "true labels", *columns])
        self.pictures["Layouts, mIoU of " + ", ".join(columns)] = sheet
        self._state_protocol(len(cases), system.size)

    def _case(self, system: Lab126, number: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, Pose] | None:
        """(photo, true labels, coarse map, pose); None for a photo without a garment."""
        frame, truth, pose = truth_of(self.options.data, number, system.reader)
        joints = pose.layout.keypoints, pose.layout.visible
        parts = garment_parts(truth, *joints)
        if (parts < 0).all():
            return None
        matrices = similarities(*joints, system.size, self.disturbance, [self.seed, int(number)])
        return frame, truth, disturb(truth, parts, matrices), pose

    def _state_protocol(self, count: int, size: tuple[int, int]) -> None:
        most = self.disturbance
        self.texts["protocol"] = {
            "backward.cases": f"{count} photos with a garment, user and pose image at once; seed {self.seed}; "
            f"split_hash {splits.split_hash(self.chosen)}",
            "backward.size": f"{size[0]}x{size[1]}, labels by nearest pixel",
            "backward.disturbance": f"each part turned by up to {most.angle:g} degrees, scaled by up to "
            f"{most.scale:g} or through, shifted by up to {most.shift:g} of the height along x and y",
            "backward.score": "mIoU of each case over the merged classes its truth shows, unknown counts as wrong; "
            "mean of the cases; intervals of shares: 95%, Wilson",
            "backward.skin_and_shoes": "told apart by the joints that MultiPathCNN reads",
        }


def mend(layouts: TargetLayouts, coarse: np.ndarray, poses: Pose) -> dict[str, np.ndarray]:
    """What the backward procedure makes of coarse maps [B, H, W] of people who are user and pose image at once.

    Returns uint8 [B, H, W]: `final`, the decoder's layouts; `expected`, LatentPriorCNN's; `reconciled`, with what the
    coarse maps know.
    """
    found = {name: [] for name in ("final", "expected", "reconciled")}
    for index in progress.each([*batching.parts(len(coarse), _TOGETHER)], f"x {_TOGETHER} layouts"):
        given = coarse[index], at(poses, index), poses.latent[index]
        z, _ = layouts.backward(*given)
        found["final"].append(np.asarray(layouts.decoded(z)))
        found["expected"].append(layouts.expected(*given))
        probabilities = np.asarray(layouts.probabilities(z))
        each = [completion.reconcile(*one) for one in zip(coarse[index], probabilities, strict=True)]
        found["reconciled"].append(np.stack(each))
    return {name: np.concatenate(parts)[: len(coarse)] for name, parts in found.items()}
