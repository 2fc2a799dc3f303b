"""Work in equal parts, so that one compiled program serves any number of frames; trees of NumPy arrays [T, ...].

A part that lacks frames repeats the last one; what becomes of the repetitions is thrown away.
"""

from collections.abc import Callable, Iterator

import jax
import numpy as np


def parts(count: int, batch: int) -> Iterator[np.ndarray]:
    """The indices [batch] of each part of `count` frames."""
    for first in range(0, count, batch):
        yield np.minimum(np.arange(first, first + batch), count - 1)


def in_batches(function: Callable, frames, batch: int, *, full: bool = False):
    """What `function` makes of a tree of `frames` [T, ...], called with parts [batch, ...] of it: a tree of [T, ...].

    Fewer frames than `batch` make one smaller part, unless it should be `full`: one shape for every T.
    """
    count = len(jax.tree.leaves(frames)[0])
    done = [
        jax.device_get(function(jax.tree.map(lambda a, i=index: a[i], frames)))
        for index in parts(count, batch if full else min(batch, count))
    ]
    return jax.tree.map(lambda *a: np.concatenate(a)[:count], *done)
