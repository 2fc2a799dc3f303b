"""ClothFlow's ablation, trained and scored: python benchmarks/clothflow_ablation.py --dataset=DIR --output=DIR

Trains every stage that a variant has of its own, all by the recipe of the whole system's stage, from the start and for
as many steps (STEPS, times `--scale`), so that all variants see equal samples, then scores them by the suite
`clothflow`. What is trained already stays: the same command again goes on. `--dataset` is a folder of `vton
cache_examples --kind=people`; `--perceptual` the weights of VGG16 or AlexNet without which `no_style` equals `full`.
Weights and OUTPUT/evaluation stay in the folder `--output`.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import ablations
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
    # The second recipe takes back what the first may have of one for a GPU.
    recipes = [f"clothflow_{part}" for part in (stage, "base")]
    flags = [*ablations.training(weights, name, recipes, STEPS[stage], options), "--dtype=float32"]
    if stage == "render":
        flow = variants.weights_name("flow", name)
        flags += [f"--flow_weights={Path(options.output) / flow}.safetensors" if flow else "--flow_weights=none"]
        flags += [f"--perceptual={options.perceptual}", f"--crop={options.crop}"]
    return flags + options.more


def main(arguments: list[str] | None = None) -> None:
    parser = ablations.parser(__doc__.splitlines()[0], list(variants.VARIANTS))
    parser.add_argument("--crop", type=int, default=64, help="side of the squares that VGG16 sees")
    parser.add_argument("--num_cases", type=int, default=48)
    options = parser.parse_args(arguments)
    names, options.output = options.variants.split(","), str(Path(options.output).resolve())
    commands = {weights: command(weights, stage, name, options) for weights, stage, name in trainings(names)}
    ablations.train_missing(options.output, commands)
    ablations.evaluate([
        "--suite=clothflow", f"--variants={options.variants}", f"--weights={options.output}",
        f"--num_cases={options.num_cases}", f"--output={options.output}/evaluation",
        f"--perceptual={options.perceptual}",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
