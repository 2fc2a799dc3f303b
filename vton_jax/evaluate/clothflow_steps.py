"""The steps of the suite `clothflow`: cases, flows, layouts and pictures, each with its scores per case.

Conventions: `cases` are stacked NumPy arrays [B, ...] of Pose-and-Dress samples of the catalogue; scores are
arrays [B] by name, NaN for a case without.
"""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import numpy as np

from vton_jax.catalogue import examples
from vton_jax.compositing import backdrops
from vton_jax.compositing.full_size import softened
from vton_jax.core import label_tables, segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.framing import to_float
from vton_jax.core.types import Garment, Layout, Pose, User
from vton_jax.evaluate import dressing, metrics, scores
from vton_jax.evaluate.protocol import LAB126, SuiteOptions
from vton_jax.media import progress, visualize
from vton_jax.systems.clothflow.painter import Painter
from vton_jax.systems.clothflow.system import ClothFlow
from vton_jax.systems.finet.system import Finet
from vton_jax.systems.protocol import TryOnSystem

_WHOLE = 0.86  # of the picture's height that people fill at most, as in training
_RESAMPLES = 2000
_PARTS = ("segmentation", "keypoints", "visible")  # of a layout
_REGIONS = {"upper": "top", "lower": "bottom"}  # of FiNet, by the garment's type


def open_painters(names: list[str], folder: str | None) -> dict[str, Painter]:
    """The painters of variants by their names. Raises: UserError where weights are missing, or nothing is asked for."""
    if not names:
        raise UserError("No weights of ClothFlow are there; train them with the recipes in vton_jax/flagfiles.")
    return {name: Painter(name, folder) for name in names}


def stage_3_weights(painters: dict[str, Painter]) -> str:
    """Which variants have a stage 3 of their own, in words."""
    own = [name for name, painter in painters.items() if painter.own_render]
    return f"trained for {', '.join(own) or 'none'}; the others share that of full"


