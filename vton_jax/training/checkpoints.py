"""Checkpoints: WORKDIR/checkpoints/STEP with the items `state`, `data` and `run`, written by Orbax.

`state` is the whole TrainState, whatever devices it was spread over; `data` the position of the batches as JSON, which
is that of all processes together; `run` a JSON note of what a position depends on (model, kind of data, batch size,
seed) and of how the run went so far. A checkpoint is saved between two steps, before the next batch is drawn, so a
resumed run is the same run. Once it is complete, `sha256.json` beside the items holds the digests of its files; a
checkpoint that fails them, or that cannot be read, is moved to WORKDIR/damaged, and the one before takes its place.
Buckets keep their own checksums: there no digests are written.
"""

import contextlib
import copy
import hashlib
import json
import sys
import threading
import time
from pathlib import Path

import jax
import orbax.checkpoint as ocp
from etils import epath

from vton_jax.core.errors import UserError
from vton_jax.training import distributed, run_guard

DIGESTS = "sha256.json"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, RuntimeError)  # what broken files make Orbax raise


def _describe(tree) -> dict[str, tuple]:
    """{path: shape} of the arrays of a tree, with one spelling of paths for states and for Orbax's metadata."""
    names = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        parts = [str(getattr(key, "name", getattr(key, "key", getattr(key, "idx", key)))) for key in path]
        names["/".join(parts)] = tuple(leaf.shape)
    return names


def _digests(folder: Path) -> dict[str, str]:
    """{file: SHA-256} of all files of a checkpoint."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith(DIGESTS):
            with path.open("rb") as file:
                found[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _write_digests(folder: Path, stop: threading.Event) -> None:
    """Waits until Orbax has moved a checkpoint into its place, then writes its digests; gives up when told to."""
    while not folder.exists():
        if stop.wait(0.05):
            return
    temporary = folder / (DIGESTS + ".tmp")
    with contextlib.suppress(OSError):  # a full disk: the checkpoint is as good without them
        temporary.write_text(json.dumps(_digests(folder), indent=1))
        temporary.replace(folder / DIGESTS)


def damage(folder: Path) -> str | None:
    """What a checkpoint's files have against its digests, in words; "" if nothing, None where it has no digests."""
    path = folder / DIGESTS
    if not path.exists():
        return None
    try:
        wanted = dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return f"{DIGESTS} cannot be read"
    found = _digests(folder)
    for name, digest in wanted.items():
        if name not in found:
            return f"{name} is missing"
        if found[name] != digest:
            return f"{name} is not as it was written"
    return ""


