"""Losses against slow, obvious references."""

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.evaluate import metrics
from vton_jax.models import losses

# Each is compiled whole: its operations one by one take far longer.
gradient_difference, total_variation, masked_mean, structural_dissimilarity = map(
    jax.jit, (losses.gradient_difference, losses.total_variation, losses.masked_mean, losses.structural_dissimilarity)
)


def pictures(size, channels=3, seed=0):
    return np.random.default_rng(seed).random((2, *size, channels), np.float32)


def test_gradient_difference_against_loops():
    a, b = pictures((5, 4)), pictures((5, 4), seed=1)
    down = [abs((a[n, y + 1, x] - a[n, y, x]) - (b[n, y + 1, x] - b[n, y, x])).mean()
            for n in range(2) for y in range(4) for x in range(4)]  # fmt: skip
    right = [abs((a[n, y, x + 1] - a[n, y, x]) - (b[n, y, x + 1] - b[n, y, x])).mean()
             for n in range(2) for y in range(5) for x in range(3)]  # fmt: skip
    np.testing.assert_allclose(gradient_difference(a, b), np.mean(down) + np.mean(right), rtol=1e-5)
    np.testing.assert_allclose(gradient_difference(a, a + 0.3), 0, atol=1e-6)  # a constant is no edge


def test_total_variation_against_loops():
    flow = pictures((5, 4), 2)
    inside = np.random.default_rng(3).random((2, 5, 4)) < 0.7
    down, right = [], []
    for n in range(2):
        for y in range(5):
            for x in range(4):
                for other, found in (((n, y + 1, x), down), ((n, y, x + 1), right)):
                    if other[1] < 5 and other[2] < 4:
                        both = inside[n, y, x] and inside[other]
                        found.append(abs(flow[other] - flow[n, y, x]).sum() if both else 0.0)
    np.testing.assert_allclose(total_variation(flow, inside), np.mean(down) + np.mean(right), rtol=1e-5)


def test_the_flow_may_jump_at_a_boundary():
    flow, inside = np.zeros((1, 4, 8, 2), np.float32), np.ones((1, 4, 8), np.float32)
    flow[:, :, 4:], inside[:, :, 4] = 10, 0
    assert total_variation(flow, inside) == 0 < total_variation(flow, np.ones_like(inside))


def test_masked_mean():
    values, mask = pictures((5, 4))[..., 0], np.random.default_rng(4).random((2, 5, 4)) < 0.5
    np.testing.assert_allclose(masked_mean(values, mask), values[mask].mean(), rtol=1e-5)
    assert masked_mean(values, np.zeros_like(mask)) == 0


def test_structural_dissimilarity_is_one_minus_ssim():
    a = pictures((24, 20))
    b = np.clip(a + 0.2 * pictures((24, 20), seed=1), 0, 1)
    found = structural_dissimilarity(a, b)
    np.testing.assert_allclose(found[:, 5:-5, 5:-5], 1 - metrics.ssim_map(a, b), atol=2e-4)
    np.testing.assert_allclose(structural_dissimilarity(a, a), 0, atol=1e-5)
    assert found.shape == a.shape


def test_least_squares_adversarial():
    scores = np.float32([1, 0])
    assert losses.least_squares_adversarial(scores, True) == losses.least_squares_adversarial(scores, False) == 0.5
    assert losses.least_squares_adversarial(np.ones(2, np.float32), True) == 0


def test_a_network_with_a_stride_sees_every_pixel_alike():
    a, b = (jax.random.uniform(jax.random.PRNGKey(i), (2, 8, 8, 3)) for i in range(2))
    keys = jax.random.split(jax.random.PRNGKey(2), 400)

    def seen(key):
        def every_fourth(picture):
            one, two = losses.moved_alike(key, picture, b)
            return jnp.abs(one - two)[:, ::4, ::4].sum()

        return jnp.abs(jax.grad(every_fourth)(a)), jnp.sort(losses.moved_alike(key, a, b)[0].ravel())

    gradients, values = jax.vmap(seen)(keys)
    assert (gradients[0] == 0).mean() == 15 / 16  # at one time
    mean = gradients.mean(0)
    assert jnp.abs(mean - 1 / 16).max() < 0.05
    assert (values == jnp.sort(a.ravel())).all()  # nothing is lost
