"""Scores: how alike two pictures, label maps, poses or flows are. NumPy in (or JAX arrays), NumPy out.

Conventions: images are floats [..., H, W, C] in [0, 1], masks bool [..., H, W], label maps integer [..., H, W], points
[..., J, 2] as `(x, y)` in pixels with `visible` bool [..., J], flows [..., H, W, 2] in pixels. Leading axes are free;
`ssim` and `psnr` return one number an image [...], the others say what they sum over. A score over nothing is NaN.
"""

import numpy as np

from vton_jax.core import label_tables

SSIM_TAPS = 11
SSIM_SIGMA = 1.5


def ssim_map(a, b) -> np.ndarray:
    """Structural similarity of each pixel and channel, [..., H - 10, W - 10, C] in [-1, 1].

    Wang et al. 2004: an 11-tap Gaussian window of sigma 1.5, K = (0.01, 0.03), range 1; only windows that lie inside
    the image count, so 5 pixels are missing at each border. Raises `ValueError` for sides below 11.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"ssim compares images of one shape, got {a.shape} and {b.shape}")
    if min(a.shape[-3:-1]) < SSIM_TAPS:
        raise ValueError(f"ssim needs at least {SSIM_TAPS}x{SSIM_TAPS} pixels, got {a.shape[-3:-1]}")
    mean_a, mean_b = _blur(a), _blur(b)
    variance_a = _blur(a * a) - mean_a**2
    variance_b = _blur(b * b) - mean_b**2
    covariance = _blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    return ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    )


def ssim(a, b, mask=None) -> np.ndarray:
    """The mean of `ssim_map` [...] over pixels and channels, or over the pixels of `mask` [..., H, W]."""
    values = ssim_map(a, b).mean(-1)
    if mask is None:
        return values.mean((-2, -1))
    border = SSIM_TAPS // 2
    return _masked_mean(values, np.asarray(mask)[..., border:-border, border:-border], (-2, -1))


def psnr(a, b, mask=None) -> np.ndarray:
    """Peak signal-to-noise ratio in dB [...], range 1, over all pixels or those of `mask`; equal images: inf."""
    error = np.square(np.asarray(a, np.float64) - np.asarray(b, np.float64)).mean(-1)
    mean = error.mean((-2, -1)) if mask is None else _masked_mean(error, mask, (-2, -1))
    with np.errstate(divide="ignore"):
        return -10 * np.log10(mean)


def confusion(predicted, truth, num_classes: int) -> np.ndarray:
    """Counts pixels into an int64 matrix [num_classes, num_classes + 1]: rows are the truth, columns the prediction.

    Pixels whose truth is outside the table (`UNKNOWN`, -1) are left out. The last column counts predictions outside
    the table, such as unfilled holes: they belong to no class but miss the true one.
    """
    predicted, truth = np.asarray(predicted).astype(np.int64).ravel(), np.asarray(truth).astype(np.int64).ravel()
    if predicted.shape != truth.shape:
        raise ValueError(f"confusion compares label maps of one shape, got {predicted.size} and {truth.size} pixels")
    known = (truth >= 0) & (truth < num_classes)
    predicted = np.where((predicted >= 0) & (predicted < num_classes), predicted, num_classes)
    index = truth[known] * (num_classes + 1) + predicted[known]
    return np.bincount(index, minlength=num_classes * (num_classes + 1)).reshape(num_classes, num_classes + 1)


def miou_from_confusion(matrix: np.ndarray) -> tuple[float, list[float]]:
    """Mean intersection over union over the classes present in the truth, and each class's (NaN when absent)."""
    matrix = np.asarray(matrix, np.int64)
    classes = len(matrix)
    intersection = np.diagonal(matrix)
    truth = matrix.sum(1)
    union = truth + matrix[:, :classes].sum(0) - intersection
    per_class = np.where(truth > 0, intersection / np.maximum(union, 1), np.nan)
    return (float(np.nanmean(per_class)) if (truth > 0).any() else float("nan")), per_class.tolist()


class SegmentationScore:
    """Sums intersections and unions over a whole set, over `label_tables.MERGED_LABELS`."""

    def __init__(self):
        classes = len(label_tables.MERGED_LABELS)
        self.matrix = np.zeros((classes, classes + 1), np.int64)

    def add(self, predicted, truth) -> None:
        """Adds label maps [..., H, W] in ATR's ids. Unknown truth is left out, unknown predictions are misses."""
        merged = label_tables.merged
        self.matrix += confusion(merged(np.asarray(predicted)), merged(np.asarray(truth)), len(self.matrix))

    @property
    def miou(self) -> float:
        """The mean over the merged classes present in the truth so far."""
        return miou_from_confusion(self.matrix)[0]

    @property
    def per_class(self) -> dict[str, float]:
        """Intersection over union by merged label; NaN for labels absent from the truth so far."""
        return dict(zip(label_tables.MERGED_LABELS, miou_from_confusion(self.matrix)[1], strict=True))


