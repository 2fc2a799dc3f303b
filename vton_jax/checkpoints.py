"""Checkpoints: WORKDIR/checkpoints/STEP with the items `state`, `data` and `run`, written by Orbax.

`state` is the whole TrainState; `data` the position of the batches (Grain's own format for a Grain iterator, JSON for
the other sources); `run` a JSON note: the model's name, the kind of data source and the seconds trained. A checkpoint
is saved between two steps, before the next batch is drawn, so a resumed run is the same run.
"""

from pathlib import Path

import jax
import orbax.checkpoint as ocp

from vton_jax.errors import UserError


def _is_grain(iterator) -> bool:
    return type(iterator).__module__.split(".")[0] == "grain"


def _kind(iterator) -> str:
    return "grain" if _is_grain(iterator) else "json"


def _describe(tree) -> dict[str, tuple]:
    """{path: shape} of the arrays of a tree, with one spelling of paths for states and for Orbax's metadata."""
    names = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        parts = [str(getattr(key, "name", getattr(key, "key", getattr(key, "idx", key)))) for key in path]
        names["/".join(parts)] = tuple(leaf.shape)
    return names


class Checkpoints:
    """Saves and restores a run in `workdir`; keeps the newest `keep` checkpoints."""

    def __init__(self, workdir: str | Path, model: str, keep: int = 2):
        self.folder = Path(workdir).absolute() / "checkpoints"
        self.model = model
        self.manager = ocp.CheckpointManager(
            self.folder, options=ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        )

    def latest_step(self) -> int | None:
        return self.manager.latest_step()

    def save(self, step: int, state, batches, elapsed_seconds: float) -> None:
        """Saves state and data position as of `step` (finished steps); returns while the files are still written."""
        if self.manager.latest_step() == step:
            return
        if _is_grain(batches):
            from grain import checkpoint as grain_checkpoint

            data = grain_checkpoint.CheckpointSave(batches)
        else:
            data = ocp.args.JsonSave(batches.get_state())
        run = {"model": self.model, "data": _kind(batches), "elapsed_seconds": float(elapsed_seconds)}
        args = ocp.args.Composite(state=ocp.args.StandardSave(state), data=data, run=ocp.args.JsonSave(run))
        self.manager.save(step, args=args)

    def restore(self, state, batches):
        """Restores the newest checkpoint: (state, elapsed seconds), and sets `batches` to its position.

        `state` gives structure, shapes and shardings. Returns None where there is no checkpoint; raises UserError for
        a checkpoint of another model, of other shapes or of another kind of data source.
        """
        step = self.manager.latest_step()
        if step is None:
            return None
        folder = self.folder / str(step)
        run = self.manager.restore(step, args=ocp.args.Composite(run=ocp.args.JsonRestore())).run
        mend = "give another --workdir, or the flags of this run (flags.txt beside its checkpoints)"
        if run["model"] != self.model:
            raise UserError(f"{folder} holds a run of {run['model']}, not of {self.model}; {mend}.")
        if run["data"] != _kind(batches):
            raise UserError(f"{folder} was trained from another kind of --dataset; {mend}.")
        if difference := self._difference(folder, state):
            raise UserError(f"{folder} does not fit this {self.model}: {difference}; {mend}.")
        if _is_grain(batches):
            from grain import checkpoint as grain_checkpoint

            data = grain_checkpoint.CheckpointRestore(batches)
        else:
            data = ocp.args.JsonRestore()
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, state)
        args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract), data=data)
        restored = self.manager.restore(step, args=args)
        if not _is_grain(batches):
            batches.set_state(restored.data)
        return restored.state, run["elapsed_seconds"]

    def _difference(self, folder: Path, state) -> str:
        """What in a checkpoint differs from `state`, in words; empty if they fit."""
        with ocp.StandardCheckpointer() as reader:
            metadata = reader.metadata(folder / "state")
        saved = _describe(getattr(metadata, "item_metadata", metadata))
        wanted = _describe(state)
        for name in sorted(saved.keys() | wanted.keys()):
            if name not in wanted:
                return f"it has {name}, which this model lacks"
            if name not in saved:
                return f"it lacks {name}"
            if saved[name] != wanted[name]:
                return f"{name} is {saved[name]} there and {wanted[name]} here"
        return ""

    def wait(self) -> None:
        """Returns when everything saved is on the disk."""
        self.manager.wait_until_finished()

    def close(self) -> None:
        self.manager.close()
