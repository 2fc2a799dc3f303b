"""Layers against the plain operations that they stand for."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vton_jax.models import layers


def pictures(size, channels=3, seed=0):
    return jnp.asarray(np.random.default_rng(seed).random((2, *size, channels), np.float32))


def test_a_patch_embedding_is_a_convolution_of_the_joined_parts():
    keys = jax.random.split(jax.random.PRNGKey(0), 4)
    shapes = (2, 16, 24, 3), (2, 16, 24, 5), (2, 4, 6, 2)  # the last holds for all pixels of a patch
    parts = [jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=False)]
    ours, plain = layers.PatchEmbedding(7), nn.Conv(7, (4, 4), (4, 4))

    def joined(parts):
        return jnp.concatenate([*parts[:2], layers.upsample(parts[2], 4)], -1)

    params = plain.init(keys[3], joined(parts))
    made = ours.init(keys[3], parts)
    jax.tree.map(np.testing.assert_array_equal, made, params)
    params["params"]["bias"] += 0.5
    weight = jax.random.normal(keys[3], (2, 4, 6, 7))

    def measure(embed):
        return jax.value_and_grad(lambda params, parts: jnp.sum(weight * embed(params, parts)), (0, 1))(params, parts)

    expected = measure(lambda params, parts: plain.apply(params, joined(parts)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), measure(ours.apply), expected)


@pytest.mark.parametrize(("height", "width", "channels", "features"), [(1, 1, 3, 2), (4, 3, 5, 7), (2, 6, 8, 3)])
def test_a_doubled_convolution_is_the_convolution_of_the_upsampled_map(height, width, channels, features):
    generator = np.random.default_rng(height)
    x, kernel, towards = (
        jnp.asarray(generator.standard_normal(shape), jnp.float32)
        for shape in ((2, height, width, channels), (3, 3, channels, features), (2, 2 * height, 2 * width, features))
    )

    def plain(x, kernel):
        return jax.lax.conv_general_dilated(
            layers.upsample(x), kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    (found, found_pull), (wanted, wanted_pull) = (jax.vjp(convolve, x, kernel) for convolve in (layers.doubled, plain))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    for name, one, other in zip(("input", "kernel"), found_pull(towards), wanted_pull(towards), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max(), err_msg=name)


def test_a_doubled_block_takes_the_weights_of_a_block_behind_an_upsampling():
    x = pictures((6, 4), 16)
    plain, ours = (layers.ConvBlock(24, doubled=doubled) for doubled in (False, True))
    params = plain.init(jax.random.PRNGKey(0), layers.upsample(x))
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, ours.init(jax.random.PRNGKey(0), x))
    np.testing.assert_allclose(ours.apply(params, x), plain.apply(params, layers.upsample(x)), rtol=1e-5, atol=1e-5)
