"""Scores against slow, obvious references."""

import numpy as np
import pytest

from vton_jax.core import label_tables, segmentation
from vton_jax.evaluate import metrics


def _slow_ssim_map(a, b):
    """Wang et al. 2004, window by window, as the paper's text has it."""
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    height, width, channels = a.shape
    values = np.zeros((height - 10, width - 10, channels))
    for y, x, c in np.ndindex(*values.shape):
        p, q = a[y : y + 11, x : x + 11, c], b[y : y + 11, x : x + 11, c]
        mean_p, mean_q = (window * p).sum(), (window * q).sum()
        variance_p, variance_q = (window * (p - mean_p) ** 2).sum(), (window * (q - mean_q) ** 2).sum()
        covariance = (window * (p - mean_p) * (q - mean_q)).sum()
        values[y, x, c] = ((2 * mean_p * mean_q + 0.01**2) * (2 * covariance + 0.03**2)) / (
            (mean_p**2 + mean_q**2 + 0.01**2) * (variance_p + variance_q + 0.03**2)
        )
    return values


@pytest.fixture
def pair():
    generator = np.random.default_rng(0)
    a = generator.random((24, 19, 3))
    return a, np.clip(a + generator.normal(0, 0.15, a.shape), 0, 1)


def test_ssim_against_a_slow_reference(pair):
    slow = _slow_ssim_map(*pair)
    np.testing.assert_allclose(metrics.ssim_map(*pair), slow, atol=1e-10)
    assert metrics.ssim(*pair) == pytest.approx(slow.mean())
    mask = np.zeros((24, 19), bool)
    mask[8:15, 0:12] = True
    assert metrics.ssim(*pair, mask) == pytest.approx(slow[3:10, 0:7].mean())
    assert metrics.ssim(pair[0].astype(np.float32), pair[1].astype(np.float32)) == pytest.approx(slow.mean(), abs=1e-6)


def test_ssim_properties(pair):
    a, b = pair
    assert metrics.ssim(a, a) == pytest.approx(1)
    assert metrics.ssim(a, b) == pytest.approx(metrics.ssim(b, a))
    assert metrics.ssim(a, 1 - a) < 0
    assert np.isnan(metrics.ssim(a, b, np.zeros((24, 19), bool)))
    both = metrics.ssim(np.stack([a, a]), np.stack([b, a]))
    np.testing.assert_allclose(both, [metrics.ssim(a, b), 1])
    with pytest.raises(ValueError, match="11x11"):
        metrics.ssim(a[:8], b[:8])
    with pytest.raises(ValueError, match="one shape"):
        metrics.ssim(a, b[:-1])


def test_psnr(pair):
    a, b = pair
    assert metrics.psnr(a, b) == pytest.approx(10 * np.log10(1 / np.mean((a - b) ** 2)))
    assert metrics.psnr(a, a) == np.inf
    assert metrics.psnr(np.zeros((4, 4, 3)), np.full((4, 4, 3), 0.1)) == pytest.approx(20)
    mask = np.zeros((24, 19), bool)
    mask[:5] = True
    assert metrics.psnr(a, b, mask) == pytest.approx(metrics.psnr(a[:5], b[:5]))
    assert np.isnan(metrics.psnr(a, b, mask & ~mask))


def test_confusion_and_miou_against_sets():
    generator = np.random.default_rng(1)
    truth, predicted = generator.integers(0, 4, (2, 30, 20)), generator.integers(0, 5, (2, 30, 20))
    truth[truth == 2] = -1  # class 2 never occurs and some pixels are unknown
    predicted[0, :3] = 255  # holes
    mean, per_class = metrics.miou_from_confusion(metrics.confusion(predicted, truth, 5))
    expected = []
    for label in range(5):
        wanted, found = truth == label, (predicted == label) & (truth >= 0)
        expected.append((wanted & found).sum() / (wanted | found).sum() if wanted.any() else np.nan)
    np.testing.assert_allclose(per_class, expected)
    assert mean == pytest.approx(np.nanmean(expected))
    assert np.isnan(metrics.miou_from_confusion(np.zeros((3, 3), int))[0])


