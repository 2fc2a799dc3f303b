"""Scores that several suites share. Results are {name: number} as in results.json.

Conventions: pictures are floats [B, H, W, 3] in [0, 1], layouts label ids [B, H, W], regions masks bool [B, H, W];
`cases` are the stacked NumPy arrays of `catalogue.cases.draw_cases`.
"""

import cv2
import jax
import numpy as np

from vton_jax.core import keypoints, segmentation
from vton_jax.core.framing import to_float
from vton_jax.core.types import Garment, Layout
from vton_jax.evaluate import metrics

FLOW_HEIGHT = 128  # endpoint errors are given in pixels at 128x96
PICTURE_SCORES = {"ssim": "SSIM", "psnr": "PSNR", "ssim_garment": "SSIM garment", "psnr_garment": "PSNR garment"}
_DETAIL = 0.02  # of the picture's height: what is larger is no detail of a print
_PRINT = 2.0  # CIELAB units that a print's detail deviates by at least


def stack(items):
    """Trees of arrays [...] -> one of arrays [B, ...]."""
    return jax.tree.map(lambda *a: np.stack(a), *items)


def at(tree, index):
    """A tree of arrays [B, ...] at an index or a slice."""
    return jax.tree.map(lambda a: a[index], tree)


# ---------------------------------------------------------------------------------------------------------- of pictures


def frame_scores(images: np.ndarray, truth: np.ndarray, garment: np.ndarray) -> dict[str, np.ndarray]:
    """SSIM and PSNR of each frame [B], over the picture and over the garment's region."""
    return {
        "ssim": metrics.ssim(images, truth),
        "psnr": metrics.psnr(images, truth),
        "ssim_garment": metrics.ssim(images, truth, garment),
        "psnr_garment": metrics.psnr(images, truth, garment),
    }


def case_scores(images: np.ndarray, cases: dict) -> dict[str, np.ndarray]:
    """`frame_scores` of every case against its truth."""
    return frame_scores(images, to_float(cases["output_image"]), cases["garment_mask"])


def alone(pictures: np.ndarray, garment: np.ndarray) -> np.ndarray:
    """Pictures [..., H, W, 3], grey everywhere but in the garment's region: what LPIPS of a garment compares."""
    return np.where(garment[..., None], pictures, np.float32(0.5))


def lightness(picture: np.ndarray) -> np.ndarray:
    """CIELAB's L of a picture float [H, W, 3], in 0 to 100."""
    return cv2.cvtColor(np.asarray(picture, np.float32), cv2.COLOR_RGB2LAB)[..., 0]


def print_correlation(answer: np.ndarray, truth: np.ndarray, garment: np.ndarray) -> float:
    """Of the detail of two lightnesses [H, W] within a region; NaN where the truth is plain or hardly there."""
    sigma = _DETAIL * len(garment)
    inner = cv2.erode(garment.astype(np.uint8), np.ones((5, 5))) > 0
    details = []
    for light in (answer, truth):
        weight = garment.astype(np.float32)
        mean = cv2.GaussianBlur(light * weight, (0, 0), sigma) / np.maximum(
            cv2.GaussianBlur(weight, (0, 0), sigma), 1e-3
        )
        details.append((light - mean)[inner])
    if inner.sum() < 50 or details[1].std() < _PRINT:
        return float("nan")
    return float(np.corrcoef(*details)[0, 1]) if details[0].std() > 1e-3 else 0.0


def means(name: str, scores: dict[str, np.ndarray]) -> dict[str, float]:
    """The mean of each score over the cases that have one, as `name.score`."""
    return {f"{name}.{score}": float(np.nanmean(values)) for score, values in scores.items()}


def picture_scores(name: str, images: np.ndarray, cases: dict) -> dict[str, float]:
    """The means of `case_scores`."""
    return means(name, case_scores(images, cases))


def sharpness(frames: np.ndarray) -> float:
    """Mean magnitude of the image gradient: ghosts and blur lower it."""
    return float(np.mean([np.abs(np.diff(frames, axis=axis)).mean() for axis in (1, 2)]))


def paste(pose_image: np.ndarray, pose: Layout, garment: Garment) -> np.ndarray:
    """The baseline: the garment on the pose image uint8 [H, W, 3], moved by the similarity that best fits the common
    joints; float [H, W, 3]."""
    joints = [keypoints.ID[n] for n in ("neck", "left-shoulder", "right-shoulder", "left-hip", "right-hip")]
    both = [j for j in joints if pose.visible[j] and garment.layout.visible[j]]
    image = to_float(pose_image)
    if len(both) < 2:
        return image
    source, target = garment.layout.keypoints[both], pose.keypoints[both]
    matrix, _ = cv2.estimateAffinePartial2D(source.astype(np.float32), target.astype(np.float32), method=cv2.LMEDS)
    if matrix is None:
        return image
    labels = segmentation.GARMENT_LABELS[segmentation.GARMENT_TYPES[int(garment.garment_type)]]
    mask = segmentation.region(garment.layout.segmentation, labels).astype(np.float32)
    size = image.shape[1::-1]
    mask = cv2.warpAffine(mask, matrix, size)[..., None]
    dress = cv2.warpAffine(garment.image.astype(np.float32), matrix, size, borderValue=(1, 1, 1))
    return image * (1 - mask) + dress * mask


# ---------------------------------------------------------------------------------------------- of layouts and of flows


def layout_score(predicted: np.ndarray, truth: np.ndarray) -> metrics.SegmentationScore:
    """Intersections and unions summed over the layouts given."""
    total = metrics.SegmentationScore()
    total.add(predicted, truth)
    return total


def flow_error(flow: np.ndarray, cases: dict, chosen=slice(None)) -> float:
    """Mean endpoint error of the chosen cases on the visible area, in pixels at 128x96."""
    flow, truth, visible = flow[chosen], cases["flow"][chosen], cases["flow_visible"][chosen]
    return metrics.endpoint_error(flow, truth, visible) * FLOW_HEIGHT / cases["flow"].shape[1]


# ---------------------------------------------------------------------------------------------------------- comparisons


def arm_differences(group: str, scores: dict[str, dict[str, np.ndarray]], seed: int) -> dict[str, float]:
    """`joint` minus each other arm: the mean over cases of every score, with a 95% bootstrap interval paired by case.

    Args: scores: arm to its `case_scores`.
    """
    results = {}
    for arm in (arm for arm in scores if arm != "joint"):
        for score, values in scores["joint"].items():
            name = f"{group}.joint_minus_{arm}.{score}"
            found = metrics.bootstrap_interval(values - scores[arm][score], seed)
            results |= dict(zip((name, f"{name}.low", f"{name}.high"), found, strict=True))
    return results


def wilson(successes: int, count: int) -> tuple[float, float]:
    """The 95% interval of a proportion, by E. B. Wilson (1927): (low, high); NaN for a count of 0."""
    if not count:
        return float("nan"), float("nan")
    z, proportion = 1.959964, successes / count
    middle = (proportion + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * np.sqrt(proportion * (1 - proportion) / count + z * z / (4 * count * count))
    return float(middle - half), float(middle + half)


def fraction_improved(name: str, scores: np.ndarray, others: np.ndarray) -> dict[str, float]:
    """The fraction of cases whose score is above the other's, as `name`; its 95% interval `name_low`, `name_high`."""
    better = int(np.sum(np.asarray(scores) > np.asarray(others)))
    low, high = wilson(better, len(scores))
    return {name: better / len(scores) if len(scores) else float("nan"), f"{name}_low": low, f"{name}_high": high}
