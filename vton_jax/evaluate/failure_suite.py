"""The failure suites, a part of `catalogue`: known difficulties of try-on, one at a time, scored where they are met.

Conventions: `cases` are the stacked NumPy arrays of `catalogue.failures.draw_failures`, one suite or several; pictures
are floats [B, H, W, 3] in [0, 1], layouts label ids [B, H, W], regions masks [B, H, W]. What the names of the results
mean: docs/evaluation.md.
"""

import cv2
import numpy as np

from vton_jax.compositing import temporal_filters
from vton_jax.core import label_tables, segmentation
from vton_jax.core.framing import to_float
from vton_jax.evaluate import catalogue_steps, metrics, protocol, report
from vton_jax.layout import completion
from vton_jax.systems.lab126.system import Lab126

# Which classes of the layout are compared, in the words of the results.
OVERLAPS = {
    "sleeve_swap": {"iou_arms": segmentation.ARMS, "iou_sleeve": segmentation.UPPER},
    "hem_swap": {"iou_legs": segmentation.LEGS, "iou_garment": segmentation.GARMENTS},
    "lettering": {},
    "arm_over_body": {"iou_arms": segmentation.ARMS},
    "back_view": {"iou_hair": segmentation.HAIR},
    "hair_over_garment": {"iou_hair": segmentation.HAIR},
}
_HEAD, _ARMS = 1, (2, 3, 4, 5)  # in `output_limb`: upper arms and forearms, left and right
_SHIFT = 64  # the frame's height over the largest shift that lettering may have, in pixels


def _garments(layouts: np.ndarray) -> np.ndarray:
    return segmentation.region(layouts, segmentation.GARMENTS)


def arm_region(cases: dict) -> np.ndarray:
    """The true arms from shoulder to wrist, skin or sleeve, without the hands."""
    return segmentation.region(cases["output_limb"], _ARMS)


def print_region(cases: dict) -> np.ndarray:
    """The box around a print's lettering: what the print alone changes."""
    changed = np.abs(cases["output_image"].astype(int) - cases["without_image"]).max(-1) > 25
    region = np.zeros_like(changed)
    for mask, box in zip(changed, region, strict=True):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if len(rows):
            box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return region


def regions(suite: str, cases: dict) -> tuple[np.ndarray, np.ndarray]:
    """Where the suite's difficulty lies: the pixels that are scored, and those where classes of the layout overlap."""
    truth, without = cases["output_segmentation"], cases["without_segmentation"]
    everywhere = np.ones(truth.shape, bool)
    if suite == "sleeve_swap":
        region = arm_region(cases)
        return region, region
    if suite == "hem_swap":
        # The rows from one hem to the other, where legs come or go, and there all that changes.
        legs = segmentation.region(truth, segmentation.LEGS) != segmentation.region(without, segmentation.LEGS)
        changed = label_tables.merged(truth) != label_tables.merged(without)
        region = changed & legs.any(2, keepdims=True)
        return region, region
    if suite == "lettering":
        return print_region(cases), everywhere
    if suite == "back_view":
        return cases["output_limb"] == _HEAD, everywhere
    labels = {"arm_over_body": segmentation.ARMS, "hair_over_garment": segmentation.HAIR}[suite]
    behind = _garments(without)  # the trunk, or the garment, that lies below
    return segmentation.region(truth, labels) & behind, behind


def overlap(predicted: np.ndarray, truth: np.ndarray, labels: tuple[int, ...], within: np.ndarray) -> float:
    """How far layouts overlap.

    Args: labels: which are taken together. within: the pixels that count, bool [B, H, W].
    Returns: intersection over union, summed over the cases; NaN for nothing.
    """
    a, b = (segmentation.region(layouts, labels) & within for layouts in (predicted, truth))
    union = (a | b).sum()
    return float((a & b).sum() / union) if union else float("nan")


def layout_scores(suite: str, layouts: np.ndarray, cases: dict) -> dict[str, float]:
    """How the layouts deal with the difficulty; {} for lettering, which no layout shows."""
    if suite == "lettering":
        return {}
    region, within = regions(suite, cases)
    truth = cases["output_segmentation"]
    right = label_tables.merged(layouts) == label_tables.merged(truth)
    scores = {"layout_right": float(right[region].mean()) if region.any() else float("nan")}
    if suite == "back_view":
        scores["face_share"] = float(segmentation.region(layouts, segmentation.FACE)[region].mean())
    return scores | {name: overlap(layouts, truth, ids, within) for name, ids in OVERLAPS[suite].items()}


