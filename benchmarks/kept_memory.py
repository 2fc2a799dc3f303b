"""What keeping freed memory saves a training step on a CPU: python benchmarks/kept_memory.py [--json]

MultiPathCNN's gradient at 256x192, in a process that keeps freed memory (`command_line.allocator`) and in one that does
not, in turn. Times are of the processor, so that other work on the machine hardly counts.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_PROGRAM = """
import json, resource, sys
if sys.argv[1] == "kept":
    from vton_jax.command_line import allocator
    assert allocator.keep_freed_memory(), "not glibc, or told otherwise"
import jax, jax.numpy as jnp
from vton_jax.models import multi_path_cnn as multi_path
from vton_jax.tasks.modules import total
from vton_jax.core.programs import compiler_options
batch, steps, network = 8, 4, multi_path.MultiPathCNN()
key = jax.random.PRNGKey(0)
image = jax.random.uniform(key, (batch, 256, 192, 3))
labels = jax.random.randint(key, (batch, 256, 192), 0, 18)
joints = 190 * jax.random.uniform(key, (batch, 18, 2)), jnp.ones((batch, 18), bool)
params = jax.jit(network.init)(key, image)
loss = lambda p: total(multi_path.loss(network.apply(p, image), image, labels, *joints), multi_path.LOSS_WEIGHTS)
step = jax.jit(jax.grad(loss), compiler_options=compiler_options())
jax.block_until_ready(step(params))
before = resource.getrusage(resource.RUSAGE_SELF)
for _ in range(steps):
    jax.block_until_ready(step(params))
after = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([(after.ru_utime - before.ru_utime) / steps, (after.ru_stime - before.ru_stime) / steps]))
"""


def measure(how: str) -> list[float]:
    """Seconds of the processor a step: of the program, of the system."""
    run = [sys.executable, "-c", _PROGRAM, how]
    return json.loads(subprocess.run(run, capture_output=True, text=True, check=True, cwd=ROOT).stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2, help="of both")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    best = {"given back": [9e9, 0.0], "kept": [9e9, 0.0]}
    for _ in range(options.rounds):
        for how in best:
            best[how] = min(best[how], measure(how), key=sum)
    speedup = sum(best["given back"]) / sum(best["kept"])
    if options.json:
        print(json.dumps({name: [round(value, 3) for value in times] for name, times in best.items()}
                         | {"speedup": round(speedup, 3)}))  # fmt: skip
        return
    for how, (program, system) in best.items():
        print(f"{how:11} {program:.2f} s of the program, {system:.2f} s of the system a step")
    print(f"{speedup:.2f} times as fast")


if __name__ == "__main__":
    main()
