"""Training speed beside a PyTorch twin, in one run: python benchmarks/train_step.py [--model=triple_guided_cnn]

Needs the extra `bench`. The twin (benchmarks/torch_twins.py) starts from the same parameters and gets the same batch;
its loss and gradient norm are compared with JAX's before anything is timed. Then the two take turns, a few steps each,
so that other work on the machine hits both, and medians over the turns are reported:

    examples a second, and their ratio (the median over the rounds, paired); the same by processor time, which other
        work disturbs less (under `taskset -c 0` it is the fairest figure that a shared machine gives)
    model FLOPs utilisation: three times the forward pass's convolutions and products, over the matmul peak that was
        measured in the same run (the better of the two libraries); each library's own, since JAX has fewer to do where
        a doubled map is convolved
    time waiting for data: the fraction of train.py's loop spent in `next(batches)` and in placing the batch, from a
        dataset of files that is made for it
    compile seconds

On a GPU: --size=256x192 --dtype=bfloat16 --batch_size=64 --compile. Prints one JSON object; --profile=DIR also writes
a JAX trace and lists the operations that take longest.
"""

import argparse
import collections
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # two libraries share the accelerator
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import program_costs
from vton_jax import tasks
from vton_jax.core import programs
from vton_jax.inputs import drawn_batches, input_pipeline
from vton_jax.training import train_state

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = {
    "multi_path_cnn": {},
    "triple_guided_cnn": {"arm": "joint", "layouts": "truth", "re_map_weights": "none"},
}
EMA_DECAY = 0.999
LEARNING_RATE = 1e-3


class JaxTrainer:
    """The step of train.py on one device, with the parameters that the twin starts from."""

    def __init__(self, model: str, size: tuple[int, int], batch_size: int, dtype: str, tuned: bool):
        networks = {
            name: type(network)(**({"size": size} if hasattr(network, "size") else {}), dtype=getattr(jnp, dtype))
            for name, network in vars(tasks.TASKS[model](**SETTINGS[model])).items()
            if name in tasks.TASKS
        }
        self.task = tasks.TASKS[model](**SETTINGS[model], **networks, size=size)
        self.batch_size, self.size = batch_size, size
        self.mesh = train_state.make_mesh()
        self.batch = next(drawn_batches.open_batches(0, batch_size, size))
        self.seed_key = jax.random.PRNGKey(1)
        self.params = jax.device_get(self.task.init(jax.random.PRNGKey(0), self.batch))
        optimizer = train_state.make_optimizer(LEARNING_RATE, 10_000, 300, gradient_clip=1.0)
        self.state = train_state.replicate(train_state.create(self.params, optimizer, EMA_DECAY), self.mesh)
        step = train_state.make_train_step(self.task, optimizer, EMA_DECAY)
        options = programs.compiler_options() if tuned else {}
        jitted = jax.jit(step, donate_argnums=0, compiler_options=options)
        started = time.perf_counter()
        self.rate = {"learning_rate_scale": np.float32(1)}
        self.program = jitted.lower(self.state, {}, self.batch, self.seed_key, **self.rate).compile()
        self.compile_seconds = time.perf_counter() - started

    def step(self, batch: dict) -> dict:
        self.state, metrics = self.program(self.state, {}, batch, self.seed_key, **self.rate)
        return metrics

    def run(self, steps: int) -> None:
        """So many steps of the first batch."""
        for _ in range(steps):
            metrics = self.step(self.batch)
        jax.block_until_ready(metrics)

    def forward_flops(self) -> int:
        """FLOPs of the loss's convolutions and products, forward."""
        (loss,) = self.task.losses().values()
        return program_costs.matmul_flops(loss, self.params, {}, self.batch, self.seed_key)


def blind(batch: dict) -> dict:
    """A batch without joints: the noise in pose maps, which each library draws for itself, has no effect."""
    return {name: np.zeros_like(a) if name.endswith("_visible") and name != "flow_visible" else np.asarray(a)
            for name, a in batch.items()}  # fmt: skip


