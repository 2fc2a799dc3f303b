"""How long a try-on takes: python benchmarks/render.py [--num_frames=96] [--rate=30] [--output_size=1024x768] [--json]

The whole way of `render.py`, from files to a clip: decode, read, find layouts, paint, fill in between, filter, enlarge
and put back, encode. The packaged sample's pose clip is played forward and backward as long as is needed.

- `frames_per_second`: once warm, between a clip of a third of the frames and the whole, so that reading user and
  garment and the first frame's search do not count.
- `stages`: seconds that each stage was at work in the long clip, by the clock of its own thread: layouts are found
  beside painting, so that they sum to more than the whole. `waiting` is for another thread.
- `first_frame_cold`, `first_frame_warm`: seconds from the start of a new process to its first result, with an empty
  cache of programs and with a full one.
- `peer_pf_afn`: where PyTorch is installed (extra `bench`), milliseconds an image of PF-AFN's networks alone, which
  read no photo of their own, their garment's features being kept (`peer_networks.py`).
- `peak_megabytes`: of this process.
"""

import argparse
import contextlib
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.command_line import compilation_cache

ROOT = Path(__file__).resolve().parent.parent
FIRST_FRAME = """
import sys, time
from vton_jax.command_line import compilation_cache
compilation_cache.use(sys.argv[1])
from vton_jax.systems.job import TryOnJob
job = TryOnJob(remap=sys.argv[2], pose=sys.argv[3])
results = job.results(job.read())
next(results)
print(time.time())
results.close()
"""


class Stopwatch:
    """Seconds that functions and generators were at work, by name, without what they call that is watched too."""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self._within = threading.local()

    @contextlib.contextmanager
    def watching(self, name: str):
        begun, outer = time.perf_counter(), getattr(self._within, "spent", 0.0)
        self._within.spent = 0.0
        try:
            yield
        finally:
            took = time.perf_counter() - begun
            self.seconds[name] = self.seconds.get(name, 0.0) + took - self._within.spent
            self._within.spent = outer + took

    def watch(self, holder, attribute: str, name: str) -> None:
        """Times what `holder.attribute` does; of a generator, each step."""
        function = getattr(holder, attribute)

        def watched(*arguments, **options):
            with self.watching(name):
                made = function(*arguments, **options)
            return self._steps(made, name) if hasattr(made, "__next__") else made

        setattr(holder, attribute, watched)

    def _steps(self, made, name: str):
        while True:
            with self.watching(name):
                try:
                    item = next(made)
                except StopIteration:
                    return
            yield item


def pose_clip(path: Path, num_frames: int, rate: float) -> Path:
    """The packaged pose clip, forward and backward, as long as is wanted."""
    from vton_jax.media import video_files
    from vton_jax.systems.pictures import SAMPLES

    frames = list(video_files.read_frames(SAMPLES / "pose.mp4")[0])
    there_and_back = itertools.cycle(frames + frames[-2:0:-1])
    video_files.write_video(path, itertools.islice(there_and_back, num_frames), rate)
    return path


def measure(arm: str, num_frames: int, rate: float, output_size: str | None) -> dict:
    """Frames a second of the whole way, once warm, and what each stage takes of the long clip."""
    from vton_jax.compositing import full_size, in_between, temporal_filters
    from vton_jax.core import batching
    from vton_jax.media import video_files
    from vton_jax.systems import job, pictures, pose_clips

    watch, system, seconds = Stopwatch(), None, {}
    with tempfile.TemporaryDirectory() as folder:
        long, short = (pose_clip(Path(folder) / f"{count}.mp4", count, rate) for count in (num_frames, num_frames // 3))
        for turn, (clip, count) in enumerate([(short, num_frames // 3)] * 2 + [(long, num_frames)]):
            one = job.TryOnJob(remap=arm, pose=str(clip), num_frames=count, output_size=output_size, system=system)
            if turn == 2:
                watch.watch(pictures, "_poses", "decode")
                watch.watch(pose_clips, "read", "read poses")
                watch.watch(system.layouts, "targets", "layouts")
                watch.watch(system.painter, "paint_all", "paint")
                watch.watch(in_between, "fill", "between")
                watch.watch(temporal_filters, "stream", "filter")
                watch.watch(full_size, "enlarge", "full size")
                watch.watch(video_files, "write_video", "write")
                watch.watch(batching, "ahead", "waiting")
                watch.watch(batching, "side_by_side", "waiting")
            system, begun = one.system, time.perf_counter()
            one.write(Path(folder) / "out.mp4")
            seconds[turn] = time.perf_counter() - begun
    return {
        "frames_per_second": round((num_frames - num_frames // 3) / (seconds[2] - seconds[1]), 2),
        "seconds": {f"{num_frames // 3} frames": round(seconds[1], 2), f"{num_frames} frames": round(seconds[2], 2)},
        "stages": {name: round(value, 2) for name, value in watch.seconds.items()},
    }


def first_frames(arm: str) -> dict[str, float]:
    """Seconds to a first result of a new process, with nothing compiled and with all compiled."""
    found = {}
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as folder:
        clip = pose_clip(Path(folder) / "pose.mp4", 8, 15)
        for name in ("cold", "warm"):
            begun = time.time()
            command = [sys.executable, "-c", FIRST_FRAME, str(Path(folder) / "cache"), arm, str(clip)]
            done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE)
            found[f"first_frame_{name}"] = round(float(done.stdout) - begun, 1)
    return found


def peer() -> dict[str, float]:
    """Milliseconds of a public system's networks; nothing without PyTorch."""
    try:
        from benchmarks import peer_networks
    except ImportError as error:
        print(error, file=sys.stderr)
        return {}
    found = peer_networks.time_pf_afn()
    return {"peer_pf_afn": round(found["milliseconds_garment_kept"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num_frames", type=int, default=96)
    parser.add_argument("--rate", type=float, default=30, help="frames a second of the pose clip")
    parser.add_argument("--arm", "--remap", default="post", help="of lab126")
    parser.add_argument("--output_size", "--size", help="HEIGHTxWIDTH; default: the networks' own")
    parser.add_argument("--without_first_frame", action="store_true", help="no processes of their own")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    options = parser.parse_args()
    compilation_cache.use()
    found = {} if options.without_first_frame else first_frames(options.arm)
    found |= measure(options.arm, options.num_frames, options.rate, options.output_size)
    found["peak_megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # before PyTorch is there
    found |= peer()
    if options.json:
        print(json.dumps({"arm": options.arm, "rate": options.rate, "output_size": options.output_size} | found))
        return
    for name, value in found.items():
        print(
            name, value if not isinstance(value, dict) else "".join(f"\n    {k:24} {v:8.2f}" for k, v in value.items())
        )


if __name__ == "__main__":
    main()
