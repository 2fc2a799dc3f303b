"""Several people in the studio at once: python benchmarks/studio_load.py [--people=10 --minutes=10]

Starts a real server, with the released weights. Each person asks over HTTP for try-ons of the packaged example, one
after another, waits for the clip and decodes it; one in five is cancelled on the way. Says what became of all, how long
people waited, and the server's memory. Whatever is lost, or answered by an error, is a fault (exit code 1).
"""

import collections
import contextlib
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import httpx2
from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.media import video_files
from vton_jax.systems.pictures import SAMPLES

FLAGS = flags.FLAGS
flags.DEFINE_integer("people", 10, "How many.", lower_bound=1)
flags.DEFINE_float("minutes", 10, "How long they go on asking.", lower_bound=0)
flags.DEFINE_boolean("clip", False, "They ask for clips of the packaged pose clip, not for stills in their own pose.")
_PATIENCE = 1800.0  # seconds after which a job counts as lost
_CANCELLED = 0.2


@contextlib.contextmanager
def server(folder: Path):
    """A server of its own process: (address, process id), once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "vton_jax.studio", f"--port={port}", f"--folder={folder}/studio"]
    with open(folder / "log", "w") as log, subprocess.Popen(command, cwd=ROOT, stderr=log) as process:
        address, end = f"http://127.0.0.1:{port}", time.monotonic() + 300
        try:
            while True:
                try:
                    httpx2.get(f"{address}/api/options").raise_for_status()
                    break
                except httpx2.HTTPError:
                    if process.poll() is not None or time.monotonic() > end:
                        raise SystemExit((folder / "log").read_text()) from None
                    time.sleep(0.5)
            yield address, process.pid
        finally:
            process.terminate()


def memory(process: int) -> float:
    """Resident memory of a process, in MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


class Person:
    """Somebody who asks again and again. Args: number: of the person. told: counts what became of jobs."""

    def __init__(self, address: str, number: int, told: collections.Counter):
        self.client, self.told = httpx2.Client(base_url=address, timeout=300), told
        self.drawn, self.waits = random.Random(number), []

    def ask(self) -> None:
        names = ("person", "garment", "pose") if FLAGS.clip else ("person", "garment")
        files = {name: next(SAMPLES.glob(f"{name}.*")).read_bytes() for name in names}
        began = time.monotonic()
        answer = self.client.post("/api/try_on", files=files)
        if answer.status_code != 202:
            self.told[f"fault: answered {answer.status_code}"] += 1
            return
        job, leaves = answer.json(), self.drawn.random() < _CANCELLED
        if leaves:
            time.sleep(self.drawn.uniform(0, 5))
            self.client.delete(f"/api/jobs/{job['id']}")
        while job["state"] in ("waiting", "running"):
            if time.monotonic() - began > _PATIENCE:
                self.told["fault: lost"] += 1
                return
            time.sleep(0.5)
            job = self.client.get(f"/api/jobs/{job['id']}").json()
        self.told[self._end(job, leaves)] += 1
        if job["state"] == "done":
            self.waits.append(time.monotonic() - began)

    def _end(self, job: dict, leaves: bool) -> str:
        """What became of a job, in a word."""
        if job["state"] != "done":
            return "cancelled" if leaves and job["state"] == "cancelled" else f"fault: {job['state']} {job['error']}"
        with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
            file.write(self.client.get(job["files"]["clip"]).content)
            file.flush()
            frames, _ = video_files.read_frames(file.name)
        return "done" if len(frames) == (48 if FLAGS.clip else 1) else f"fault: {len(frames)} frames"

    def live(self, end: float) -> None:
        try:
            while time.monotonic() < end:
                self.ask()
        except Exception as error:
            self.told[f"fault: {error!r}"] += 1


def main() -> None:
    told = collections.Counter()
    with tempfile.TemporaryDirectory() as name, server(Path(name)) as (address, process):
        for number in range(-2, 0):  # programs are compiled, and what stays in memory is there
            Person(address, number, collections.Counter()).ask()
        taken = [memory(process)]
        people = [Person(address, number, told) for number in range(FLAGS.people)]
        end = time.monotonic() + 60 * FLAGS.minutes
        threads = [threading.Thread(target=person.live, args=(end,)) for person in people]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(2)
            taken.append(memory(process))
        written = (Path(name) / "log").read_text()
    waits = [wait for person in people for wait in person.waits]
    if "Traceback" in written:
        told["fault: the server wrote of one"] += 1
        print(written[-2000:], file=sys.stderr)
    middle = (
        f"{statistics.median(waits):.1f} s in the median, {max(waits):.1f} s at most" if waits else "nobody was served"
    )
    quarters = ", ".join(f"{taken[(len(taken) - 1) * part // 4]:.0f}" for part in range(5))
    print(f"{FLAGS.people} people, {FLAGS.minutes:g} minutes: {dict(told)}; from request to clip {middle}; memory "
          f"at the beginning, after each quarter: {quarters} MB, at most {max(taken):.0f} MB")  # fmt: skip
    if any(what.startswith("fault") for what in told):
        raise SystemExit(1)


if __name__ == "__main__":
    flag_utils.run(main)
