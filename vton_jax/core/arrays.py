"""NumPy arrays that are made when somebody looks at them, and functions that take NumPy's arrays and JAX's alike."""

import functools
from collections.abc import Callable
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np


def numpy_of(*arrays) -> ModuleType:
    """`jax.numpy` where one of the arrays is JAX's, traced or not; else NumPy: outside a program `jax.numpy` would
    compile one for every function of every shape.
    """
    return jnp if any(isinstance(one, jax.Array) for one in arrays) else np


class Deferred:
    """An array that may never be wanted: a leaf of trees, with a shape, whose parts are as deferred as itself.

    Args: make: gives the array float32 of the shape; called once, when `np.asarray` first wants it.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, make: Callable[[], np.ndarray], shape: tuple[int, ...]):
        self._make, self.shape = make, tuple(shape)

    @property
    def ndim(self) -> int:
        """As of an array."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    @functools.cached_property
    def _array(self) -> np.ndarray:
        return np.asarray(self._make(), self.dtype)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self._array, dtype) if copy else np.asarray(self._array, dtype)

    def __getitem__(self, index) -> "Deferred":
        shape = np.broadcast_to(np.float32(0), self.shape)[index].shape
        return Deferred(lambda: self._array[index], shape)
