"""Frames a second that one core renders: python benchmarks/mannequin_render.py [--size=256x192 --frames=48]

Pins itself to one core, takes one thread of XLA, and prints one JSON object: per number of colour samples a pixel,
frames a second (the best of `--repeats` runs of one program that renders all frames of a walk) and compile seconds.
"""

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
os.environ["JAX_PLATFORMS"] = "cpu"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import jax
import jax.numpy as jnp

from vton_jax.mannequin import motion, people, render


def measure(size: tuple[int, int], samples: int, frames: int, repeats: int, seed: int = 0) -> dict:
    """Renders a walk of each of `repeats` people and times them."""

    def walk(key):
        keys = jax.random.split(key, 4)
        who, wears = people.sample_identity(keys[0]), people.sample_outfit(keys[1])
        moves, where = motion.sample_motion(keys[2], frames / 15), people.sample_scene(keys[3])

        def frame(time_):
            shot = render.render(who, wears, motion.pose_at(moves, time_), where, size=size, samples=samples)
            image = jnp.round(shot.image * 255).astype(jnp.uint8)
            return image, shot.segmentation, shot.keypoints, shot.visible

        return jax.lax.map(frame, jnp.arange(frames) / 15)

    keys = jax.random.split(jax.random.PRNGKey(seed), repeats)
    started = time.perf_counter()
    program = jax.jit(walk).lower(keys[0]).compile()
    compile_seconds = time.perf_counter() - started
    jax.block_until_ready(program(keys[0]))
    seconds = []
    for key in keys:
        started = time.perf_counter()
        jax.block_until_ready(program(key))
        seconds.append(time.perf_counter() - started)
    return {
        "frames_per_second": round(frames / min(seconds), 2),
        "frames_per_second_mean": round(frames * repeats / sum(seconds), 2),
        "compile_seconds": round(compile_seconds, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="256x192", help="HEIGHTxWIDTH")
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=3, help="people")
    parser.add_argument("--samples", default="1,2", help="colour samples a pixel and axis, separated by commas")
    arguments = parser.parse_args()
    size = tuple(int(side) for side in arguments.size.split("x"))
    results = {
        f"samples={samples}": measure(size, int(samples), arguments.frames, arguments.repeats)
        for samples in arguments.samples.split(",")
    }
    about = {"size": arguments.size, "frames": arguments.frames, "cores": 1, "jax": jax.__version__,
             "machine": platform.processor() or platform.machine()}  # fmt: skip
    print(json.dumps(about | results, indent=2))


if __name__ == "__main__":
    main()
