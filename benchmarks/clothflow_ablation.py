"""ClothFlow's ablation, trained and scored: python benchmarks/clothflow_ablation.py --dataset=DIR --output=DIR

Trains every stage that a variant has of its own, all by the recipe of the whole system's stage, from the start and for
as many steps (STEPS, times `--scale`), so that all variants see equal samples, then scores them by the suite
`clothflow`. What is trained already stays: the same command again goes on. `--dataset` is a folder of `vton
cache_examples --kind=people`; `--perceptual` the weights of VGG16 or AlexNet without which `no_style` equals `full`.
Weights and OUTPUT/evaluation stay in the folder `--output`.
"""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from vton_jax.systems.clothflow import variants

# Meant for 30 minutes of one CPU core and more; `flow` took 23 and 41 of two shared ones, the rest was not finished.
STEPS = {"layout": 6000, "flow": 6000, "render": 1500}


def trainings(names: list[str]) -> list[tuple[str, str, str]]:
    """(weights, stage, variant) of all that the variants need, each once, a stage after those that it reads."""
    found = {}
    for stage in variants.STAGES:
        for name in names:
            if (file := variants.weights_name(stage, name)) is not None:
                found.setdefault(file, (file, stage, name))
    return list(found.values())


def command(weights: str, stage: str, name: str, options: argparse.Namespace) -> list[str]:
    """How one stage of a variant is trained."""
    folder, steps = Path(options.output), max(1, round(STEPS[stage] * options.scale))
    recipes = [f"--flagfile={ROOT}/vton_jax/flagfiles/clothflow_{part}.flags" for part in (stage, "base")]
    # The second takes back what the first may have of a recipe for a GPU.
    flags = [*recipes, "--dtype=float32", f"--dataset={options.dataset}"]
    flags += [f"--variant={name}", f"--num_steps={steps}", "--max_seconds=0", "--schedule_seconds=0"]
    flags += ["--init_from="]  # everything from the start
    flags += [f"--workdir={folder / weights}", f"--export={folder / weights}.safetensors"]
    if stage == "render":
        flow = variants.weights_name("flow", name)
        flags += [f"--flow_weights={folder / flow}.safetensors" if flow else "--flow_weights=none"]
        flags += [f"--perceptual={options.perceptual}", f"--crop={options.crop}"]
    return [sys.executable, str(ROOT / "train.py"), *flags, *options.more]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--scale", type=float, default=1, help="of the number of steps")
    parser.add_argument("--variants", default=",".join(variants.VARIANTS))
    parser.add_argument("--perceptual", default="none")
    parser.add_argument("--crop", type=int, default=64, help="side of the squares that VGG16 sees")
    parser.add_argument("--num_cases", type=int, default=48)
    parser.add_argument("--more", nargs=argparse.REMAINDER, default=[], help="more flags of train.py")
    options = parser.parse_args(arguments)
    names, options.output = options.variants.split(","), str(Path(options.output).resolve())
    for weights, stage, name in trainings(names):
        if not (Path(options.output) / f"{weights}.safetensors").exists():
            print(f"{weights}", flush=True)
            subprocess.run(command(weights, stage, name, options), check=True)
    evaluate = [sys.executable, "-m", "vton_jax.evaluate", "--suite=clothflow", f"--variants={options.variants}"]
    evaluate += [f"--weights={options.output}", f"--num_cases={options.num_cases}"]
    subprocess.run([*evaluate, f"--output={options.output}/evaluation"], check=True, cwd=ROOT)


if __name__ == "__main__":
    main()
