"""Where arrays live: the mesh of devices, batches spread over it, parameters copied to it or spread too.

Conventions: the mesh has two axes, `data` and `fsdp`, and every device holds its own rows of a batch, whichever axis it
lies on. With `fsdp` = 1 each device keeps a copy of the state (data parallel). With `fsdp` = N the arrays of the state
(parameters, optimizer, moving average) are spread over N devices, along their largest axis that N divides; a step
gathers the parameters, and reduces each gradient to the part that a device keeps (ZeRO, Rajbhandari et al. 2020,
stage 3; "fully sharded data parallel").
"""

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from vton_jax.core.errors import UserError

SMALLEST_SHARDED = 1024  # numbers; smaller arrays (biases, norms) are copied, since sending them costs more


def make_mesh(fsdp: int = 1, devices=None) -> Mesh:
    """All devices (or those given) on the axes (`data`, `fsdp`). Raises UserError where `fsdp` does not divide them."""
    count = jax.device_count() if devices is None else len(devices)
    if fsdp < 1 or count % fsdp:
        fits = ", ".join(str(number) for number in range(1, count + 1) if count % number == 0)
        raise UserError(f"--fsdp={fsdp} does not divide the {count} devices; it could be one of {fits}.")
    return jax.make_mesh((count // fsdp, fsdp), ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2, devices=devices)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """The leading axis spread over all devices."""
    return NamedSharding(mesh, PartitionSpec(mesh.axis_names))


def replicated(mesh: Mesh) -> NamedSharding:
    """A copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def state_shardings(tree, mesh: Mesh):
    """The sharding of every array of a state (or of its shapes), see the module's text."""
    number = mesh.shape["fsdp"]

    def spec(leaf):
        axes = [axis for axis, side in enumerate(leaf.shape) if side % number == 0]
        if number == 1 or not axes or np.prod(leaf.shape) < SMALLEST_SHARDED:
            return replicated(mesh)
        largest = max(axes, key=lambda axis: leaf.shape[axis])
        return NamedSharding(mesh, PartitionSpec(*[None] * largest, "fsdp"))

    return jax.tree.map(spec, tree)


def place(tree, shardings):
    """Puts arrays where `shardings` (a tree, or one for all) says; every process holds the same whole arrays."""
    if isinstance(shardings, NamedSharding):
        shardings = jax.tree.map(lambda _: shardings, tree)
    if jax.process_count() == 1:
        return jax.device_put(tree, shardings)

    def spread(array, sharding):
        whole = np.asarray(array)
        return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])

    return jax.tree.map(spread, tree, shardings)


def replicate(tree, mesh: Mesh):
    """Copies a tree to all devices of the mesh."""
    return place(tree, replicated(mesh))


def gather(tree):
    """The whole arrays, for the host to look at: as they are in one process, NumPy arrays in several (a collective)."""
    if jax.process_count() == 1:
        return tree
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(tree, tiled=True)


def shard_batch(batch: dict, mesh: Mesh) -> dict:
    """Spreads a process's batch over the mesh. Raises UserError where the devices do not divide it."""
    sharding = batch_sharding(mesh)
    size = len(next(iter(batch.values())))
    if size % mesh.local_mesh.size:
        raise UserError(
            f"A batch of {size} cannot be shared evenly by {mesh.local_mesh.size} devices; "
            f"let --batch_size be a multiple of {mesh.size}."
        )
    if jax.process_count() == 1:
        return jax.device_put(batch, sharding)
    return {name: jax.make_array_from_process_local_data(sharding, np.asarray(array)) for name, array in batch.items()}
