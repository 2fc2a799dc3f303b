"""What the commands share that train the variants of a system at equal samples and score them all."""

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def parser(description: str, variants: list[str]) -> argparse.ArgumentParser:
    """The options that every such command has."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--dataset", required=True)
    found.add_argument("--output", required=True)
    found.add_argument("--scale", type=float, default=1, help="of the number of steps")
    found.add_argument("--variants", default=",".join(variants))
    found.add_argument("--perceptual", default="none")
    found.add_argument("--more", nargs=argparse.REMAINDER, default=[], help="more flags of train.py")
    return found


def training(weights: str, name: str, recipes: list[str], steps: int, options: argparse.Namespace) -> list[str]:
    """The command that trains a stage of the variant `name` for so many steps, times `--scale`, from the start."""
    folder, steps = Path(options.output), max(1, round(steps * options.scale))
    flags = [f"--flagfile={ROOT}/vton_jax/flagfiles/{recipe}.flags" for recipe in recipes]
    flags += [f"--dataset={options.dataset}", f"--variant={name}", f"--num_steps={steps}"]
    # Steps, not a clock, end each training: all variants see equal samples.
    flags += ["--max_seconds=0", "--schedule_seconds=0", "--init_from="]
    flags += [f"--workdir={folder / weights}", f"--export={folder / weights}.safetensors"]
    return [sys.executable, str(ROOT / "train.py"), *flags]


def train_missing(folder: str, commands: dict[str, list[str]]) -> None:
    """Runs the command of each file of weights that is not in the folder yet; what was begun goes on."""
    for weights, command in commands.items():
        if not (Path(folder) / f"{weights}.safetensors").exists():
            print(weights, flush=True)
            subprocess.run(command, check=True)


def evaluate(arguments: list[str]) -> None:
    """Runs a suite."""
    subprocess.run([sys.executable, "-m", "vton_jax.evaluate", *arguments], check=True, cwd=ROOT)
