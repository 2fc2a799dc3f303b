"""Work in equal parts, so that one compiled program serves any number of frames; trees of NumPy arrays [T, ...].

A part that lacks frames repeats the last one; what becomes of the repetitions is thrown away.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

_AWAITED = contextvars.ContextVar("awaited", default=False)


@contextlib.contextmanager
def awaited() -> Iterator[None]:
    """Within it a single frame is never filled up to a full part: somebody waits for it, and has programs for one."""
    token = _AWAITED.set(True)
    try:
        yield
    finally:
        _AWAITED.reset(token)


def parts(count: int, batch: int) -> Iterator[np.ndarray]:
    """The indices [batch] of each part of `count` frames."""
    for first in range(0, count, batch):
        yield np.minimum(np.arange(first, first + batch), count - 1)


def in_batches(function: Callable, frames, batch: int, *, full: bool = False):
    """What `function` makes of a tree of `frames` [T, ...], called with parts [batch, ...] of it: a tree of [T, ...].

    A single frame makes a part of its own, unless it should be `full`: one shape for every T, or two; see `awaited`.
    """
    count, full = len(jax.tree.leaves(frames)[0]), full and not _AWAITED.get()
    done = [
        jax.device_get(function(jax.tree.map(lambda a, i=index: a[i], frames)))
        for index in parts(count, 1 if count == 1 and not full else batch)
    ]
    return jax.tree.map(lambda *a: np.concatenate(a)[:count], *done)


def spread(tree, count: int):
    """A tree of arrays [...] for each of `count` frames: views [count, ...]."""
    return jax.tree.map(lambda a: np.broadcast_to(np.asarray(a), (count, *np.shape(a))), tree)


def stacked(*trees):
    """Trees of arrays [...] as one of arrays [len(trees), ...]; what is missing in all stays so. For `jax.vmap`: work
    of one kind is compiled once, which halves the longest programs."""
    return jax.tree.map(lambda *a: jnp.stack(a), *trees)


def unstacked(tree, count: int) -> list:
    """The inverse of `stacked`."""
    return [jax.tree.map(lambda a, i=i: a[i], tree) for i in range(count)]
