"""Work in equal parts, so that one compiled program serves any number of frames; trees of NumPy arrays [T, ...].

A part that lacks frames repeats the last one; what becomes of the repetitions is thrown away.
"""

import collections
import concurrent.futures
import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable, Iterable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

_LOOK = 0.1  # seconds after which a thread looks whether anybody still wants what it makes
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


def ahead(items: Iterator, most: int) -> Iterator:
    """The items of an iterator, made in a thread of its own while the caller is at work with those before.

    Args: most: that are made and not yet taken. What the iterator raises is raised here, in its place. When the caller
    leaves off, so does the thread, after the item that it is at.
    """
    made, stopped, within = queue.Queue(most), threading.Event(), _within()

    def put(what) -> bool:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                made.put(what, timeout=_LOOK)
                return True
        return False

    def make():
        try:
            for item in items:
                if not put((item, None)):
                    return
            put((None, StopIteration()))
        except BaseException as error:  # raised where the item is taken
            put((None, error))

    thread = threading.Thread(target=within, args=(make,), daemon=True)
    thread.start()
    try:
        while True:
            item, error = made.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        stopped.set()
        thread.join()


def side_by_side(function: Callable, items: Iterable, threads: int = 2) -> Iterator:
    """`map`, with several items in the making at once, each in a thread; what is made comes in order."""
    waiting, within = collections.deque(), _within()
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(within, function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _within() -> Callable:
    """Calls a function, in whatever thread, as if in this one: on its device, `awaited` or not."""
    context, device = contextvars.copy_context(), jax.config.jax_default_device

    def call(function, *arguments):
        with jax.default_device(device):
            return context.copy().run(function, *arguments)

    return call


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
