"""What comes before a training: options that go together, processes that found each other, a mesh, a folder."""

import dataclasses
import os

import jax
from etils import epath
from jax.sharding import Mesh

from vton_jax.core.errors import UserError
from vton_jax.training import distributed, sharding
from vton_jax.training.options import TrainingOptions


def join_processes(options: TrainingOptions) -> TrainingOptions:
    """Joins the processes of this run, if there are several, and returns the options as they can be met here.

    Before the first use of a device. Raises UserError for options that cannot go together.
    """
    options.check()
    distributed.start(options.coordinator, options.num_processes, options.process_id, options.distributed)
    if options.steps_per_call > 1 and (jax.default_backend() == "cpu" or jax.process_count() > 1):
        distributed.say("--steps_per_call is taken as 1 on a CPU and with several processes.")
        options = dataclasses.replace(options, steps_per_call=1)
    return options


def make_mesh(options: TrainingOptions) -> Mesh:
    """The mesh of all devices. Raises UserError for what the devices or the processes cannot share."""
    mesh = sharding.make_mesh(options.fsdp)
    parts = mesh.size * options.accumulate
    if options.batch_size % parts:
        times = f" times --accumulate={options.accumulate}" if options.accumulate > 1 else ""
        raise UserError(
            f"--batch_size={options.batch_size} should be a multiple of the {mesh.size} devices{times}, for example "
            f"{max(1, round(options.batch_size / parts)) * parts}."
        )
    if options.schedule_seconds > 0 and jax.process_count() > 1:
        raise UserError("--schedule_seconds follows one clock: with several processes let the cosine follow the steps.")
    return mesh


def folder_of(workdir: str) -> epath.Path:
    """The folder that --workdir names, in a bucket or not; ~ is the home directory."""
    return epath.Path(os.path.expanduser(workdir))


def create_workdir(workdir: str) -> epath.Path:
    """Creates the folder and proves that it can be written to; UserError where it cannot."""
    path = folder_of(workdir)
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / ".probe").write_text("")
        (path / ".probe").unlink()
    except ImportError as error:
        raise UserError(f"--workdir={workdir} needs more packages: pip install 'vton-jax[gcs]' ({error}).") from None
    except OSError as error:
        raise UserError(f"--workdir={workdir} cannot be written to: {error.strerror or error}.") from None
    return path
