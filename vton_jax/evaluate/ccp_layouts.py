"""The suite `ccp`, part `backward`: the backward procedure on real photos' layouts, their garments disturbed.

Alphabet: a case is one photo at the networks' size; it is user and pose image at once. Its truth is the data set's own
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
from vton_jax.core.types import Layout
from vton_jax.evaluate import mannequin_suite
from vton_jax.inputs import ccp, splits
from vton_jax.layout import alignment, composition
from vton_jax.media import visualize
from vton_jax.reading import skin
from vton_jax.systems.lab126 import try_on

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


def truth_of(
    folder: str, number: str, size: tuple[int, int], reader
) -> tuple[np.ndarray, np.ndarray, Layout, np.ndarray]:
    """(photo uint8 [H, W, 3], true labels uint8 [H, W], pose layout, latent [1, N]) of one photo, fitted to `size`.

    Skin and footwear are told apart by the joints that `reader.read_people` finds, as `reading.skin` does.
    """
    photo, ids = ccp.read(folder, number)
    frame = framing.fit(photo, size)[0]
    ids = framing.fit(ids, size, fill=0, nearest=True)[0]
    layouts, z = reader.read_people(frame[None])
    pose = jax.tree.map(lambda a: np.asarray(a[0]), layouts)
    return frame, skin.split(ids, pose.keypoints, pose.visible), pose, z


@functools.partial(jax.jit, static_argnames="size")
def _compiled_places(points, visible, size):
    body, grid = alignment.body_of(points, visible, size), geometry.grid(size)
    return body, *alignment.trunk_coordinates(grid, body), alignment.limb_place(grid, body)[0]


def _places(points: np.ndarray, visible: np.ndarray, size: tuple[int, int]):
    """NumPy: the `alignment.Body`, each pixel's trunk coordinates [H, W] twice, its nearness to the limbs [8, H, W]."""
    return jax.device_get(_compiled_places(points, visible, tuple(size)))


def garment_parts(labels: np.ndarray, points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Which part each pixel of a garment goes with: index in `PARTS` [H, W], -1 where there is no garment.

    The nearest part, distances in its own thickness. Skirts and the skirts of dresses hang from the trunk and are not
    torn apart by the legs; what is worn below the hips goes with no arm.
    """
    _, share, across, near = _places(points, visible, labels.shape)
    # LIMBS: right upper arm, forearm, thigh, shin, and the same of the left side.
    arms, legs = ([near[i : i + 2].min(0) for i in at] for at in ((0, 4), (2, 6)))
    hangs = segmentation.region(labels, (segmentation.ID["skirt"], *segmentation.DRESS))
    lower = segmentation.region(labels, segmentation.LOWER)
    beyond = np.maximum(-share, np.where(hangs, 0, share - 1)) * alignment.PROPORTIONS["torso"]
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
    """A random forward similarity for each of `PARTS`, [5, 2, 3]: about shoulders and hips, the trunk about its middle.

    Args: seed: what `np.random.default_rng` takes.
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


def wilson(successes: int, count: int) -> tuple[float, float]:
    """The 95% interval of a share, by E. B. Wilson (1927): (low, high); NaN for a count of 0."""
    if not count:
        return float("nan"), float("nan")
    z, share = 1.959964, successes / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return float(middle - half), float(middle + half)


def shares_improved(name: str, scores: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """The share of cases whose score is above the other's, as `name`, and its 95% interval `name_low`, `name_high`."""
    better = int(np.sum(np.asarray(scores) > np.asarray(others)))
    low, high = wilson(better, len(scores))
    return {name: better / len(scores) if len(scores) else float("nan"), f"{name}_low": low, f"{name}_high": high}


def evaluate_layouts(
    folder: str,
    chosen: list[str],
    weights_folder: str | None = None,
    seed: int = 0,
    disturbance: Disturbance = Disturbance(),
) -> tuple[dict, dict, dict]:
    """Returns (results, pictures, texts) for the photos `chosen`: name to number, to uint8 sheet, the protocol."""
    system = try_on.TryOn("none", weights_folder)
    cases = []
    for number in mannequin_suite.progress(chosen, "photo"):
        frame, truth, pose, z = truth_of(folder, number, system.size, system)
        parts = garment_parts(truth, pose.keypoints, pose.visible)
        if (parts < 0).all():
            continue
        matrices = similarities(pose.keypoints, pose.visible, system.size, disturbance, [seed, int(number)])
        cases.append((frame, truth, disturb(truth, parts, matrices), pose, z))
    if not cases:
        return {"ccp.backward.num_cases": 0}, {}, {}
    frames, truths, coarse, poses, z = mannequin_suite.stack(cases)
    z = z[:, 0]
    layouts = {name: [] for name in ("final", "expected", "reconciled")}
    for index in mannequin_suite.progress([*batching.parts(len(cases), _TOGETHER)], f"x {_TOGETHER} layouts"):
        given = coarse[index], mannequin_suite.at(poses, index), z[index], z[index]
        found, final, _ = system.backward(*given)
        shares = np.asarray(system.shares(found))
        layouts["final"].append(final)
        layouts["expected"].append(system.expected(*given))
        layouts["reconciled"].append(
            np.stack([composition.reconcile(*one) for one in zip(given[0], shares, strict=True)])
        )
    maps = {"coarse": coarse, "filled": composition.fill_unknown(coarse)}
    maps |= {name: np.concatenate(parts)[: len(cases)] for name, parts in layouts.items()}
    scores = {
        name: np.array([mannequin_suite.score(*one).miou for one in zip(values, truths, strict=True)])
        for name, values in maps.items()
    }
    results = {"ccp.backward.num_cases": len(cases)}
    results |= {f"ccp.backward.{name}_miou": float(values.mean()) for name, values in scores.items()}
    results["ccp.backward.unknown"] = float((coarse == segmentation.UNKNOWN).mean())
    for prefix, name in (("", "final"), ("reconciled.", "reconciled")):
        for suffix, other in (("", "coarse"), ("_filled", "filled")):
            name_of = f"ccp.backward.{prefix}share_improved{suffix}"
            results |= shares_improved(name_of, scores[name], scores[other])
    shown = np.unique(np.linspace(0, len(cases) - 1, _EXAMPLES).round().astype(int))
    columns = ("coarse", "filled", "final", "reconciled")
    rows, titles = [], []
    for i in shown:
        rows.append([frames[i], *map(visualize.colour_segmentation, (truths[i], *(maps[name][i] for name in columns)))])
        titles.append(" ".join(f"{scores[name][i]:.2f}" for name in columns))
    sheet = visualize.contact_sheet(rows, titles, ["photo", "true labels", *columns])
    protocol = {
        "backward.cases": f"{len(cases)} photos with a garment, user and pose image at once; seed {seed}; "
        f"split_hash {splits.split_hash(chosen)}",
        "backward.size": f"{system.size[0]}x{system.size[1]}, labels by nearest pixel",
        "backward.disturbance": f"each part turned by up to {disturbance.angle:g} degrees, scaled by up to "
        f"{disturbance.scale:g} or through, shifted by up to {disturbance.shift:g} of the height along x and y",
        "backward.score": "mIoU of each case over the merged classes its truth shows, unknown counts as wrong; mean of "
        "the cases; intervals of shares: 95%, Wilson",
        "backward.skin_and_shoes": "told apart by the joints that MultiPathCNN reads",
    }
    return results, {"Layouts, mIoU of " + ", ".join(columns): sheet}, {"protocol": protocol}
