"""Untrained networks without the wait for the compiler."""

import contextlib

import jax.numpy as jnp
import numpy as np
import pytest


@contextlib.contextmanager
def quick_kernels():
    """Kernels begin as hashes of their places, as widely spread as random ones; zeros and ones stay what they are.

    Drawing each kernel is a program of its own, which takes twice as long to compile as the network's gradient. Where
    JAX keeps its draws elsewhere, they are drawn.
    """

    def hashed(key, lower, upper, shape=(), dtype=jnp.float32, **_):
        places = jnp.arange(int(np.prod(shape)), dtype=jnp.float32)
        return (1.5 * (2 * (jnp.sin(12.9898 * places) * 43758.547 % 1) - 1)).reshape(shape).astype(dtype)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jax._src.random.truncated_normal", hashed, raising=False)
        yield
