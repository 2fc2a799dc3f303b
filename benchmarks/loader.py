"""Does the loader keep up? Examples a second that it gives against what the 128x96 train step takes.

    python benchmarks/loader.py --dataset=DIR [--split=train]

In one run: the loader alone (augmented batches of 16, threads, no processes), the real step of MultiPathCNN alone
(the recipe cpu_128x96), and both together as in training. Prints one JSON object: rates by the clock (the median of
--repeats measurements) and, since shared cores vary, CPU seconds an example.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import jax

from vton_jax.inputs import input_pipeline
from vton_jax.tasks import TASKS
from vton_jax.training import sharding, train_state

BATCH_SIZE = 16
SIZE = (128, 96)


def timed(function, repeats: int) -> tuple[float, float]:
    """Median seconds of a call, by the clock and of all cores together."""
    clock, cores = [], []
    for _ in range(repeats):
        started, used = time.perf_counter(), time.process_time()
        function()
        clock.append(time.perf_counter() - started)
        cores.append(time.process_time() - used)
    return statistics.median(clock), statistics.median(cores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", required=True, help="a prepared dataset, or a mixture A:0.7,B:0.3")
    parser.add_argument("--split", default="train")
    parser.add_argument("--batches", type=int, default=8, help="batches a measurement of the loader")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    batches = input_pipeline.tfds_batches(arguments.dataset, arguments.split, BATCH_SIZE, 0, SIZE)
    batch = next(batches)

    def load() -> None:
        for _ in range(arguments.batches):
            next(batches)

    load()  # fills the buffer
    loading = [seconds / BATCH_SIZE / arguments.batches for seconds in timed(load, arguments.repeats)]

    task = TASKS["multi_path_cnn"]
    task = task(multi_path_cnn=task().multi_path_cnn.clone(size=SIZE), size=SIZE)
    optimizer = train_state.make_optimizer(1e-3, 1000, 100, 1.0)
    mesh = sharding.make_mesh(1)
    state = train_state.create(task.init(jax.random.PRNGKey(0), batch), optimizer, 0.999)
    step = jax.jit(train_state.make_train_step(task, optimizer, 0.999), donate_argnums=0)
    key = jax.random.PRNGKey(1)

    def train(drawn) -> None:
        nonlocal state
        state, metrics = step(state, {}, train_state.shard_batch(drawn, mesh), key)
        jax.block_until_ready(metrics)

    train(batch)  # compiles
    stepping = [seconds / BATCH_SIZE for seconds in timed(lambda: train(batch), arguments.repeats)]
    both = timed(lambda: train(next(batches)), arguments.repeats)[0] / BATCH_SIZE
    about = {"dataset": Path(arguments.dataset).name, "size": "128x96", "batch_size": BATCH_SIZE,
             "cores": len(os.sched_getaffinity(0)), "machine": platform.machine(),
             "load_average": round(os.getloadavg()[0], 1), "jax": jax.__version__}  # fmt: skip
    rates = {
        "loader_examples_per_second": round(1 / loading[0], 1),
        "step_examples_per_second": round(1 / stepping[0], 2),
        "together_examples_per_second": round(1 / both, 2),
        "ratio": round(stepping[0] / loading[0], 1),
        "loader_cpu_seconds_an_example": round(loading[1], 4),
        "step_cpu_seconds_an_example": round(stepping[1], 4),
        "ratio_of_cpu_seconds": round(stepping[1] / loading[1], 1),
    }
    print(json.dumps(about | rates, indent=1))


if __name__ == "__main__":
    main()