def compare(ours: JaxTrainer, twin, tolerance: float) -> dict:
    """Loss and gradient norm of both at the first parameters; SystemExit where they are not the same function."""
    batch = blind(ours.batch) if "re_map_cnn" in ours.params else ours.batch
    (loss_fn,) = ours.task.losses().values()

    def measure(params):
        (loss, _), gradients = jax.value_and_grad(loss_fn, has_aux=True)(params, {}, batch, ours.seed_key)
        return loss, jnp.sqrt(sum(jnp.vdot(g, g) for g in jax.tree.leaves(gradients)))

    jax_loss, jax_norm = map(float, jax.jit(measure)(ours.params))
    torch_loss, torch_norm = map(float, twin.gradients(twin.put(batch)))
    found = {"loss": [jax_loss, torch_loss], "gradient_norm": [jax_norm, torch_norm]}
    for name, (a, b) in found.items():
        if abs(a - b) > tolerance * abs(a):
            raise SystemExit(f"The twin is not the same function: {name} is {b}, not {a}.")
    return found


def matmul_peak(dtype: str, twin_device, side: int, seconds: float = 1.5) -> dict:
    """FLOPs a second of a square matrix product, the best of each library."""
    import torch

    left = jax.random.normal(jax.random.PRNGKey(0), (side, side), getattr(jnp, dtype))
    other = torch.tensor(np.asarray(left, np.float32), device=twin_device).to(getattr(torch, dtype))
    product = jax.jit(lambda a: a @ a)

    def in_torch():
        other @ other
        if twin_device.type == "cuda":
            torch.cuda.synchronize()

    best = {}
    for name, once in (("jax", lambda: product(left).block_until_ready()), ("torch", in_torch)):
        once()
        times, until = [], time.perf_counter() + seconds
        while time.perf_counter() < until:
            started = time.perf_counter()
            once()
            times.append(time.perf_counter() - started)
        best[name] = 2 * side**3 / min(times)
    return best


def contest(contestants: dict, rounds: int, steps: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Seconds a step of every turn, by the wall clock and of processor time; the order changes from round to round."""
    wall, busy = ({name: [] for name in contestants} for _ in range(2))
    for turn in range(rounds + 1):
        for name in list(contestants)[:: 1 if turn % 2 else -1]:
            started, used = time.perf_counter(), time.process_time()
            contestants[name](steps)
            if turn:  # the first is for warming up
                wall[name].append((time.perf_counter() - started) / steps)
                busy[name].append((time.process_time() - used) / steps)
    return wall, busy


def paired_ratio(seconds: dict[str, list[float]]) -> float:
    """The median over the rounds of the twin's seconds over JAX's: above 1 where JAX is faster."""
    pairs = zip(seconds["jax"], seconds["torch"], strict=True)
    return round(statistics.median(twin / ours for ours, twin in pairs), 3)


def data_wait(ours: JaxTrainer, steps: int) -> float:
    """The fraction of the time that a loop like train.py's spends in getting its batch, from files."""
    with tempfile.TemporaryDirectory() as folder:
        height, width = ours.size
        environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
        for command in (
            ["-m", "vton_jax.catalogue", f"--output={folder}/catalogue", "--people=8", "--videos_per_person=2",
             "--seconds=2", "--frame_rate=4", f"--size={height}x{width}"],
            [str(ROOT / "data" / "build.py"), "pose_and_dress", f"--source={folder}/catalogue",
             f"--data_dir={folder}/datasets"],
        ):  # fmt: skip
            subprocess.run([sys.executable, *command], check=True, env=environment, stdout=sys.stderr)
        batches = input_pipeline.tfds_batches(f"{folder}/datasets", "train", ours.batch_size, 0, ours.size)
        shared = {name: np.asarray(array) for name, array in next(batches).items()}
        flow = {name: ours.batch[name] for name in ("flow", "flow_visible", "donor_flat") if name not in shared}
        pending, waited = collections.deque(), 0.0
        for number in range(steps + 2):
            if number == 2:  # the pipeline is filled
                jax.block_until_ready(ours.state)
                started, waited = time.perf_counter(), 0.0
            called = time.perf_counter()
            batch = train_state.shard_batch(next(batches), ours.mesh) | flow
            waited += time.perf_counter() - called
            pending.append(ours.step(batch))
            if len(pending) > 2:
                jax.block_until_ready(pending.popleft())
        jax.block_until_ready(ours.state)
        return waited / (time.perf_counter() - started)


def slowest_operations(folder: str, count: int = 25) -> list:
    """[milliseconds, times, name] of the operations that a trace holds, the longest first."""
    path = max(Path(folder).glob("**/*.xplane.pb"), key=os.path.getmtime)
    spent = collections.defaultdict(lambda: [0.0, 0])
    for plane in jax.profiler.ProfileData.from_file(str(path)).planes:
        for line in plane.lines:
            for event in line.events:
                if any(name == "hlo_op" for name, _ in event.stats):
                    spent[event.name][0] += event.duration_ns / 1e6
                    spent[event.name][1] += 1
    return [
        [round(ms, 1), times, name] for name, (ms, times) in sorted(spent.items(), key=lambda kv: -kv[1][0])[:count]
    ]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(SETTINGS), default="multi_path_cnn")
    parser.add_argument("--size", default="128x96", help="HEIGHTxWIDTH")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--rounds", type=int, default=8, help="turns of each contestant")
    parser.add_argument("--steps", type=int, default=2, help="steps a turn")
    parser.add_argument("--compile", action="store_true", help="let the twin run under torch.compile")
    parser.add_argument("--untuned", action="store_true", help="without the options of vton_jax/core/programs.py")
    parser.add_argument("--without_data", action="store_true", help="spare the measurement from files")
    parser.add_argument("--profile", help="folder for a JAX trace")
    return parser.parse_args()