def test_segmentation_score_sums_over_the_set():
    score = metrics.SegmentationScore()
    arm, other_arm = segmentation.ID["left-arm"], segmentation.ID["right-arm"]
    score.add(np.array([[arm, 0]]), np.array([[other_arm, 0]]))  # one merged class
    assert score.miou == 1
    score.add(np.full((1, 2), segmentation.UNKNOWN, np.uint8), np.array([[arm, segmentation.UNKNOWN]]))
    assert score.per_class["arms"] == 0.5 and score.per_class["background"] == 1
    assert np.isnan(score.per_class["dress"]) and score.miou == 0.75
    assert list(score.per_class) == list(label_tables.MERGED_LABELS)


def test_pck():
    true = np.zeros((2, 3, 2))
    predicted = true.copy()
    predicted[0, 0] = (3, 4)  # 5 pixels away: just close enough for a person of 100
    predicted[1, 0] = (3, 4.1)
    true_visible = np.array([[True, True, False], [True, True, True]])
    predicted_visible = np.array([[True, True, True], [True, True, False]])
    heights = np.array([100, 100])
    assert metrics.pck(predicted, predicted_visible, true, true_visible, heights) == pytest.approx(3 / 5)
    assert metrics.pck(predicted, predicted_visible, true, true_visible, heights, fraction=0.06) == pytest.approx(4 / 5)
    assert np.isnan(metrics.pck(predicted, predicted_visible, true, true_visible & False, heights))


def test_endpoint_error():
    flow = np.zeros((4, 5, 2))
    true = flow.copy()
    true[:2] = (3, 4)
    assert metrics.endpoint_error(flow, true) == pytest.approx(2.5)
    mask = np.zeros((4, 5), bool)
    assert np.isnan(metrics.endpoint_error(flow, true, mask))
    mask[0] = True
    assert metrics.endpoint_error(flow, true, mask) == pytest.approx(5)


def test_bootstrap_interval_of_a_known_case():
    values = np.random.default_rng(0).normal(2, 3, 400)
    mean, low, high = metrics.bootstrap_interval(values, 1)
    # The normal approximation of the same interval.
    half = 1.96 * values.std() / np.sqrt(400)
    assert mean == pytest.approx(values.mean())
    assert low == pytest.approx(mean - half, abs=0.03) and high == pytest.approx(mean + half, abs=0.03)
    assert metrics.bootstrap_interval(values, 1) == (mean, low, high) != metrics.bootstrap_interval(values, 2)
    assert metrics.bootstrap_interval([1, 1, np.nan]) == (1, 1, 1)
    assert np.isnan(metrics.bootstrap_interval([np.nan])).all()


def _slow_kernel_distance(a, b):
    """Gretton et al. 2012, equation 3, pair by pair."""
    kernel = lambda x, y: (sum(p * q for p, q in zip(x, y, strict=True)) / len(x) + 1) ** 3  # noqa: E731
    within = [
        sum(kernel(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j) / (len(x) * (len(x) - 1))
        for x in (a, b)
    ]
    return within[0] + within[1] - 2 * sum(kernel(x, y) for x in a for y in b) / (len(a) * len(b))


def test_the_kernel_distance_is_the_slow_one():
    generator = np.random.default_rng(0)
    a, b = generator.random((7, 5)), generator.random((9, 5)) + 0.2
    value, low, high = metrics.kernel_distance(a, b)
    assert value == pytest.approx(_slow_kernel_distance(a, b)) and low < value < high
    assert metrics.kernel_distance(b, a)[0] == pytest.approx(value)
    assert metrics.kernel_distance(a, b) == (value, low, high) != metrics.kernel_distance(a, b, seed=1)
    with pytest.raises(ValueError, match="sets of 4 or more, got 3 and 9"):
        metrics.kernel_distance(a[:3], b)


def test_the_kernel_distance_has_no_bias_and_its_interval_is_about_right():
    """Over many sets of one origin the mean is 0, however few; and 95 of 100 intervals or so hold the truth."""
    generator = np.random.default_rng(0)
    same = [metrics.kernel_distance(*generator.normal(0, 1, (2, 8, 4)), resamples=2)[0] for _ in range(600)]
    assert abs(np.mean(same)) < 4 * np.std(same) / np.sqrt(len(same))
    draw = lambda count: (generator.normal(0, 1, (count, 4)), generator.normal(0.8, 1, (count, 4)))  # noqa: E731
    truth = np.mean([metrics.kernel_distance(*draw(100), resamples=2)[0] for _ in range(50)])
    intervals = [metrics.kernel_distance(*draw(60), resamples=100)[1:] for _ in range(100)]
    inside = [low < truth < high for low, high in intervals]
    assert 0.88 < np.mean(inside) < 0.99
