"""GFLOP a second of processor time of single convolutions and their gradients: python benchmarks/convolutions.py jax

`jax` takes XLA as it comes, `tuned` with the options of `vton_jax/core/programs.py`, `torch` is PyTorch (extra
`bench`). On one core: taskset -c 0. A line a convolution: images, height, width, channels in, channels out, side of the
kernel.

`python benchmarks/convolutions.py doubled` sets the convolution of an upsampled map against `layers.doubled`, the
same function, at MultiPathCNN's shapes: milliseconds by the clock and of processor time, each the best of seven turns.

`python benchmarks/convolutions.py networks`: milliseconds a frame by the clock of the released networks at 256x192, of
one frame and of four at once, as XLA comes and tuned, each the best of seven turns; `gradient` is that of the decoder's
layout and pose towards the latent, as the backward procedure takes it.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import programs as kept
from vton_jax.models import layers

SHAPES = [(48, 32, 24, 96, 96, 3), (48, 32, 24, 64, 64, 3), (48, 16, 12, 96, 96, 3), (48, 8, 6, 128, 128, 3),
          (48, 32, 24, 48, 48, 3), (48, 32, 24, 96, 192, 1)]  # fmt: skip

# images, height and width before the doubling, channels in, channels out: MultiPathCNN's at 128x96, then at 256x192
DOUBLED = [(48, 4, 3, 192, 160), (48, 8, 6, 160, 96), (48, 8, 6, 160, 128), (48, 8, 6, 192, 160), (48, 16, 12, 160, 96),
           (48, 16, 12, 160, 128)]  # fmt: skip


def best(function, repeats: int = 4) -> float:
    """The least processor seconds of a call, after one for warming up."""
    function()
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        function()
        seconds.append(time.process_time() - started)
    return min(seconds)


def in_torch(x, kernel, gradient):
    import torch

    torch.set_num_threads(1)
    side = kernel.shape[0]
    x = torch.tensor(x).permute(0, 3, 1, 2).requires_grad_()
    kernel = torch.tensor(kernel.transpose(3, 2, 0, 1)).contiguous(memory_format=torch.channels_last).requires_grad_()
    gradient = torch.tensor(gradient).permute(0, 3, 1, 2)
    forward = lambda: torch.nn.functional.conv2d(x, kernel, padding=side // 2)  # noqa: E731
    y = forward()
    yield forward
    for wanted in (x, kernel):
        yield lambda wanted=wanted: torch.autograd.grad(y, wanted, gradient, retain_graph=True)


def in_jax(x, kernel, gradient, options):
    def forward(x, kernel):
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    programs = (
        lambda x, k, g: forward(x, k),
        lambda x, k, g: jax.vjp(lambda x: forward(x, k), x)[1](g),
        lambda x, k, g: jax.vjp(lambda k: forward(x, k), k)[1](g),
    )
    arguments = tuple(map(jnp.asarray, (x, kernel, gradient)))
    for program in programs:
        jitted = jax.jit(program, compiler_options=options)
        yield lambda jitted=jitted: jax.block_until_ready(jitted(*arguments))


def upsampled(x, kernel):
    return jax.lax.conv_general_dilated(
        layers.upsample(x), kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def compare_doubled(generator, turns: int = 7) -> None:
    """Prints a line a shape; the contestants take turns, so that other work hits all of them."""
    for images, height, width, channels, features in DOUBLED:
        sides = (images, height, width, channels), (3, 3, channels, features), (images, 2 * height, 2 * width, features)
        arrays = [jnp.asarray(generator.standard_normal(side, dtype=np.float32)) for side in sides]
        programs, seconds = {}, {}
        for name, convolve in (("upsampled", upsampled), ("doubled", layers.doubled)):
            for what, program in (
                ("forward", lambda x, k, g, f=convolve: f(x, k)),
                ("and gradients", lambda x, k, g, f=convolve: (lambda y, pull: (y, pull(g)))(*jax.vjp(f, x, k))),
            ):
                programs[what, name] = jax.jit(program, compiler_options=kept.compiler_options())
                jax.block_until_ready(programs[what, name](*arrays))
                seconds[what, name] = []
        for _ in range(turns):
            for key, program in programs.items():
                started = time.perf_counter(), time.process_time()
                jax.block_until_ready(program(*arrays))
                seconds[key].append((time.perf_counter() - started[0], time.process_time() - started[1]))
        for what in ("forward", "and gradients"):
            shown = [
                f"{name} {min(wall for wall, _ in seconds[what, name]) * 1e3:.1f} / "
                f"{min(busy for _, busy in seconds[what, name]) * 1e3:.1f} ms"
                for name in ("upsampled", "doubled")
            ]
            print((images, height, width, channels, features), what, ", ".join(shown), flush=True)


def network_calls(frames: int) -> dict:
    """{name: (function, its arrays)} of what a try-on asks of the networks, for so many frames."""
    from vton_jax.models import multi_path_cnn, re_map_cnn, triple_guided_cnn, weights

    def load(name, kind, file=None):
        return weights.load_network(name, kind, weights.path_of(file or name))[:2]

    triple, triple_params = load("triple_guided_cnn", triple_guided_cnn.TripleGuidedCNN, "triple_guided_cnn_none")
    re_map, re_map_params = load("re_map_cnn", re_map_cnn.ReMapCNN)
    multi, multi_params = load("multi_path_cnn", multi_path_cnn.MultiPathCNN)
    generator = np.random.default_rng(0)
    maps = lambda *shape: generator.random((frames, *shape), np.float32)  # noqa: E731
    image, labels, pose = maps(256, 192, 3), maps(256, 192, 18), maps(64, 48, 18)

    def shown(z):
        return sum(map(jnp.sum, multi.apply(multi_params, z, ("segmentation", "pose"), method="decode").values()))

    return {
        "TripleGuidedCNN": (lambda *a: triple.apply(triple_params, *a), (image, image, labels, labels, labels)),
        "ReMapCNN": (lambda *a: re_map.apply(re_map_params, *a), (image, labels, labels, pose, pose)),
        "decoder": (lambda z: multi.apply(multi_params, z, ("segmentation",), method="decode"), (maps(128),)),
        "gradient": (jax.grad(shown), (maps(128),)),
    }


def time_networks() -> None:
    for frames in (1, 4):
        for name, (function, arrays) in network_calls(frames).items():
            found = {}
            for setting, options in (("as it comes", {}), ("tuned", kept.compiler_options())):
                program = jax.jit(function, compiler_options=options)
                seconds = []
                for _ in range(9):
                    started = time.perf_counter()
                    jax.block_until_ready(program(*arrays))
                    seconds.append(time.perf_counter() - started)
                found[setting] = 1e3 * min(seconds[2:]) / frames
            print(frames, name, ", ".join(f"{setting} {value:.1f}" for setting, value in found.items()), flush=True)


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1] not in ("jax", "tuned", "torch", "doubled"):
        raise SystemExit(__doc__)
    generator = np.random.default_rng(0)
    if sys.argv[1] in ("doubled", "networks"):
        compare_doubled(generator) if sys.argv[1] == "doubled" else time_networks()
        return
    for shape in SHAPES:
        images, height, width, channels, features, side = shape
        arrays = [
            generator.standard_normal(sides, dtype=np.float32)
            for sides in ((images, height, width, channels), (side, side, channels, features),
                          (images, height, width, features))
        ]  # fmt: skip
        options = kept.compiler_options() if sys.argv[1] == "tuned" else {}
        calls = in_torch(*arrays) if sys.argv[1] == "torch" else in_jax(*arrays, options)
        flops = 2 * images * height * width * channels * features * side * side
        speeds = [f"{name} {flops / best(call) / 1e9:.0f}" for name, call in zip(
            ("forward", "input gradient", "kernel gradient"), calls, strict=True)]  # fmt: skip
        print(sys.argv[1], shape, ", ".join(speeds), flush=True)


if __name__ == "__main__":
    main()
