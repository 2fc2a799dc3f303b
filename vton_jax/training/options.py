"""The options of a training, whatever the model; `train.py` makes a flag of each. `size` is (height, width)."""

import dataclasses
from typing import Literal

from vton_jax.core.errors import UserError
from vton_jax.core.options import option


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """How a model is trained; what only one model has options for are fields of its task."""

    model: str | None = option(None, "What to train: a name in vton_jax.tasks.TASKS.")
    workdir: str | None = option(None, "Folder of the run, or gs://BUCKET/FOLDER; created, resumed from.")
    num_steps: int = option(1000, "Steps in all.", lower_bound=1)
    batch_size: int = option(8, "Examples a step, over all devices.", lower_bound=1)
    learning_rate: float = option(1e-3, "Adam's rate after the warm-up.", lower_bound=0)
    warmup_steps: int = option(100, "Steps of linear warm-up.", lower_bound=0)
    schedule: Literal["cosine", "constant"] = option("cosine", "The rate after the warm-up: falling to 0, or constant.")
    schedule_seconds: float = option(0.0, "Let the cosine fall over so many seconds instead of steps (0: steps).")
    gradient_clip: float = option(1.0, "Clip the gradient to this global norm (0: never).", lower_bound=0)
    ema_decay: float = option(0.0, "Keep a moving average of the parameters, e.g. 0.999 (0: none).", 0, 1)
    seed: int = option(0, "Seed of initialisation, data and noise.")
    size: tuple[int, int] = option((256, 192), "Size of the frames.")
    dataset: str = option(
        "catalogue", "catalogue (drawn as it is needed), the folder of a prepared dataset, or FOLDER:0.7,FOLDER:0.3."
    )
    split: str = option("train", "The split to train on.")
    log_every: int = option(50, "Steps between log lines.", lower_bound=1)
    checkpoint_every: int = option(1000, "Steps between checkpoints.", lower_bound=1)
    pictures_every: int = option(1000, "Steps between pictures (0: none).", lower_bound=0)
    evaluate_every: int = option(0, "Steps between evaluations on --evaluate_split (0: none).", lower_bound=0)
    evaluate_batches: int = option(8, "Batches of an evaluation, the same ones each time.", lower_bound=1)
    evaluate_split: str = option("validation", "The held-out split for evaluations and, then, pictures.")
    steps_per_call: int = option(1, "Steps in one program, on an accelerator that holds the examples.", lower_bound=1)
    accumulate: int = option(1, "Parts that a batch is worked off in, to save memory.", lower_bound=1)
    remat: bool = option(False, "Compute all but convolutions again for the gradient, to save memory.")
    fsdp: int = option(1, "Spread parameters and optimizer over so many devices.", lower_bound=1)
    dtype: Literal["float32", "bfloat16"] = option("float32", "What the networks compute in.")
    on_nan: Literal["stop", "skip"] = option("stop", "At a NaN: keep batch and state and stop, or leave the batch out.")
    export: str | None = option(None, "File (safetensors) for the trained weights.")
    max_seconds: float = option(0.0, "Stop cleanly after so many seconds of this run (0: no limit).", lower_bound=0)
    profile: int = option(0, "Calls to trace into WORKDIR/profile, once the first are over.", lower_bound=0)
    distributed: bool = option(False, "One of several processes that a launcher started (SLURM is seen without).")
    coordinator: str | None = option(None, "HOST:PORT of process 0, where no launcher tells.")
    num_processes: int | None = option(None, "Number of processes, with --coordinator.", lower_bound=1)
    process_id: int | None = option(None, "Number of this process, from 0, with --coordinator.", lower_bound=0)

    def check(self) -> None:
        """Raises UserError for what cannot go together."""
        from vton_jax.training import run_guard  # here: it imports JAX, which --help should not wait for

        if not self.workdir:
            raise UserError("Give --workdir=DIR, the folder of the run.")
        if self.schedule_seconds > 0 and self.schedule != "cosine":
            raise UserError("--schedule_seconds is the time in which the cosine falls: it needs --schedule=cosine.")
        if self.ema_decay == 1:
            raise UserError("--ema_decay=1 would keep the untrained parameters for ever; give e.g. 0.999.")
        if self.export and run_guard.is_remote(self.export):
            raise UserError("--export is a file of this machine; a finished run in a bucket exports when called again.")
