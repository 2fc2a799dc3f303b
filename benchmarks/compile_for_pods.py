"""Compiles a recipe's training step for many devices and reports what it needs, running nothing:

    python benchmarks/compile_for_pods.py --flagfile=vton_jax/flagfiles/NAME.flags --devices=64 [--fsdp=8]
    python benchmarks/compile_for_pods.py --flagfile=vton_jax/flagfiles/NAME.flags --topology=v5e:8x8

All flags of train.py hold; the batch is that of the recipe for each device times the devices (weak scaling) unless
--whole_batch is given. --devices compiles for so many virtual CPU devices. --topology compiles for TPUs that are not
there, with libtpu (pip install libtpu). Prints one JSON object: per-device memory and FLOPs as the compiler sees
them, the model's own FLOPs, and the bytes that collectives move.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from benchmarks import program_costs
from vton_jax import tasks, train
from vton_jax.command_line import flag_utils
from vton_jax.inputs import cached_examples, drawn_batches, reading_views
from vton_jax.models import multi_path_cnn, weights
from vton_jax.training import sharding, train_state

FLAGS = flags.FLAGS
flags.DEFINE_integer("devices", 8, "Virtual CPU devices.", lower_bound=1)
flags.DEFINE_string("topology", None, "TPUs to compile for, such as v5e:8x8, instead of --devices.")
flags.DEFINE_bool("whole_batch", False, "--batch_size is of all devices, as in train.py; else of each device.")


def make_devices():
    """The devices to compile for, and their kind."""
    if not FLAGS.topology:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", FLAGS.devices)
        return jax.devices()
    from jax.experimental import topologies

    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # no metadata server: there is no TPU
    return topologies.get_topology_desc(FLAGS.topology, "tpu").devices


def shapes_of(tree, shardings):
    """The shapes of a tree of arrays, each with its sharding (a tree, or one for all)."""
    if isinstance(shardings, jax.sharding.Sharding):
        shardings = jax.tree.map(lambda _: shardings, tree)
    return jax.tree.map(lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s), tree, shardings)


def batch_shapes(task, batch_size: int) -> dict:
    """Shapes of the recipe's batch."""
    if "layouts" in Path(FLAGS.dataset).name:
        return cached_examples.layout_batch(batch_size, FLAGS.size)
    if FLAGS.dataset != "catalogue" and FLAGS.model == "latent_prior_cnn":
        return cached_examples.latent_batch(batch_size, FLAGS.size, task.latent_prior_cnn.latent_size)
    if FLAGS.model == "layout_refinement_cnn":
        return cached_examples.coarse_batch(batch_size, FLAGS.size)
    if FLAGS.model == "reader_cnn":
        return reading_views.batch_shapes(batch_size, FLAGS.size)
    return drawn_batches.sample_shapes(batch_size, FLAGS.size, getattr(task, "pose_picture", False))


def megabytes(tree) -> float:
    """Of all arrays of a tree, or of their shapes."""
    return round(sum(np.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree)) / 1e6, 2)


def untrained_reader(folder: str) -> str:
    """A file of untrained weights of the MultiPathCNN that reads layouts at --size; its path."""
    network = multi_path_cnn.MultiPathCNN(size=FLAGS.size)
    image = jax.ShapeDtypeStruct((1, *FLAGS.size, 3), jnp.float32)
    shapes = jax.eval_shape(network.init, jax.random.PRNGKey(0), image)
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    path = f"{folder}/multi_path_cnn.safetensors"
    weights.save(path, params, {"model": "multi_path_cnn", "size": FLAGS.size, "latent_size": network.latent_size})
    return path


def main() -> None:
    devices = make_devices()
    mesh = sharding.make_mesh(FLAGS.fsdp, devices)
    task = flag_utils.build_settings(tasks.TASKS[FLAGS.model], {"size": FLAGS.size, "dtype": getattr(jnp, FLAGS.dtype)})
    task.init_from, task.re_map_weights = "", "none"  # shapes alone count
    batch_size = FLAGS.batch_size * (1 if FLAGS.whole_batch else len(devices))
    batch = batch_shapes(task, batch_size)
    key = jax.random.PRNGKey(0)
    optimizer = train_state.make_optimizer(
        FLAGS.learning_rate, FLAGS.num_steps, FLAGS.warmup_steps, FLAGS.gradient_clip
    )
    state = jax.eval_shape(lambda: train_state.create(task.init(key, batch), optimizer, FLAGS.ema_decay))
    with tempfile.TemporaryDirectory() as folder:
        _, released, _ = weights.load(weights.released("multi_path_cnn"))
        task.multi_path_weights = "" if tuple(released["size"]) == FLAGS.size else untrained_reader(folder)
        frozen = task.frozen()
    shardings, copied = sharding.state_shardings(state, mesh), sharding.replicated(mesh)
    step = train_state.make_train_step(
        task, optimizer, FLAGS.ema_decay, accumulate=FLAGS.accumulate, remat=FLAGS.remat, mesh=mesh
    )
    places = (shardings, copied, sharding.batch_sharding(mesh), copied)
    arguments = map(shapes_of, (state, frozen, batch, key), places)
    scalar = jax.ShapeDtypeStruct((), jnp.float32, sharding=copied)
    started = time.perf_counter()
    lowered = jax.jit(step, donate_argnums=0, out_shardings=(shardings, copied)).lower(
        *arguments, learning_rate_scale=scalar, healthy=scalar
    )
    lower_seconds = time.perf_counter() - started
    # Nothing will run: LLVM need not try hard.
    options = {} if FLAGS.topology else {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    compiled = lowered.compile(compiler_options=options)
    compile_seconds = time.perf_counter() - started - lower_seconds

    memory = compiled.memory_analysis()
    costs = compiled.cost_analysis() or {}
    (loss,) = task.losses().values()
    forward = program_costs.matmul_flops(loss, state.params, frozen, batch, key)
    found = program_costs.collectives(compiled.as_text(), len(devices))
    print(json.dumps({
        "recipe": task.export or FLAGS.model, "size": FLAGS.size, "dtype": FLAGS.dtype, "jax": jax.__version__,
        "devices": len(devices), "kind": devices[0].device_kind, "fsdp": FLAGS.fsdp, "remat": FLAGS.remat,
        "accumulate": FLAGS.accumulate, "batch_a_device": batch_size // len(devices),
        "parameters": train_state.count_params(state.params),
        "lower_seconds": round(lower_seconds, 1), "compile_seconds": round(compile_seconds, 1),
        "megabytes_a_device": {
            "arguments": round(memory.argument_size_in_bytes / 1e6, 1),
            "temporary": round(memory.temp_size_in_bytes / 1e6, 1),
            "output_not_aliased": round((memory.output_size_in_bytes - memory.alias_size_in_bytes) / 1e6, 1),
        },
        "megabytes": {"state": megabytes(state), "frozen": megabytes(frozen), "batch": megabytes(batch)},
        "gflops_a_device_by_compiler": round(costs.get("flops", 0) / 1e9, 1),
        "gigabytes_accessed_a_device_by_compiler": round(costs.get("bytes accessed", 0) / 1e9, 2),
        "model_gflops_a_device": round(3 * forward / len(devices) / 1e9, 1),
        "collectives_a_device": {
            name: {k: round(v, 2) for k, v in entry.items()} for name, entry in found.items()},
    }))  # fmt: skip


if __name__ == "__main__":
    flag_utils.run(main, train.define_more_flags)
