"""What a build costs by the number of its videos: python benchmarks/build_scaling.py --counts=50,200,800

Every build is a process of its own that makes units, people and samples from drawn videos of 24 frames. The
videos are rendered once; more than --rendered of them are the same in other exposures, mirrored or not, which cost a
build as much and count as other people (by people.csv: clustering is measured apart). Prints wall and CPU seconds (of
the build and its workers), frames a second of CPU time, the largest memory of the main process and of a worker, and the
slope of CPU seconds over videos in log-log axes: 1 is a constant cost a video. Linux only: memory is read from /proc.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import flags

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from vton_jax.catalogue import videos as drawn_videos
from vton_jax.command_line import flag_utils
from vton_jax.core.errors import UserError
from vton_jax.media import video_files

FLAGS = flags.FLAGS
flags.DEFINE_list("counts", ["50", "200"], "Numbers of videos.")
flags.DEFINE_integer("rendered", 50, "Videos that are rendered; two a person.")
flags.DEFINE_integer("workers", 0, "Workers (0: one for each core).")
flags.DEFINE_string("pose_model", None, "As in data/build.py.")
_FRAMES = 24


def make_videos(folder: Path, number: int, rendered: int) -> list[Path]:
    """`number` different raw videos; the two of a person stand next to each other."""
    settings = drawn_videos.Settings(seed=21, seconds=_FRAMES / 4, frame_rate=4)
    list(drawn_videos.write(folder / "catalogue", (rendered + 1) // 2, 2, settings))
    originals = sorted((folder / "catalogue" / "videos").glob("*.mp4"))[:rendered]
    (folder / "all").mkdir()
    made = []
    for index in range(number):
        variant, original = divmod(index, len(originals))
        path = folder / "all" / f"v{variant:02d}_{originals[original].name}"
        frames, rate = video_files.read_video(originals[original])
        exposure = 1 - 0.04 * (variant // 2)
        frames = (frames[:, :, :: -1 if variant % 2 else 1] * exposure).astype(np.uint8)
        video_files.write_video(path, frames, rate)
        made.append(path)
    return made


def largest_memory(group: int) -> dict[int, int]:
    """The largest resident memory so far, in KiB, of every process of a process group."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.getpgid(int(entry.name)) == group:
                lines = (entry / "status").read_text().splitlines()
                found[int(entry.name)] = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        except (OSError, StopIteration):
            continue  # it has just ended
    return found


def measure(videos: list[Path], folder: Path) -> dict[str, float]:
    source = folder / f"source_{len(videos)}"
    source.mkdir()
    for path in videos:
        os.link(path, source / path.name)
    # Variants count as other people: one person's samples grow with the square of their videos.
    listed = [f"{path.name},{path.stem.rsplit('_', 1)[0]}\n" for path in videos]
    (source / "people.csv").write_text("video,person\n" + "".join(listed))
    command = [sys.executable, str(ROOT / "data" / "build.py"), "pose_and_dress", f"--source={source}",
               f"--data_dir={folder / f'data_{len(videos)}'}", f"--workers={FLAGS.workers}"]  # fmt: skip
    command += [f"--pose_model={FLAGS.pose_model}"] if FLAGS.pose_model else []
    before, began, memory = os.times(), time.monotonic(), {}
    with open(folder / "log.txt", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        while process.poll() is None:
            for pid, size in largest_memory(process.pid).items():
                memory[pid] = max(memory.get(pid, 0), size)
            time.sleep(0.2)
    if process.returncode:
        raise UserError(f"The build of {len(videos)} videos failed: {(folder / 'log.txt').read_text()[-400:]}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    main = memory.pop(process.pid) / 1024
    return {"wall": time.monotonic() - began, "cpu": cpu, "main": main, "worker": max(memory.values()) / 1024}


def main() -> None:
    counts = sorted(int(count) for count in FLAGS.counts)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        videos = make_videos(folder, counts[-1], min(FLAGS.rendered, counts[-1]))
        columns = ("videos", "wall s", "CPU s", "CPU s/video", "frames/s/core", "main MiB", "worker MiB")
        print(" ".join(f"{name:>13}" for name in columns), flush=True)
        results = {}
        for count in counts:
            r = results[count] = measure(videos[:count], folder)
            row = (count, r["wall"], r["cpu"], r["cpu"] / count, _FRAMES * count / r["cpu"], r["main"], r["worker"])
            print(" ".join(f"{value:>13.4g}" for value in row), flush=True)
        if len(counts) > 1:
            cpu = [results[count]["cpu"] for count in counts]
            print(f"slope {np.polyfit(np.log(counts), np.log(cpu), 1)[0]:.3f}; load {os.getloadavg()[0]:.0f} on "
                  f"{os.cpu_count()} cores")  # fmt: skip


if __name__ == "__main__":
    flag_utils.run(main)
