"""How fast the live mirror is, and what showing every frame costs: python benchmarks/mirror.py [--seconds=60] [--json]

A clip, by default the packaged one, is played as a camera, again and again: frames shown and dressed a second,
milliseconds from capture to display, and memory, in the first and in the last minute. With `--walks=N`, besides, on N
walks of drawn people of the validation split, 30 frames a second, none of those that chose thresholds: what is
shown against the truth of that moment, where every frame is dressed, where the frame dressed last stands still, and
where it is carried along: SSIM, SSIM and mean error where clothes are exchanged, and flicker.
"""

import argparse
import concurrent.futures
import json
import resource
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.catalogue import cases
from vton_jax.command_line import compilation_cache
from vton_jax.compositing import temporal_filters
from vton_jax.core.framing import to_float
from vton_jax.evaluate import metrics
from vton_jax.media import live
from vton_jax.systems import pictures
from vton_jax.systems.lab126.system import Lab126
from vton_jax.systems.mirror import job
from vton_jax.systems.mirror.carrying import Carried
from vton_jax.systems.mirror.mirror import Mirror
from vton_jax.systems.mirror.options import MirrorOptions
from vton_jax.systems.pictures import GarmentPicture

RATE, FRAMES, LATE = 30, 36, 9  # of walks; a frame is dressed for as many frames


_FIRST = 700  # of the walks that are scored; those from 0 on chose `carrying`'s thresholds
_DIFFERENT = 0.08  # between a pixel of old clothes and new ones


class Late(concurrent.futures.Executor):
    """Does at once what is done only after `LATE` frames."""

    def __init__(self):
        self.now = 0

    def submit(self, function, *arguments):
        made, ready = function(*arguments), self.now + LATE
        return argparse.Namespace(done=lambda: self.now >= ready, result=lambda: made)


def of_walk(system: Lab126, index: int) -> dict[str, np.ndarray]:
    """A walk, dressed in three ways, and the truth, from the second frame on that is dressed."""
    flat, shown, truth = cases.mirrored_walk(index, FRAMES, system.size, "validation", rate=RATE)

    def glass() -> Mirror:
        picture = GarmentPicture("garment", flat)
        return Mirror(system, [picture], system.size, flat=True, clock=lambda: now.seconds)

    def dressed(numbers) -> list[np.ndarray]:
        found, mirror = [], glass()
        for number in numbers:
            now.seconds = number / RATE
            found.append(mirror.process(shown[number]))
        return found

    now, late = argparse.Namespace(seconds=0.0), Late()
    each, few = dressed(range(FRAMES)), dressed(range(0, FRAMES, LATE))
    held = [few[max(0, number // LATE - 1)] for number in range(FRAMES)]
    carried, found = Carried(glass(), late), []
    for late.now, frame in enumerate(shown):
        now.seconds = late.now / RATE
        found.append(carried.process(frame))
    return {"every frame": each, "held": held, "carried": found, "the frame as it is": shown, "truth": truth}


def of_walks(system: Lab126, count: int) -> dict[str, dict[str, float]]:
    found = {}
    for index in range(count):
        walk = {
            name: to_float(np.stack(frames))[2 * LATE :] for name, frames in of_walk(system, _FIRST + 7 * index).items()
        }
        truth, own = walk.pop("truth"), walk["the frame as it is"]
        exchanged = np.stack([cv2.dilate(one, np.ones((5, 5))) for one in _differs(truth, own)]) > 0
        for name, frames in walk.items():
            one = found.setdefault(name, {"ssim": [], "ssim_exchanged": [], "error_exchanged": [], "flicker": []})
            one["ssim"].append(float(np.mean(metrics.ssim(frames, truth))))
            one["ssim_exchanged"].append(float(np.mean(metrics.ssim(frames, truth, exchanged))))
            one["error_exchanged"].append(float(np.abs(frames - truth).mean(-1)[exchanged].mean()))
            one["flicker"].append(temporal_filters.flicker(frames))
    return {name: {key: round(float(np.mean(v)), 4) for key, v in one.items()} for name, one in found.items()}


def _differs(truth: np.ndarray, own: np.ndarray) -> np.ndarray:
    return (np.abs(truth - own).max(-1) > _DIFFERENT).astype(np.uint8)


def resident_mb() -> float:
    """Of this process, now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def live_run(options: argparse.Namespace) -> dict[str, float]:
    """The mirror before a clip."""
    given = MirrorOptions(camera=options.clip, display="none", garment=options.garment, remap=options.arm)
    size = job.frame_size(given)
    mirror = job.make_mirror(given, size)
    job.warm_up(mirror)
    live._KEPT = 1_000_000  # delays: of all frames
    carried, resident = Carried(mirror), []

    def process(frame):
        resident.append(resident_mb())
        return carried.process(frame)

    timing = live.Loop(process).run(live.ClipCamera(options.clip, given.max_side, repeats=True), options.seconds)
    part = max(1, len(resident) * 60 // max(60, int(options.seconds)))
    delays = list(timing.delays)
    return {
        "frames_per_second": round(timing.frames_per_second, 2),
        "dressed_per_second": round(carried.dressed / options.seconds, 2),
        "milliseconds": round(timing.milliseconds),
        "milliseconds_19_of_20": round(1000 * float(np.percentile(delays, 95))),
        "milliseconds_first_minute": round(1000 * float(np.median(delays[:part]))),
        "milliseconds_last_minute": round(1000 * float(np.median(delays[-part:]))),
        "mb_first_minute": round(max(resident[:part])),
        "mb_last_minute": round(max(resident[-part:])),
        "size": f"{size[0]}x{size[1]}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="0: no live run")
    parser.add_argument("--walks", type=int, default=0)
    parser.add_argument("--clip", default=str(pictures.SAMPLES / "pose.mp4"))
    parser.add_argument("--garment", default=None)
    parser.add_argument("--arm", default="post", help="of lab126")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    compilation_cache.use()
    found = live_run(options) if options.seconds else {}
    if options.walks:
        found["walks"] = of_walks(Lab126(options.arm), options.walks)
    print(json.dumps(found) if options.json else "\n".join(f"{key}: {value}" for key, value in found.items()))


if __name__ == "__main__":
    main()
