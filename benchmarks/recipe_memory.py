"""Memory of a recipe's training step at its own size and batch: python benchmarks/recipe_memory.py [RECIPE...]

Each step is compiled for one CPU device from shapes alone (benchmarks/compile_for_pods.py) and not run; without names
all recipes that write weights, those for pods left out. Prints a row of a Markdown table for each, megabytes as XLA
says them: `state` are parameters, optimizer and moving average, `arguments` these with the batch and what is frozen,
`temporary` what the step needs besides. A CPU computes bfloat16 in float32, so that an accelerator needs less. With
--steps=N the recipe is also trained for so many steps here, on its own data, and `process` is what the process held at
most, JAX and its compiler included.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "vton_jax" / "flagfiles"
COLUMNS = ("recipe", "size, batch", "million parameters", "state", "arguments", "temporary", "process")


def call(script: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / script), *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{script} {' '.join(arguments)}: {done.stderr.strip().splitlines()[-1]}")
    return done


def recipes() -> list[str]:
    """All that write weights, for one machine."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.flags"))}
    return [name for name, text in texts.items() if "\n--export=" in text and not name.endswith("_512x384")]


def compiled(recipe: str) -> dict:
    """The report of compile_for_pods.py."""
    done = call("benchmarks/compile_for_pods.py", f"--flagfile={FOLDER / recipe}.flags", "--devices=1", "--whole_batch")
    return json.loads(done.stdout.splitlines()[-1])


def trained(recipe: str, steps: int) -> float:
    """Megabytes that a process held at most which trained so many steps from the start, as train.py says them."""
    new = [f"--num_steps={steps}", "--init_from=", "--export=", "--evaluate_every=0", "--pictures_every=0"]
    with tempfile.TemporaryDirectory() as folder:
        done = call("train.py", f"--flagfile={FOLDER / recipe}.flags", *new, f"--workdir={folder}/run")
    return 1000 * float(re.search(r"memory at most ([\d.]+) GB", done.stderr)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="*", default=recipes(), help="names in vton_jax/flagfiles, without .flags")
    parser.add_argument("--steps", type=int, default=0, help="also train so many steps")
    arguments = parser.parse_args()
    if missing := [name for name in arguments.recipe if not (FOLDER / f"{name}.flags").is_file()]:
        raise SystemExit(f"There is no recipe {', '.join(missing)} in {FOLDER}.")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for recipe in arguments.recipe:
        report = compiled(recipe)
        size = "x".join(map(str, report["size"]))
        megabytes = report["megabytes_a_device"]
        process = f"{trained(recipe, arguments.steps):.0f}" if arguments.steps else ""
        cells = (
            f"`{recipe}`", f"{size}, {report['batch_a_device']}", f"{report['parameters'] / 1e6:.2f}",
            f"{report['megabytes']['state']:.1f}", f"{megabytes['arguments']:.1f}", f"{megabytes['temporary']:.0f}",
            process,
        )  # fmt: skip
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
