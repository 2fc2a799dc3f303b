"""The bilinear warp against PyTorch's: python benchmarks/warp.py [--json]

`core.geometry.warp`, the inner loop of all that moves garments, and `torch.nn.functional.grid_sample` (border padding,
aligned corners), in one process and in turn: forward, the gradients towards flow and picture, and towards the flow
alone, which is all that is wanted where a picture is an input. Medians in milliseconds; `ratio` above 1: ours is the
faster one. Values and gradients are compared first. Wants the extra `bench`.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import geometry

SHAPES = (1, 256, 192, 3), (8, 256, 192, 3), (1, 1024, 768, 3), (8, 64, 48, 64)  # the last: features
SPREAD = 6.0  # pixels, standard deviation of flows
ROUNDS = 15


def drawn(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A picture, a smooth flow, and what the gradients begin with."""
    generator, (batch, height, width, _) = np.random.default_rng(0), shape
    coarse = SPREAD * generator.standard_normal((batch, 8, 6, 2))
    flow = np.asarray(jax.image.resize(coarse.astype(np.float32), (batch, height, width, 2), "bicubic"))
    return generator.random(shape, np.float32), flow, generator.standard_normal(shape).astype(np.float32)


def ours(picture, flow, towards) -> dict[str, Callable[[], list[np.ndarray]]]:
    arguments = tuple(map(jnp.asarray, (picture, flow, towards)))
    loss = lambda picture, flow, towards: jnp.vdot(geometry.warp(picture, flow), towards)  # noqa: E731
    of_flow = lambda p, f, t: jax.grad(loss, 1)(jax.lax.stop_gradient(p), f, t)  # noqa: E731
    programs = {
        "forward": lambda p, f, t: [geometry.warp(p, f)],
        "gradient": lambda p, f, t: list(jax.grad(loss, (0, 1))(p, f, t)),
        "gradient_of_flow": lambda p, f, t: [of_flow(p, f, t)],
    }
    compiled = {name: jax.jit(program) for name, program in programs.items()}
    return {name: lambda run=run: jax.block_until_ready(run(*arguments)) for name, run in compiled.items()}


def theirs(picture, flow, towards) -> dict[str, Callable[[], list[np.ndarray]]]:
    import torch

    height, width = flow.shape[1:3]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    grid, scale = torch.stack([x, y], -1), torch.tensor([2 / (width - 1), 2 / (height - 1)])
    given, moves, aim = (torch.from_numpy(np.array(array)) for array in (picture, flow, towards))
    given, aim = (array.permute(0, 3, 1, 2).contiguous() for array in (given, aim))

    def warp(given, moves):
        return torch.nn.functional.grid_sample(
            given, (grid + moves) * scale - 1, padding_mode="border", align_corners=True
        )

    def forward():
        with torch.no_grad():
            return [warp(given, moves).permute(0, 2, 3, 1)]

    def gradient(*wanted):
        found = torch.autograd.grad(warp(*leaves), wanted, aim)
        return [one.permute(0, 2, 3, 1) if one.shape[1:] == given.shape[1:] else one for one in found]

    leaves = given.clone().requires_grad_(True), moves.clone().requires_grad_(True)
    picture = given.clone()  # an input, whose gradient nobody wants

    def gradient_of_flow():
        return list(torch.autograd.grad(warp(picture, leaves[1]), leaves[1], aim))

    programs = {"forward": forward, "gradient": lambda: gradient(*leaves), "gradient_of_flow": gradient_of_flow}
    return programs


def measure(shape: tuple[int, ...]) -> dict[str, dict[str, float]]:
    """{what: milliseconds of both, and their ratio} at a shape."""
    arrays, found = drawn(shape), {}
    programs = ours(*arrays), theirs(*arrays)
    for name in programs[0]:
        seconds = [], []
        for one, other in zip(*(program[name]() for program in programs), strict=True):
            # Where a pixel's neighbour changes, either gradient is right.
            apart = np.abs(np.asarray(one) - np.asarray(other))
            assert np.quantile(apart, 0.999) < 1e-2, f"{name}: they part by {apart.max()}"
        for _ in range(ROUNDS):
            for program, times in zip(programs, seconds, strict=True):
                begun = time.perf_counter()
                program[name]()
                times.append(1000 * (time.perf_counter() - begun))
        jax_ms, torch_ms = map(statistics.median, seconds)
        found[name] = {"jax": round(jax_ms, 2), "torch": round(torch_ms, 2), "ratio": round(torch_ms / jax_ms, 2)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found = {"x".join(map(str, shape)): measure(shape) for shape in SHAPES}
    if options.json:
        print(json.dumps(found))
        return
    for shape, rows in found.items():
        for name, values in rows.items():
            print(f"{shape:14} {name:18}", *(f"{key} {value:8.2f}" for key, value in values.items()))


if __name__ == "__main__":
    main()