def _things(cases: dict, index: int) -> np.ndarray:
    """The mean colours [N, 3] of what may be seen in case `index`: the true picture's parts, the replaced garment."""
    image, labels = cases["output_image"][index] / 255.0, cases["output_segmentation"][index]
    skin = segmentation.FACE + segmentation.ARMS + segmentation.LEGS
    groups = ((0,), segmentation.HAIR, skin, segmentation.UPPER, segmentation.LOWER, segmentation.DRESS)
    masks = [(image, segmentation.region(labels, ids)) for ids in groups]
    kind = segmentation.GARMENT_TYPES[int(cases["garment_type"][index])]
    worn = segmentation.region(cases["input_segmentation"][index], segmentation.REPLACED_LABELS[kind])
    masks.append((cases["input_image"][index] / 255.0, worn))
    return np.stack([picture[mask].mean(0) for picture, mask in masks if mask.any()])


def right_fraction(images: np.ndarray, cases: dict, region: np.ndarray) -> np.ndarray:
    """The fraction of the region's pixels whose colour shows what the truth shows [B]; NaN where it is empty.

    A pixel shows the one of the background, hair, skin, the garments, and the replaced garment whose mean colour is
    nearest to its own.
    """
    fractions = np.full(len(images), np.nan)
    for i in np.flatnonzero(region.any((1, 2))):
        things = _things(cases, i)
        seen, true = (
            np.linalg.norm(picture[region[i]][:, None] - things, axis=-1).argmin(1)
            for picture in (images[i], cases["output_image"][i] / 255.0)
        )
        fractions[i] = (seen == true).mean()
    return fractions


def correlation(image: np.ndarray, truth: np.ndarray, box: np.ndarray, shift: int) -> float:
    """How legible the truth's pattern is in a picture [H, W, 3].

    Args: box: where, bool [H, W]. shift: by how many pixels it may be misplaced. Returns: the best normalised
    cross-correlation of the brightness; 1 for the truth, 0 for an even colour.
    """
    rows, columns = np.flatnonzero(box.any(1)), np.flatnonzero(box.any(0))
    grey = lambda a: np.asarray(a, np.float32).mean(-1)  # noqa: E731
    template = grey(truth)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    around = np.pad(grey(image), shift, mode="edge")
    around = around[rows[0] : rows[-1] + 1 + 2 * shift, columns[0] : columns[-1] + 1 + 2 * shift]
    template = template - template.mean()
    best = 0.0
    for place in np.lib.stride_tricks.sliding_window_view(around, template.shape).reshape(-1, *template.shape):
        place = place - place.mean()
        length = np.linalg.norm(place) * np.linalg.norm(template)
        if length > 1e-3 * template.size:
            best = max(best, float((place * template).sum() / length))
    return best


def correlations(images: np.ndarray, cases: dict) -> np.ndarray:
    """`correlation` of every case's print [B], over shifts of up to a 64th of the height; NaN where there is none."""
    truth, boxes = cases["output_image"] / 255.0, print_region(cases)
    shift = images.shape[1] // _SHIFT
    return np.array(
        [correlation(images[i], truth[i], box, shift) if box.any() else np.nan for i, box in enumerate(boxes)]
    )


def picture_scores(suite: str, images: np.ndarray, cases: dict) -> dict[str, float]:
    """How the pictures look where the difficulty lies: the mean over the cases that have such pixels."""
    truth, (region, _) = to_float(cases["output_image"]), regions(suite, cases)
    scores = {"psnr": metrics.psnr(images, truth, region), "ssim": metrics.ssim(images, truth, region)}
    if suite == "lettering":
        scores["correlation"] = correlations(images, cases)
    else:
        scores["right"] = right_fraction(images, cases, region)
    return {name: float(np.nanmean(values)) for name, values in scores.items()}