class Checkpoints:
    """Saves and restores a run in `workdir`; keeps the newest `keep` checkpoints.

    `note` {name: value} is what must be the same for the run to go on, the flags `model`, `batch_size` and `seed`.
    """

    def __init__(self, workdir, note: dict, keep: int = 2):
        self.workdir = epath.Path(workdir)
        if not run_guard.is_remote(workdir):
            self.workdir = self.workdir.absolute()
        self.folder = self.workdir / "checkpoints"
        self.note = note
        # What a killed run left half-written is removed.
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True, cleanup_tmp_directories=True)
        self.manager = ocp.CheckpointManager(self.folder, options=options)
        self.problems = {}  # {step: what its digests say}
        self.saving, self.digesting, self.stop = None, None, threading.Event()

    def latest_step(self) -> int | None:
        return self.manager.latest_step()

    def save(self, step: int, state, batches, so_far: dict) -> None:
        """Saves state and data position as of `step` (finished steps); returns while the files are still written.

        `so_far` is JSON that `restore` gives back: the seconds trained, the numbers not logged yet.

        Raises UserError where the disk is full, here or when waiting: the checkpoint before stays.
        """
        if self.manager.latest_step() == step:
            return
        self.wait()
        self.saving = step
        # A copy: the files are still written when the caller goes on and changes what it gave.
        run = {**self.note, "data": batches.kind, "so_far": copy.deepcopy(so_far)}
        args = ocp.args.Composite(
            state=ocp.args.StandardSave(state),
            data=ocp.args.JsonSave(batches.get_state()),
            run=ocp.args.JsonSave(run),
        )
        with self._full_disk_is_said():
            self.manager.save(step, args=args)
        if distributed.is_first() and not run_guard.is_remote(self.folder):
            arguments = (Path(self.folder / str(step)), self.stop)
            self.digesting = threading.Thread(target=_write_digests, args=arguments, daemon=True)
            self.digesting.start()

    def wait(self) -> None:
        """Returns when everything saved is on the disk."""
        with self._full_disk_is_said():
            self.manager.wait_until_finished()
        if self.digesting:
            self.digesting.join()
            self.digesting = None

    @contextlib.contextmanager
    def _full_disk_is_said(self):
        try:
            yield
        except Exception as error:
            if not run_guard.is_disk_full(error):
                raise
            self.stop.set()
            for path in self.folder.glob("*orbax-checkpoint-tmp*"):
                path.rmtree(missing_ok=True)
            self.manager.reload()
            before = self.manager.latest_step()
            kept = "there is none before it" if before is None else f"that of step {before} is whole"
            raise UserError(
                f"The disk of {self.workdir} is full: the checkpoint of step {self.saving} could not be written, "
                f"{kept}; make room and run the same command again."
            ) from None

    def check(self, state, kind: str) -> None:
        """Raises UserError where the newest readable checkpoint is not of this run; reads no arrays, moves nothing.

        `state` may be shapes alone; `kind` is that of the batches.
        """
        for step in sorted(self.manager.all_steps(), reverse=True):
            if self._problem(step):
                continue  # `restore` will say so
            try:
                run, saved = self._read_note(step), self._shapes(step)
            except _UNREADABLE:
                continue
            self._compare(self.folder / str(step), run, saved, state, kind)
            return

    def restore(self, state, batches):
        """Restores the newest readable checkpoint: (state, so_far), and sets `batches` to its position.

        `state` gives structure, shapes and shardings. Returns None where there is no checkpoint; raises UserError for
        a checkpoint of another run, and where there are checkpoints but all of them are damaged.
        """
        steps = sorted(self.manager.all_steps(), reverse=True)
        for step in steps:
            problem, restored = self._problem(step), None
            if not problem:
                try:
                    restored = self._restore(step, state, batches.kind)
                except _UNREADABLE as error:
                    # Whole files that cannot be read are no damage: a want of memory, a network, a mistake of ours.
                    if isinstance(error, UserError) or problem == "":
                        raise
                    problem = " ".join(str(error).split())[:200] or type(error).__name__
            if not distributed.any_of(restored is None):
                batches.set_state(restored[1])
                return restored[0], restored[2]
            if distributed.is_first():
                self._set_aside(step, problem)
            distributed.any_of(False)  # until it is moved
            self.manager.reload()
        if steps:
            raise UserError(
                f"None of the checkpoints in {self.folder} could be read, they are now in {self.workdir / 'damaged'}; "
                "run the same command again to train from the beginning."
            )
        return None

    def _problem(self, step: int) -> str | None:
        """What is wrong with a checkpoint; "" for nothing, None for unknown. All processes hear the same."""
        if step not in self.problems:
            self.problems[step] = "" if run_guard.is_remote(self.folder) else self._find_problem(step)
        return self.problems[step]

    def _find_problem(self, step: int) -> str | None:
        found = damage(Path(self.folder / str(step))) if distributed.is_first() else None
        answers = (found, None, "") if distributed.is_first() else ("it is damaged", None, "")
        return answers[distributed.of_first(0 if found else 1 if found is None else 2)]

    def _restore(self, step: int, state, kind: str) -> tuple:
        run = self._read_note(step)
        self._compare(self.folder / str(step), run, self._shapes(step), state, kind)
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, state)
        args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract), data=ocp.args.JsonRestore())
        restored = self.manager.restore(step, args=args)
        return restored.state, restored.data, run.get("so_far", {})

    def _set_aside(self, step: int, problem: str) -> None:
        aside = self.workdir / "damaged"
        aside.mkdir(exist_ok=True)
        target = aside / f"{step}-{time.strftime('%Y%m%d-%H%M%S')}"
        (self.folder / str(step)).rename(target)
        print(f"The checkpoint of step {step} is damaged ({problem}) and now in {target}; the one before is used.",
              file=sys.stderr)  # fmt: skip

    def _read_note(self, step: int) -> dict:
        return self.manager.restore(step, args=ocp.args.Composite(run=ocp.args.JsonRestore())).run

    def _shapes(self, step: int) -> dict[str, tuple]:
        with ocp.StandardCheckpointer() as reader:
            metadata = reader.metadata(self.folder / str(step) / "state")
        shapes = _describe(getattr(metadata, "item_metadata", metadata))
        if not shapes:
            raise ValueError("its list of arrays cannot be read")
        return shapes

    def _compare(self, folder, run: dict, saved: dict[str, tuple], state, kind: str) -> None:
        mend = "give another --workdir, or the flags of this run (flags.txt beside its checkpoints)"
        model = self.note["model"]
        if run["model"] != model:
            raise UserError(f"{folder} holds a run of {run['model']}, not of {model}; {mend}.")
        if run["data"] != kind:
            raise UserError(f"{folder} was trained from another kind of --dataset; {mend}.")
        for name, value in self.note.items():
            if name in run and run[name] != value:
                raise UserError(f"{folder} was trained with --{name}={run[name]}, not {value}; {mend}.")
        if difference := _difference(saved, _describe(state)):
            raise UserError(f"{folder} does not fit this {model}: {difference}; {mend}.")

    def close(self) -> None:
        """Gives up what is still being written: call `wait` before, unless the run has failed."""
        self.stop.set()
        with contextlib.suppress(Exception):  # said already, by what ended the run
            self.manager.close()


def _difference(saved: dict[str, tuple], wanted: dict[str, tuple]) -> str:
    """What in a checkpoint differs from a state, in words; empty if they fit."""
    for name in sorted(saved.keys() | wanted.keys()):
        if name not in wanted:
            return f"it has {name}, which this model lacks"
        if name not in saved:
            return f"it lacks {name}"
        if saved[name] != wanted[name]:
            return f"{name} is {saved[name]} there and {wanted[name]} here"
    return ""
