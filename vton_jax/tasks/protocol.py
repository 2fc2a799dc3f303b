"""What `training.loop` asks of a task: the contract of everything in `TASKS`."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Task(Protocol):
    """What is trained, and how. A task is a dataclass: every field becomes a flag.

    `modules` names what learns, {name: parameters} in `params`; `size` is the (height, width) of the pictures. All
    methods but `open_batches`, `pictures` and `finish` are traced by JAX, and `init` and `frozen` also run as they are.
    A mistake that a user can mend is a UserError, raised in `__post_init__`, `open_batches`, `init` or `frozen`.
    """

    modules: tuple[str, ...]
    size: tuple[int, int]

    def open_batches(self, dataset: str, batch_size: int, seed: int, size: tuple[int, int], split: str) -> Any:
        """The batches that `dataset` names, see `input_pipeline`: dicts of arrays [B, ...], images uint8 [B, H, W, 3].

        `batch_size` is that of all processes; each draws its own rows. The same arguments give the same batches.
        """

    def init(self, key: Any, batch: dict) -> dict:
        """The parameters to begin with, {module: tree}, for each of `modules`; `batch` may be shapes alone."""

    def frozen(self) -> dict:
        """Parameters that losses read and nothing changes, {name: tree}; called after `init`."""

    def losses(self) -> Mapping[str | tuple[str, ...], Callable]:
        """The losses, each filed under the modules that learn from it; every module is named at least once.

        A loss is `loss_fn(params, frozen, batch, rng) -> (scalar, {term: array})`, a pure function of all parameters.
        No two terms have one name, and none is called loss, gradient_norm or finite.
        """

    def pictures(self, params: dict, frozen: dict, batch: dict) -> dict[str, np.ndarray]:
        """Pictures for people, {name: uint8 [H, W, 3]}, of one batch."""

    def finish(self, params: dict, frozen: dict, batches: Iterator[dict], workdir: Any) -> None:
        """Hands over what was learned, when the last step is done: writes weights where they are asked for."""
