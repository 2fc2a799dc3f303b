"""Several processes that train as one: how they find each other, and how they agree.

One process a host (Cloud TPU, GKE) or a GPU (SLURM), all with the same command line. Process 0 writes what people read.
"""

import contextlib
import os
import sys
from collections.abc import Mapping

import jax
import numpy as np

from vton_jax.core.errors import UserError


def launcher(environment: Mapping[str, str]) -> str | None:
    """The launcher of several processes that the environment shows, or None for a process alone.

    SLURM's srun says how many tasks there are, Cloud TPU and GKE which hosts a slice has (XPK sets the same
    variables), Megascale that there are several slices, Kubernetes' Indexed Jobs and others where JAX finds its
    coordinator.
    """
    if int(environment.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        return "SLURM"
    if "," in environment.get("TPU_WORKER_HOSTNAMES", "") or environment.get("MEGASCALE_COORDINATOR_ADDRESS"):
        return "Cloud TPU"
    if environment.get("JAX_COORDINATOR_ADDRESS"):
        return "JAX_COORDINATOR_ADDRESS"
    return None


def start(
    coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None, force: bool = False
) -> None:
    """Joins the processes of this run, if there are several; before the first use of a device.

    The three arguments say it outright; without them a known launcher is asked (`force`: even if none is seen, as on
    a Cloud TPU pod that gcloud started). Raises UserError where they contradict each other or nobody answers.
    """
    given = {"--coordinator": coordinator, "--num_processes": num_processes, "--process_id": process_id}
    missing = [name for name, value in given.items() if value is None]
    if 0 < len(missing) < 3:
        raise UserError(
            f"--coordinator, --num_processes and --process_id go together; {', '.join(missing)} is missing."
        )
    if not missing and not 0 <= process_id < num_processes:
        raise UserError(f"--process_id={process_id} should be one of 0..{num_processes - 1} (--num_processes).")
    if not missing and ":" not in coordinator:
        raise UserError(f"--coordinator={coordinator} should be HOST:PORT, an address of process 0.")
    found = launcher(os.environ)
    if missing and not (found or force):
        return
    jax.config.update("jax_cpu_collectives_implementation", "gloo")  # only CPUs look at it
    arguments = {} if missing else {"coordinator_address": coordinator, "cluster_detection_method": "deactivate"}
    try:
        jax.distributed.initialize(num_processes=num_processes, process_id=process_id, **arguments)
    except (RuntimeError, ValueError, KeyError) as error:
        who = found or coordinator or "--distributed"
        raise UserError(f"The processes of this run did not find each other ({who}): {error}") from None


def is_first() -> bool:
    """Whether this process writes what people read."""
    return jax.process_index() == 0


def say(text: str) -> None:
    """A line on stderr, from one process only."""
    if is_first():
        print(text, file=sys.stderr, flush=True)


def of_first(number: int) -> int:
    """The number that process 0 holds (a collective)."""
    if jax.process_count() == 1:
        return number
    from jax.experimental import multihost_utils

    return int(multihost_utils.broadcast_one_to_all(np.int32(number)))


def any_of(flag: bool) -> bool:
    """Whether the flag is set in any process (a collective, and so a meeting of all)."""
    if jax.process_count() == 1:
        return flag
    from jax.experimental import multihost_utils

    return bool(multihost_utils.process_allgather(np.bool_(flag)).any())


@contextlib.contextmanager
def together():
    """A block that succeeds in all processes or in none: who was spared the error learns who was not."""
    failure = None
    try:
        yield
    except Exception as error:
        failure = error
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        failed = np.flatnonzero(multihost_utils.process_allgather(np.bool_(failure is not None)))
        if failure is None and failed.size:
            raise UserError(f"Process {failed[0]} refused to train; its message says why.")
    if failure is not None:
        raise failure
