"""A tiny network with its task and data, and train.py run with them: python tests/tiny_training.py FLAGS.

For tests that train in a process of their own; `--model=tiny`. The dataset `memory` holds `EXAMPLES` examples.
"""

import contextlib
import dataclasses
import json
import os
import sys
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from vton_jax.command_line import flag_utils
from vton_jax.inputs import input_pipeline
from vton_jax.tasks import TASKS
from vton_jax.tasks.modules import TaskDefaults

EXAMPLES = 24


class TinyNetwork(nn.Module):
    width: int = 4
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image):
        x = nn.relu(nn.Conv(self.width, (3, 3), dtype=self.dtype)(image.astype(self.dtype) / 255))
        return nn.Conv(3, (3, 3), dtype=self.dtype)(x).astype(jnp.float32)


@dataclasses.dataclass
class TinyTask(TaskDefaults):
    tiny_network: TinyNetwork = dataclasses.field(default_factory=TinyNetwork)
    noise: float = 0.1
    poison_at: int = -1  # the position in the data that turns a term into NaN
    size: tuple[int, int] = (8, 6)  # its pictures are of one size, whatever --size says
    modules = ("tiny_network",)

    def init(self, key, batch):
        return {"tiny_network": self.tiny_network.init(key, batch["image"])["params"]}

    def frozen(self):
        return {"offset": jnp.full((), 0.5)}

    def losses(self):
        def loss_fn(params, frozen, batch, rng):
            output = self.tiny_network.apply({"params": params["tiny_network"]}, batch["image"])
            noise = self.noise * jax.random.normal(rng, output.shape)
            l2 = jnp.square(output + noise - batch["image"] / 255 + frozen["offset"]).mean()
            shade = jnp.where((batch["index"] == self.poison_at).any(), jnp.nan, jnp.abs(output).mean())
            seen = (2.0 ** batch["index"]).sum()  # which examples: exact in float32, as long as no example is met twice
            return l2 + 0.1 * shade, {"l2": l2, "shade": shade, "seen": seen}

        return {self.modules: loss_fn}

    def pictures(self, params, frozen, batch):
        return {"tiny/input": np.asarray(batch["image"][0])}

    def finish(self, params, frozen, batches, workdir):
        next(batches)
        total = sum(float(np.abs(leaf).sum()) for leaf in jax.tree.leaves(params))
        (workdir / "finished.json").write_text(json.dumps(total))


def tiny_batch_at(key, batch_size, size):
    image = jax.random.randint(key, (batch_size, *size, 3), 0, 256).astype(jnp.uint8)
    return {"image": image, "index": jnp.arange(batch_size)}


def examples(count=EXAMPLES):
    generator = np.random.default_rng(0)
    return {"image": generator.integers(0, 256, (count, 8, 6, 3), np.uint8), "index": np.arange(count)}


def memory_source(batch_size, seed):
    return input_pipeline.memory_batches(examples(), batch_size, seed)


def grain_source(batch_size, seed):
    import grain

    arrays = examples()
    rows = [{name: array[i] for name, array in arrays.items()} for i in range(len(arrays["index"]))]

    def noisy(row, generator):
        return {**row, "image": np.roll(row["image"], generator.integers(6), 1)}

    dataset = grain.MapDataset.source(rows).seed(seed).shuffle().repeat().random_map(noisy)
    return input_pipeline.FileBatches(dataset, batch_size, grain.ReadOptions(num_threads=2))


def saved_state(workdir, step):
    """The state of a checkpoint as a tree of NumPy arrays, whatever devices it lay on."""
    import orbax.checkpoint as ocp

    folder = Path(workdir).absolute() / "checkpoints" / str(step) / "state"
    with ocp.PyTreeCheckpointer() as reader:
        shapes = reader.metadata(folder).item_metadata.tree
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), shapes)
        return reader.restore(folder, restore_args=as_numpy)


def metrics(workdir):
    """The lines of metrics.jsonl without times."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("time", "steps_per_second")} for line in lines]


def command(workdir, *arguments):
    """Trains in a process of its own."""
    always = ["--batch_size=4", "--log_every=1", "--pictures_every=0", "--warmup_steps=2", f"--workdir={workdir}"]
    return [sys.executable, str(Path(__file__).resolve()), *always, *arguments]


def environment(devices: int = 1) -> dict[str, str]:
    """The environment of such a process, with so many virtual devices."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    return {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags, "OMP_NUM_THREADS": "1"}


@contextlib.contextmanager
def tiny_tasks(open_batches=lambda dataset, batch_size, seed, *_, **more: memory_source(batch_size, seed)):
    """Lets train.py find the tiny task, and its data."""
    before = input_pipeline.open_batches
    TASKS["tiny"], input_pipeline.open_batches = TinyTask, open_batches
    try:
        yield
    finally:
        input_pipeline.open_batches = before
        del TASKS["tiny"]


def train_here(arguments) -> int:
    """Trains in this process, several times if need be; returns the exit code."""
    from absl import flags
    from absl.testing import flagsaver

    from vton_jax import train

    try:
        with tiny_tasks(), flagsaver.flagsaver():
            flag_utils.run(train.main, train.define_more_flags, ["train.py", "--model=tiny", *arguments])
    except SystemExit as stopped:
        return stopped.code or 0
    finally:
        flags.FLAGS.unparse_flags()
    return 0


if __name__ == "__main__":
    sys.exit(train_here(sys.argv[1:]))