def landmarks(suite: str, cases: dict) -> dict[str, float]:
    """What the same scores are without the difficulty, and how legible a known picture's lettering is."""
    without = to_float(cases["without_image"])
    found = {
        f"without.{name}": value
        for name, value in (
            picture_scores(suite, without, cases) | layout_scores(suite, cases["without_segmentation"], cases)
        ).items()
    }
    if suite == "lettering":
        moved = zip(to_float(cases["donor_image"]), cases["flow"], strict=True)
        truth = to_float(cases["output_image"])
        known = {
            "true_flow": np.stack([temporal_filters.moved(donor, flow.astype(np.float32)) for donor, flow in moved]),
            "blurred": np.stack([cv2.GaussianBlur(picture, (0, 0), len(picture) / 128) for picture in truth]),
        }
        found |= {f"{name}.correlation": float(np.nanmean(correlations(p, cases))) for name, p in known.items()}
    return found


def suite_scores(suite: str, final: np.ndarray, images: dict[str, np.ndarray], cases: dict) -> dict[str, float]:
    """All numbers of one suite's cases.

    Args: final: target layouts. images: every arm's pictures. Returns: scores of layouts, of every arm and of the
    landmarks, named without 'failures.SUITE.'.
    """
    found = layout_scores(suite, final, cases)
    for arm, pictures in images.items():
        found |= {f"{arm}.{name}": value for name, value in picture_scores(suite, pictures, cases).items()}
    return found | landmarks(suite, cases)


class FailureSuite(protocol.Suite):
    """`num_failure_cases` cases of every failure suite.

    Args: options: those of the suite `catalogue`. systems: the arms of lab126.
    """

    name = "failures"

    def __init__(self, options, systems: dict[str, Lab126]):
        super().__init__(options)
        self.systems = systems

    def run(self):
        from vton_jax.catalogue import failures

        count, system = self.options.num_failure_cases, self.systems["none"]
        report.say(f"failure suites: {count} cases of each")
        cases = failures.draw_failures(count, system.size, self.options.seed)
        users = catalogue_steps.read_users(system.reader, cases["input_image"])
        poses = catalogue_steps.read_poses(system.reader, cases["pose_image"])
        garments, chosen = catalogue_steps.read_garments(system.reader, cases)
        cases, users, poses = catalogue_steps.only(chosen, cases, users, poses)
        coarse, _ = system.layouts.coarse_pairs(users.layout, garments, poses.layout)
        final = system.layouts.refined(coarse, users.layout, garments, poses.layout)
        goal = poses.layout.replace(segmentation=final)
        images = {arm: one.painter.dress(users, garments, goal).image for arm, one in self.systems.items()}
        for suite in failures.SUITES:
            chosen = np.flatnonzero(cases["suite"] == suite)
            if not len(chosen):  # in none of its cases a garment was found
                continue
            own = {name: values[chosen] for name, values in cases.items()}
            found = suite_scores(suite, final[chosen], {arm: shown[chosen] for arm, shown in images.items()}, own)
            filled = layout_scores(suite, completion.fill_unknown(coarse[chosen]), own)
            for name, value in (found | {f"coarse.{name}": value for name, value in filled.items()}).items():
                yield f"failures.{suite}.{name}", value
            sheet = catalogue_steps.result_sheet(cases, images, coarse, final, chosen)
            self.pictures[f"Failures, {suite.replace('_', ' ')}"] = sheet
        drawn = ", ".join(f"{suite} {count}" for suite in failures.SUITES)
        self.texts["protocol"]["failures"] = f"{drawn}, seed {self.options.seed}"

    def sections(self, results):
        return tables(results)


def tables(results: dict[str, float]) -> list[str]:
    """The report's tables, one a suite: a row a measure, a column for the layout, each arm and each landmark."""
    parts = []
    for suite in OVERLAPS:
        head = f"failures.{suite}."
        own = {name.removeprefix(head): value for name, value in results.items() if name.startswith(head)}
        if not own:
            continue
        columns = list(dict.fromkeys(name.rpartition(".")[0] for name in own))
        rows = []
        for measure in dict.fromkeys(name.rpartition(".")[2] for name in own):
            names = [f"{column}.{measure}".removeprefix(".") for column in columns]
            rows.append([measure, *(f"{own[name]:.4f}" if name in own else "" for name in names)])
        parts += [f"<h2>{suite.replace('_', ' ').capitalize()}</h2>"]
        parts += [report.html_table(["", *(column or "final layout" for column in columns)], rows)]
    return parts
