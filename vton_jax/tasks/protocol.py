"""What `training.loop` asks of a task: the contract of everything in `TASKS`."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Task(Protocol):
    """What is trained, and how. A task is a dataclass: every field becomes a flag.

    `modules` names what learns, the keys of `params`; `size` is the (height, width) of the pictures. JAX traces the
    losses, and `init` and `frozen` for their shapes before it runs them. A mistake that a user can mend is a UserError,
    raised in `__post_init__`, `open_batches`, `init` or `frozen`.
    """

    modules: tuple[str, ...]
    size: tuple[int, int]

    def open_batches(self, dataset: str, batch_size: int, seed: int, size: tuple[int, int], split: str) -> Any:
        """The batches to learn from, or to be tested on; the same arguments give the same ones.

        Args:
          dataset: `catalogue`, a folder, or a mixture of folders.
          batch_size: rows of all processes together; each draws its own.
          seed: of their order, and of what is drawn.
          size: (height, width) of the pictures.
          split: such as `train` or `validation`.

        Returns: an `input_pipeline.PositionedBatches`, whose batches are dicts of arrays [B, ...].
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
        """Hands over what was learned, when the last step is done: writes weights where they are asked for.

        Args:
          params: {module: tree}, the moving average where one is kept.
          frozen: as from `frozen`.
          batches: those that would have come next.
          workdir: the folder of the run, an `epath.Path`.
        """