def pck(predicted_xy, predicted_visible, true_xy, true_visible, heights, *, fraction: float = 0.05) -> float:
    """How many joints are found.

    Args: heights: of the people, in pixels; one axis less than `visible`. fraction: of the height, what is close.
    Returns: of the truly visible joints, over all people given, the fraction that is predicted visible and close.
    """
    true_visible = np.asarray(true_visible, bool)
    distance = np.linalg.norm(np.asarray(predicted_xy, np.float64) - np.asarray(true_xy, np.float64), axis=-1)
    close = distance <= fraction * np.asarray(heights, np.float64)[..., None]
    found = close & np.asarray(predicted_visible, bool) & true_visible
    return float(found.sum() / true_visible.sum()) if true_visible.any() else float("nan")


def endpoint_error(flow, true_flow, mask=None) -> float:
    """Mean distance in pixels between two flows over all pixels given, or over those of `mask` [..., H, W]."""
    distance = np.linalg.norm(np.asarray(flow, np.float64) - np.asarray(true_flow, np.float64), axis=-1)
    mask = np.ones(distance.shape, bool) if mask is None else mask
    return float(_masked_mean(distance, mask, None))


def bootstrap_interval(differences, seed: int = 0, resamples: int = 2000) -> tuple[float, float, float]:
    """Mean of per-case differences [B] and its 95% percentile bootstrap interval: (mean, low, high).

    Cases are drawn with replacement (B. Efron, 1979), deterministically by the seed; NaN cases are left out.
    """
    differences = np.asarray(differences, np.float64)
    differences = differences[~np.isnan(differences)]
    if not len(differences):
        return (float("nan"),) * 3
    index = np.random.default_rng(seed).integers(0, len(differences), (resamples, len(differences)))
    low, high = np.percentile(differences[index].mean(1), (2.5, 97.5))
    return float(differences.mean()), float(low), float(high)


def kernel_distance(a, b, seed: int = 0, resamples: int = 1000) -> tuple[float, float, float]:
    """The squared maximum mean discrepancy of two sets of features, without bias and unscaled: (value, low, high).

    Args: a [N, D], b [M, D], of 4 rows or more. Returns: 0 on average for sets of one origin, which may fall below;
    and the 95% interval.

    The kernel is (x.y / D + 1)^3 (M. Binkowski and others, "Demystifying MMD GANs", ICLR 2018, section 4), the
    estimator equation 3 of A. Gretton and others, "A Kernel Two-Sample Test", JMLR 2012. The interval is of random
    halves of both sets without replacement: a half strays from the whole about as the whole does from the truth (D.
    Politis and J. Romano, Annals of Statistics 1994). Deterministic by the seed.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if min(len(a), len(b)) < 4:
        raise ValueError(f"kernel_distance compares sets of 4 or more, got {len(a)} and {len(b)}")
    kernels = [(x @ y.T / a.shape[1] + 1) ** 3 for x, y in ((a, a), (b, b), (a, b))]
    for within in kernels[:2]:
        np.fill_diagonal(within, 0)  # nothing is compared with itself

    def distances(chosen_a: np.ndarray, chosen_b: np.ndarray) -> np.ndarray:
        """Of parts: [R] of masks [R, N] and [R, M]."""
        pairs = ((chosen_a, chosen_a), (chosen_b, chosen_b), (chosen_a, chosen_b))
        sums = [np.einsum("rn,rn->r", x @ kernel, y) for (x, y), kernel in zip(pairs, kernels, strict=True)]
        n, m = chosen_a.sum(1), chosen_b.sum(1)
        return sums[0] / (n * (n - 1)) + sums[1] / (m * (m - 1)) - 2 * sums[2] / (n * m)

    generator = np.random.default_rng(seed)
    halves = [generator.random((resamples, len(x))).argsort(1) < len(x) // 2 for x in (a, b)]
    low, high = np.percentile(distances(*(half.astype(np.float64) for half in halves)), (2.5, 97.5))
    (value,) = distances(np.ones((1, len(a))), np.ones((1, len(b))))
    return float(value), float(low), float(high)


def _blur(image: np.ndarray) -> np.ndarray:
    """The Gaussian window's mean at every place where the window fits; [..., H - 10, W - 10, C]."""
    taps = np.exp(-0.5 * np.square((np.arange(SSIM_TAPS) - SSIM_TAPS // 2) / SSIM_SIGMA))
    taps /= taps.sum()
    height, width = image.shape[-3] - SSIM_TAPS + 1, image.shape[-2] - SSIM_TAPS + 1
    rows = sum(tap * image[..., i : i + height, :, :] for i, tap in enumerate(taps))
    return sum(tap * rows[..., :, i : i + width, :] for i, tap in enumerate(taps))


def _masked_mean(values: np.ndarray, mask, axis) -> np.ndarray:
    mask = np.broadcast_to(np.asarray(mask, bool), values.shape)
    count = mask.sum(axis)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(mask, values, 0).sum(axis) / np.where(count > 0, count, np.nan)