def measure(ours: JaxTrainer, twin, arguments: argparse.Namespace) -> dict:
    """The two take turns: speeds, ratios, FLOPs and the peak that they are measured against."""
    batch = twin.put(ours.batch)

    def run_torch(steps):
        for _ in range(steps):
            loss, _ = twin.step(batch, LEARNING_RATE)
        loss.item()

    seconds, processor = contest({"jax": ours.run, "torch": run_torch}, arguments.rounds, arguments.steps)
    peaks = matmul_peak(arguments.dtype, twin.device, 8192 if twin.device.type == "cuda" else 2048)
    flops = {"jax": 3 * ours.forward_flops(), "torch": 3 * twin.forward_flops(batch)}
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "seconds_a_step": {name: round(value, 4) for name, value in medians.items()},
        "all_seconds": {name: [round(value, 4) for value in times] for name, times in seconds.items()},
        "examples_a_second": {name: round(arguments.batch_size / value, 2) for name, value in medians.items()},
        "jax_over_torch": paired_ratio(seconds),
        "processor_seconds_a_step": {name: round(statistics.median(times), 3) for name, times in processor.items()},
        "jax_over_torch_by_processor_time": paired_ratio(processor),
        "model_gflops_a_step": {name: round(value / 1e9, 1) for name, value in flops.items()},
        "matmul_peak_gflops": {name: round(value / 1e9, 1) for name, value in peaks.items()},
        "model_flops_utilisation": {
            name: round(flops[name] / value / max(peaks.values()), 3) for name, value in medians.items()},
    }  # fmt: skip


def main() -> None:
    arguments = parse_arguments()
    try:
        import torch

        from benchmarks import torch_twins
    except ImportError:
        raise SystemExit('The twin needs PyTorch: pip install -e ".[bench]".') from None

    size = tuple(int(side) for side in arguments.size.split("x"))
    device = torch.device("cuda" if jax.default_backend() == "gpu" else "cpu")
    ours = JaxTrainer(arguments.model, size, arguments.batch_size, arguments.dtype, not arguments.untuned)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    twin = torch_twins.Trainer(
        arguments.model, ours.params, size, device, dtype=getattr(torch, arguments.dtype), compile_=arguments.compile,
        learning_rate=LEARNING_RATE, ema_decay=EMA_DECAY,
    )  # fmt: skip
    started = time.perf_counter()
    first = compare(ours, twin, 1e-3 if arguments.dtype == "float32" else 5e-2)
    compare_seconds = time.perf_counter() - started
    report = vars(arguments) | {
        "jax_version": jax.__version__,
        "torch_version": torch.__version__,
        "device": jax.devices()[0].device_kind,
        "machine": platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "load": [round(load, 1) for load in os.getloadavg()],
        "first_loss_and_gradient_norm": first,
    }
    report |= measure(ours, twin, arguments)
    report["compile_seconds"] = {
        "jax": round(ours.compile_seconds, 1), "compare": round(compare_seconds, 1),
    }  # fmt: skip
    if not arguments.without_data:
        report["time_waiting_for_data"] = round(data_wait(ours, max(arguments.rounds, 10)), 4)
    if arguments.profile:
        with jax.profiler.trace(arguments.profile):
            ours.run(2)
        report["slowest_operations_of_2_steps"] = slowest_operations(arguments.profile)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