def draw_cases(count: int, split: str, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """`count` cases, each of another user; in every second the garment lies flat, where it can. The pose is shown by
    somebody else in clothes of their own: what the truth's outline is, no picture tells."""
    drawn = []
    for index in progress.each(range(count), "case"):
        number = index * examples.EXAMPLES_OF_ONE + index % examples.EXAMPLES_OF_ONE
        example = examples.draw(number, split, size, pose_picture=True, closest=_WHOLE)
        drawn.append(examples.sample(example, flat=bool(index % 2) and examples.lies_flat(example)))
    return scores.stack(drawn)


# --------------------------------------------------------------------------------------------------------------- flows


def true_garment(cases: dict, index: int) -> Garment:
    """A case's garment, of its true segmentation."""
    layout = Layout(*(cases[f"donor_{part}"][index] for part in _PARTS))
    about = cases["garment_type"][index], cases["donor_flat"][index]
    return Garment(to_float(cases["dress_image"][index]), layout, *about)


def end_point_error(flow: np.ndarray, cases: dict, index: int) -> float:
    """Of one case's flow [H, W, 2]: the mean over the visible garment, in pixels at 128x96."""
    error = metrics.endpoint_error(flow, cases["flow"][index], cases["flow_visible"][index])
    return error * scores.FLOW_HEIGHT / len(flow)


def flow_errors(painters: dict[str, Painter], cases: dict) -> dict[str, np.ndarray]:
    """The end-point error of every variant's stage 2 along the true segmentation, and of no flow."""
    target = Layout(*(cases[f"output_{part}"] for part in _PARTS))
    found = {name: [] for name in (*painters, "zero_flow")}
    for index in range(len(cases["garment_type"])):
        garment = true_garment(cases, index)
        goal = jax.tree.map(lambda a, i=index: a[i : i + 1], target)
        for name, painter in painters.items():
            found[name].append(end_point_error(painter.clothing(garment, goal)["flow"][0], cases, index))
        found["zero_flow"].append(end_point_error(np.zeros_like(cases["flow"][index]), cases, index))
    return {name: np.array(values) for name, values in found.items()}


# ------------------------------------------------------------------------------------------------------------ pictures


@dataclasses.dataclass
class Made:
    """What came of the cases that could be read."""

    cases: dict  # of them alone
    layouts: np.ndarray  # uint8 [B, H, W], of stage 1
    along: np.ndarray  # the same along the true pose
    images: dict[str, list[np.ndarray | None]]  # of every variant and other system, float [H, W, 3] each
    flows: dict[str, np.ndarray]  # of every variant, float [B, H, W, 2]
    left_out: int = 0


@dataclasses.dataclass(frozen=True)
class Asked:
    """A case as it was read, for systems beside ClothFlow."""

    case: dict[str, np.ndarray]
    kind: str  # of the garment
    user: User
    garment: Garment
    poses: Pose  # [1]


# A picture float [H, W, 3] of a case; None where the system does not do such a thing.
Other = Callable[[Asked], np.ndarray | None]


def open_others(names: Sequence[str]) -> dict[str, Other]:
    """What else dresses the cases, with the released weights: `lab126_ARM`, and `finet`, which puts a worn garment on
    whoever the truth shows."""
    arms = tuple(name.removeprefix(f"{LAB126}_") for name in names if name.startswith(LAB126))
    found = {f"{LAB126}_{arm}": _dressing(one) for arm, one in dressing.open_arms(SuiteOptions(), arms).items()}
    return found | ({"finet": _transferring(Finet())} if "finet" in names else {})


def _dressing(system: TryOnSystem) -> Other:
    return lambda asked: softened(next(iter(system.dress(asked.user, [asked.garment], asked.poses))).dressed)


def _transferring(finet: Finet) -> Other:
    """FiNet knows no other pose: the true frame is the photo, whose garment is hidden and filled in anew."""

    def transferred(asked: Asked) -> np.ndarray | None:
        if (region := _REGIONS.get(asked.kind)) is None:
            return None
        try:
            person = finet.read(asked.case["output_image"])
            given = finet.read_garment(asked.case["donor_image"], region)
            filled = finet.inpaint(person, region, jax.random.PRNGKey(0), vary="none", garment=given)
        except UserError:
            return None
        return to_float(filled.images[0])

    return transferred


def dress(system: ClothFlow, painters: dict[str, Painter], others: dict[str, Other], cases: dict) -> Made:
    """Reads the cases from their pixels, and lets every variant, and other systems, dress them."""
    images = {name: [] for name in (*painters, *others)}
    flows, layouts, along, kept = {name: [] for name in painters}, [], [], []
    for index in progress.each(range(len(cases["garment_type"])), "case"):
        kind = segmentation.GARMENT_TYPES[int(cases["garment_type"][index])]
        try:
            user = system.read_user(cases["input_image"][index])
            garment = system.read_garment(cases["donor_image"][index], kind, bool(cases["donor_flat"][index]))
            poses = system.read_poses(cases["pose_image"][index][None])
        except UserError:
            continue
        kept.append(index)
        labels = np.asarray(user.layout.segmentation)
        user = user.replace(backdrop=backdrops.backdrop(user.image, labels))
        for name, painter in painters.items():
            system.painter = painter
            (result,) = system.dress(user, [garment], poses)
            images[name].append(softened(result.dressed))
            flows[name].append(np.asarray(result.dressed.flow))
            if name == "full":
                layouts.append(result.target.final)
                true = Layout(*(cases[f"output_{part}"][[index]] for part in _PARTS))
                (result,) = system.dress(user, [garment], poses.replace(layout=true))
                along.append(result.target.final)
        asked = Asked({name: array[index] for name, array in cases.items()}, kind, user, garment, poses)
        for name, other in others.items():
            images[name].append(other(asked))
    cases, left_out = scores.at(cases, np.array(kept, int)), len(cases["garment_type"]) - len(kept)
    return Made(
        cases,
        np.array(layouts),
        np.array(along),
        images,
        {name: np.stack(all_) for name, all_ in flows.items()},
        left_out,
    )


def picture_scores(made: Made, distances) -> dict[str, dict[str, np.ndarray]]:
    """{variant or arm: {score: [B]}} of the pictures against the truth, and of the flows in try-on."""
    truth, found = to_float(made.cases["output_image"]), {}
    kinds = [segmentation.GARMENT_TYPES[int(kind)] for kind in made.cases["garment_type"]]
    each = zip(made.cases["output_segmentation"], kinds, strict=True)
    region = np.stack([segmentation.region(labels, segmentation.TARGET_LABELS[kind]) for labels, kind in each])
    for name, images in made.images.items():
        there = np.array([image is not None for image in images])
        if not there.any():  # a system that dresses none of these
            continue
        given = np.stack([image for image in images if image is not None]), truth[there], region[there]
        found[name] = {score: _spread(values, there) for score, values in _seen_scores(*given, distances).items()}
        if name in made.flows:
            each = enumerate(made.flows[name])
            found[name]["try_on_epe"] = np.array([end_point_error(flow, made.cases, i) for i, flow in each])
    return found


def _seen_scores(images: np.ndarray, truth: np.ndarray, region: np.ndarray, distances) -> dict[str, np.ndarray]:
    whole = scores.frame_scores(images, truth, region) | distances(images, truth)
    of_region = distances(scores.alone(images, region), scores.alone(truth, region))
    return whole | {f"{name}_garment": values for name, values in of_region.items()}


def _spread(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Values of the cases that are there, NaN for the others."""
    found = np.full(len(there), np.nan)
    found[there] = values
    return found


# ------------------------------------------------------------------------------------------------------------- layouts


def layout_scores(made: Made, seed: int) -> dict[str, float]:
    """`clothflow.layout_miou` of stage 1 over merged labels, its interval over cases, and every label's own; the same
    along the true pose, `clothflow.layout_miou_true_pose`: what others' joints and reading them cost is no fault of it.
    """
    found = {}
    for name, layouts in (("", made.layouts), ("_true_pose", made.along)):
        if len(layouts):
            found |= _layout_score(layouts, made.cases["output_segmentation"], name, seed)
    return found


def _layout_score(layouts: np.ndarray, truth: np.ndarray, where: str, seed: int) -> dict[str, float]:
    classes = len(label_tables.MERGED_LABELS)
    pairs = zip(layouts, truth, strict=True)
    each = np.stack([metrics.confusion(*map(label_tables.merged, pair), classes) for pair in pairs])
    value, by_class = metrics.miou_from_confusion(each.sum(0))
    index = np.random.default_rng(seed).integers(0, len(each), (_RESAMPLES, len(each)))
    drawn = [metrics.miou_from_confusion(each[rows].sum(0))[0] for rows in index]
    low, high = np.percentile(drawn, (2.5, 97.5))
    name = f"clothflow.layout_miou{where}"
    found = {name: value, f"{name}.low": float(low), f"{name}.high": float(high)}
    labels = zip(label_tables.MERGED_LABELS, by_class, strict=True)
    return found | {f"clothflow.layout_iou{where}.{label}": value for label, value in labels}


def sheet(made: Made, count: int) -> np.ndarray:
    """The first cases: what goes in, the layout of stage 1, every picture, the truth; uint8 [H, W, 3]."""
    rows = []
    for index in range(min(count, len(made.cases["garment_type"]))):
        row = [made.cases[f"{name}_image"][index] for name in ("input", "donor", "pose")]
        row.append(visualize.colour_segmentation(made.layouts[index]) if len(made.layouts) else None)
        row += [image if image is None else visualize.to_uint8(image)
                for image in (images[index] for images in made.images.values())]  # fmt: skip
        rows.append([*row, made.cases["output_image"][index]])
    return visualize.contact_sheet(rows, column_titles=["user", "garment", "pose", "layout", *made.images, "truth"])
