"""Layers against the plain operations that they stand for."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn_params import drawn_params

from vton_jax.models import layers


def pictures(size, channels=3, seed=0):
    return np.random.default_rng(seed).random((2, *size, channels), np.float32)


def test_a_patch_embedding_is_a_convolution_of_the_joined_parts():
    generator = np.random.default_rng(0)
    shapes = (2, 16, 24, 3), (2, 16, 24, 5), (2, 4, 6, 2)  # the last holds for all pixels of a patch
    *parts, weight = (generator.standard_normal(shape, np.float32) for shape in (*shapes, (2, 4, 6, 7)))
    ours, plain = layers.PatchEmbedding(7), nn.Conv(7, (4, 4), (4, 4))

    def joined(parts):
        return jnp.concatenate([*parts[:2], layers.upsample(parts[2], 4)], -1)

    make = lambda key, parts: (plain.init(key, joined(parts)), ours.init(key, parts))  # noqa: E731
    params, made = jax.device_get(jax.jit(make)(jax.random.PRNGKey(0), parts))
    jax.tree.map(np.testing.assert_array_equal, made, params)
    params["params"]["bias"] = params["params"]["bias"] + np.float32(0.5)

    def measure(embed):
        found = jax.value_and_grad(lambda params, parts: jnp.sum(weight * embed(params, parts)), (0, 1))
        return jax.jit(found)(params, parts)

    expected = measure(lambda params, parts: plain.apply(params, joined(parts)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), measure(ours.apply), expected)


@pytest.mark.parametrize(("height", "width", "channels", "features"), [(1, 1, 3, 2), (4, 3, 5, 7), (2, 6, 8, 3)])
def test_a_doubled_convolution_is_the_convolution_of_the_upsampled_map(height, width, channels, features):
    generator = np.random.default_rng(height)
    x, kernel, towards = (
        generator.standard_normal(shape, np.float32)
        for shape in ((2, height, width, channels), (3, 3, channels, features), (2, 2 * height, 2 * width, features))
    )

    def plain(x, kernel):
        return jax.lax.conv_general_dilated(
            layers.upsample(x), kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def measure(convolve):
        out, pull = jax.vjp(convolve, x, kernel)
        return out, pull(towards)

    (found, ours), (wanted, theirs) = jax.jit(lambda: [measure(one) for one in (layers.doubled, plain)])()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    for name, one, other in zip(("input", "kernel"), ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max(), err_msg=name)


def test_a_doubled_block_takes_the_weights_of_a_block_behind_an_upsampling():
    x = pictures((6, 4), 16)
    plain, ours = (layers.ConvBlock(24, doubled=doubled) for doubled in (False, True))
    params = drawn_params(plain, np.repeat(np.repeat(x, 2, 1), 2, 2))
    shapes = jax.eval_shape(ours.init, jax.random.PRNGKey(0), x)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, shapes)
    both = jax.jit(lambda params: (ours.apply(params, x), plain.apply(params, layers.upsample(x))))
    np.testing.assert_allclose(*both(params), rtol=1e-5, atol=1e-5)
