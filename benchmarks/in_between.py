"""What it costs in quality to paint few frames a second: python benchmarks/in_between.py [--cases=6] [--json]

Walks of drawn people of the validation split, 30 frames a second, are dressed with every frame painted, and with every
second, third and fourth one, the others moved along the flow between these (`compositing.in_between`). Against the true
clips: SSIM and, where its weights are at hand, LPIPS, after the temporal filter, and flicker.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.catalogue import cases
from vton_jax.command_line import compilation_cache
from vton_jax.compositing import backdrops, in_between, temporal_filters
from vton_jax.core.framing import to_float
from vton_jax.evaluate import metrics, perceptual
from vton_jax.systems.lab126.system import Lab126

FRAMES, RATE = 25, 30  # one after twelve, eight and six gaps of 2, 3 and 4


def dressed(system: Lab126, index: int) -> tuple[list, np.ndarray]:
    """Results of every frame of a walk, and the true frames float [T, H, W, 3]."""
    photo, garment, poses, truth = cases.draw_walk(index, FRAMES, system.size, split="validation", rate=RATE)
    user = system.read_user(photo)
    user = user.replace(backdrop=backdrops.backdrop(user.image, np.asarray(user.layout.segmentation)))
    results = system.dress(user, [system.read_garment(garment, flat=True)], system.read_poses(poses))
    return list(results), to_float(truth)


def scores(results: list, truth: np.ndarray, every: int, distances) -> dict[str, float]:
    """Of a walk of which so few frames were painted."""
    images = np.stack([one.image for one in in_between.fill(results[::every], (0,), every)][:FRAMES])
    shown = temporal_filters.apply("motion", images)
    found = {"ssim": float(np.mean(metrics.ssim(shown, truth))), "flicker": temporal_filters.flicker(shown)}
    return found | {name: float(np.mean(each)) for name, each in distances(shown, truth).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=6)
    parser.add_argument("--arm", default="post", help="of lab126")
    parser.add_argument("--perceptual", default="auto", help="LPIPS' weights, as vton_jax.evaluate has it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    compilation_cache.use()
    system, distances = Lab126(options.arm), perceptual.open_distances(options.perceptual)
    made = [dressed(system, 7 * index) for index in range(options.cases)]
    found = {}
    for every in (1, 2, 3, 4):
        each = [scores(*one, every, distances) for one in made]
        found[f"every {every}"] = {name: round(float(np.mean([s[name] for s in each])), 4) for name in each[0]}
    if options.json:
        print(json.dumps(found))
    else:
        for name, values in found.items():
            print(name, *(f"{key} {value:.4f}" for key, value in values.items()))


if __name__ == "__main__":
    main()
