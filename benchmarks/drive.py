"""What driving a picture costs: python benchmarks/drive.py [--json] [--weights=DIR] [--region=face] [--frames=100]

GMAC of every part, counted in the traced program (`program_costs.matmul_flops`), of a 256x256 frame; and measured on
this machine, warm: frames a second of the whole (crop, detector, dense motion, generator, laying back into a 256x256
photo), and the delay from capture to display of a live run from a clip played as a camera.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import program_costs
from vton_jax.command_line import compilation_cache
from vton_jax.media import live, video_files
from vton_jax.models.first_order import FirstOrder, compose
from vton_jax.systems.first_order import job, system

SIDE = 256
_RATE = 25  # frames a second of the clip that plays as a camera


def costs(network: FirstOrder | None = None, side: int = SIDE) -> dict[str, float]:
    """GMAC of each part: `source` once, the others a frame; `frame` is their sum."""
    network = network or FirstOrder()
    picture = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    params = jax.eval_shape(network.init, jax.random.PRNGKey(0), picture, picture)
    # Jitted: what is traced for its shapes is not traced again for its costs.
    call = lambda method: jax.jit(lambda p, *given: network.apply(p, *given, method=method))  # noqa: E731
    encode, detect, move = map(call, ("encode", "detect", "move"))
    encoded = jax.eval_shape(encode, params, picture)
    motion = jax.eval_shape(detect, params, picture)
    maps = jax.eval_shape(move, params, encoded, motion)
    dense = lambda p, e, m: network.apply(p, e, m, method=lambda n, e, m: n.dense(e["small"], e["motion"], m))  # noqa: E731
    gmac = lambda function, *given: program_costs.matmul_flops(function, *given) / 2e9  # noqa: E731
    found = {
        "source": gmac(encode, params, picture),
        "detector": gmac(detect, params, picture),
        "dense_motion": gmac(dense, params, encoded, motion),
        "warp": gmac(compose, picture, maps),
    }
    found["generator"] = gmac(move, params, encoded, motion) - found["dense_motion"]
    return found | {"frame": sum(value for name, value in found.items() if name != "source")}


def _driver(arguments) -> system.FirstOrderDriver:
    return system.FirstOrderDriver(arguments.weights, region=arguments.region)


def _frames(count: int) -> np.ndarray:
    """Frames that move."""
    y, x = np.mgrid[:SIDE, :SIDE]
    waves = [127 + 120 * np.sin((x + 3 * k) / 23 + np.sin(y / 31)) for k in range(count)]
    return np.repeat(np.uint8(waves)[..., None], 3, -1)


def measured(arguments) -> dict[str, float]:
    """Frames a second, and milliseconds from capture to display in the median and for 19 of 20."""
    driver, frames = _driver(arguments), _frames(arguments.frames)
    box = (0, 0, SIDE)
    source = driver.source_of(frames[0], box, arguments.region)
    lively = job.LiveDriver(driver, [source])
    lively.box = box
    for frame in frames[:3]:  # compiled, and warm
        lively(frame)
    started = time.perf_counter()
    for frame in frames:
        lively(frame)
    found = {"frames_per_second": len(frames) / (time.perf_counter() - started)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "camera.mp4"
        video_files.write_video(path, frames, _RATE)
        timing = live.Loop(lively).run(live.ClipCamera(path))
    slow = 1000 * float(np.percentile(timing.delays, 95))
    return found | {"latency_ms": timing.milliseconds, "latency_95_ms": slow, "shown": timing.shown,
                    "passed_over": timing.missed}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--weights", default=None)
    parser.add_argument("--region", default="face")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--costs", action="store_true", help="count alone, without weights")
    arguments = parser.parse_args()
    compilation_cache.use()
    found = {f"gmac_{name}": value for name, value in costs().items()}
    if not arguments.costs:
        found = measured(arguments) | found
    if arguments.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:<20}{value:10.4g}")


if __name__ == "__main__":
    main()
