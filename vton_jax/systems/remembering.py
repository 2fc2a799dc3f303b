"""What was read once is not read again: a system, and decoded files, behind a memory of bounded size.

What a system reads depends on the pixels that it is given, and on how a garment is to be read; it is kept by a digest
of just these. So nothing is taken for read that another job frames another way.
"""

import collections
import functools
import hashlib
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vton_jax.core.types import Garment, Layout, Pose, Result, User
from vton_jax.systems.protocol import PeopleReader, TryOnSystem


class Memory:
    """Results of calls; those that were asked for least recently are forgotten first. Threads may share one.

    Args: limit: bytes of arrays that are kept at most.
    """

    def __init__(self, limit: int = 512 << 20):
        self.limit, self.size = limit, 0
        self._kept: collections.OrderedDict[Hashable, tuple[Any, int]] = collections.OrderedDict()
        self._lock = threading.Lock()

    def call(self, key: Hashable, function: Callable, *arguments) -> Any:
        """`function(*arguments)`, or what it gave under this key before. What it raises is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key][0]
        made = jax.tree.map(_on_host, function(*arguments))  # whatever device asks next
        size = sum(getattr(leaf, "nbytes", 0) for leaf in jax.tree.leaves(made))
        with self._lock:
            if size <= self.limit and key not in self._kept:
                self._kept[key], self.size = (made, size), self.size + size
                while self.size > self.limit:
                    self.size -= self._kept.popitem(last=False)[1][1]
        return made

    def call_on_file(self, function: Callable, path: str | Path, *arguments) -> Any:
        """`function(path, *arguments)`, which reads a file; one that has changed since is read again."""
        return self.call((function.__qualname__, _state(path), arguments), function, path, *arguments)


def _state(path: str | Path) -> tuple:
    """What tells a file, and that it has not changed; nothing of one that is missing."""
    try:
        about = Path(path).stat()
    except OSError:
        return (str(path),)
    return str(Path(path).resolve()), about.st_mtime_ns, about.st_size


def _on_host(leaf):
    return np.asarray(leaf) if isinstance(leaf, jax.Array) else leaf


def _key(value) -> Hashable:
    """What tells arguments apart: arrays by their contents."""
    value = _on_host(value)
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, hashlib.sha1(np.ascontiguousarray(value)).digest()
    return value


class _Remembers:
    """What it is asked for and does not define is that of the part it stands for."""

    def __init__(self, part, memory: Memory, name: Hashable):
        self._part, self._memory, self._name = part, memory, name

    def __getattr__(self, name: str):
        return getattr(self._part, name)

    def _call(self, method: str, *arguments, **named):
        key = self._name, method, tuple(map(_key, arguments)), tuple((name, _key(one)) for name, one in named.items())
        return self._memory.call(key, functools.partial(getattr(self._part, method), **named), *arguments)


class RememberingReader(_Remembers):
    """A `PeopleReader` that remembers. Args: as of `RememberingSystem`."""

    def __init__(self, reader: PeopleReader, memory: Memory, name: Hashable):
        super().__init__(reader, memory, name)
        self.size = reader.size
        if hasattr(reader, "describe"):  # not every reader does
            self.describe = lambda picture, mask=None: self._call("describe", picture, mask)

    def read_layouts(self, frames: np.ndarray) -> tuple[Layout, np.ndarray]:
        """See `PeopleReader`."""
        return self._call("read_layouts", frames)

    def read_people(self, frames: np.ndarray) -> tuple[Layout, np.ndarray]:
        """See `PeopleReader`."""
        return self._call("read_people", frames)

    def stand_of(self, picture: np.ndarray):
        """See `PeopleReader`."""
        return self._call("stand_of", picture)

    def looks_flat(self, frame: np.ndarray) -> bool:
        """See `PeopleReader`."""
        return self._call("looks_flat", frame)


class RememberingSystem(_Remembers):
    """A `TryOnSystem` that remembers what it read; it dresses as the system does.

    Args: system: whose readings. memory: where they are kept. name: tells this system's readings from others' in the
    same memory.
    """

    def __init__(self, system: TryOnSystem, memory: Memory, name: Hashable):
        super().__init__(system, memory, name)
        self.size, self.reader = system.size, system.reader
        if isinstance(system.reader, PeopleReader):
            self.reader = RememberingReader(system.reader, memory, ("reader", name))

    def read_user(self, frame: np.ndarray, shown: np.ndarray | None = None) -> User:
        """See `TryOnSystem`."""
        return self._call("read_user", frame, shown)

    def read_garment(self, frame: np.ndarray, *how, **named) -> Garment:
        """See `TryOnSystem`."""
        return self._call("read_garment", frame, *how, **named)

    def read_poses(self, frames: np.ndarray, **named) -> Pose:
        """See `TryOnSystem`."""
        return self._call("read_poses", frames, **named)

    def dress(self, user: User | Iterator[User], garments: Sequence[Garment], poses: Pose) -> Iterator[Result]:
        """See `TryOnSystem`."""
        return self._part.dress(user, garments, poses)
