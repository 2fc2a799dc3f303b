"""Kills a build again and again: python benchmarks/build_kill.py --kills=20

A folder of videos of drawn people, one of them cut off, is built once undisturbed by one worker. Then the same command,
now with two workers, gets SIGKILL again and again, half of the times the parent alone: a random time after a random
number of further videos is finished, or after the last one, while the samples are written. It is given again until it
ends, and the dataset must be the same, byte for byte. A round that ends before its next kill begins again from nothing.
"""

import hashlib
import os
import shutil
import signal
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

FLAGS = flags.FLAGS
flags.DEFINE_integer("kills", 20, "How often.", lower_bound=1)
flags.DEFINE_integer("people", 4, "Drawn people; each has two videos of 24 frames.")
flags.DEFINE_string("videos", None, "Folder of raw videos, *.mp4, instead of drawn ones.")
flags.DEFINE_integer("max_frames", 60, "Frames of a video that are looked at.")
flags.DEFINE_integer("seed", 0, "Seed of the moments.")
flags.DEFINE_string("script", str(ROOT / "data" / "build.py"), "What builds, with the arguments of data/build.py.")


def make_source(folder: Path, people: int) -> None:
    """Raw videos without their truth, and a broken one."""
    drawn = folder / "catalogue" / "videos"
    if not FLAGS.videos:
        list(drawn_videos.write(drawn.parent, people, 2, drawn_videos.Settings(seed=11, seconds=6, frame_rate=4)))
    (folder / "videos").mkdir()
    for path in sorted(Path(FLAGS.videos or drawn).glob("*.mp4")):
        shutil.copy(path, folder / "videos")
    cut = sorted((folder / "videos").glob("*.mp4"))[0].read_bytes()
    (folder / "videos" / "cut.mp4").write_bytes(cut[: len(cut) // 2])


def command(source: Path, data_dir: Path, workers: int) -> list[str]:
    return [
        sys.executable, FLAGS.script, "pose_and_dress", f"--source={source}",
        f"--data_dir={data_dir}", f"--workers={workers}", f"--max_frames={FLAGS.max_frames}",
    ]  # fmt: skip


def digest(data_dir: Path) -> dict[str, str]:
    """The digest of every file of the dataset, by its name."""
    place = data_dir / "pose_and_dress"
    files = sorted(path for path in place.rglob("*") if path.is_file())
    return {str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def start(source: Path, data_dir: Path, workers: int) -> subprocess.Popen:
    log = open(data_dir.parent / "log.txt", "a")  # noqa: SIM115  (the process keeps it)
    return subprocess.Popen(command(source, data_dir, workers), stdout=log, stderr=log, start_new_session=True)


def finished(data_dir: Path) -> int:
    return len(list((data_dir / "work").glob("*/*.npz")))


def outlives(process: subprocess.Popen, data_dir: Path, target: int, seconds: float) -> bool:
    """Waits until `target` videos are finished, then so many seconds; whether the process still runs."""
    while finished(data_dir) < target and process.poll() is None:
        time.sleep(0.02)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


def main() -> None:
    generator = np.random.default_rng(FLAGS.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_source(folder, FLAGS.people)
        source, calm, disturbed = folder / "videos", folder / "calm", folder / "disturbed"
        began = time.monotonic()
        if start(source, calm, 1).wait():
            raise UserError(f"The undisturbed build failed: {(folder / 'log.txt').read_text()[-400:]}")
        expected, total, whole = digest(calm), finished(calm), time.monotonic() - began
        print(f"undisturbed: {whole:.1f} s, {total} videos, {len(expected)} files", flush=True)
        killed = rounds = 0
        while True:
            process = start(source, disturbed, 2)
            last = killed >= FLAGS.kills
            target = min(finished(disturbed) + int(generator.integers(0, 3)), total)
            # Once every video is finished, anywhere from the start to the end of the rest.
            seconds = generator.uniform(0, 3 if target < total else 0.7 * whole)
            if not last and outlives(process, disturbed, target, seconds):
                alone = killed % 2 == 0  # the workers must notice by themselves
                (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
                process.wait()
                killed += 1
                whom = "the parent" if alone else "all"
                print(f"kill {killed}: {whom}, {finished(disturbed)} of {total} videos were finished", flush=True)
                continue
            if process.wait():
                raise UserError(f"A build that went on failed: {(folder / 'log.txt').read_text()[-400:]}")
            rounds += 1
            if digest(disturbed) != expected:
                raise UserError(f"After {killed} kills the dataset differs from the undisturbed one.")
            if last:
                break
            shutil.rmtree(disturbed)
        print(f"{killed} kills in {rounds} rounds: {len(expected)} files are the same byte for byte")


if __name__ == "__main__":
    flag_utils.run(main)
