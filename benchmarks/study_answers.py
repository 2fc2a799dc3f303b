"""Whether a study keeps every answer: python benchmarks/study_answers.py [--participants=50 --kills=10 --trials=20]

Participants answer side by side, each answer sent twice, while the server is killed (SIGKILL) and started again. Counts
what is lost and what is doubled: both should be 0.
"""

import http.client
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.media import photo_files
from vton_jax.study import create, records
from vton_jax.study.options import CreateOptions

FLAGS = flags.FLAGS
flags.DEFINE_integer("participants", 50, "How many answer side by side.", lower_bound=1)
flags.DEFINE_integer("kills", 10, "How often the server is killed.", lower_bound=0)
flags.DEFINE_integer("trials", 20, "Trials of each.", lower_bound=2)
flags.DEFINE_float("seconds", 3.0, "Between two kills.", lower_bound=0.1)


def study_of(folder: Path, size: tuple[int, int] = (64, 48)):
    """A study of noise, in pictures of a size."""
    noise = np.random.default_rng(0)
    for arm in ("real", "fake"):
        for index in range(FLAGS.trials):
            picture = noise.integers(0, 255, (*size, 3)).astype(np.uint8)
            photo_files.write_image(folder / arm / f"{index}.png", picture)
    options = CreateOptions(
        real=str(folder / "real"), arms=(f"fake:{folder / 'fake'}",), trials=FLAGS.trials, size=size
    )
    return create.create(options, folder / "study.db")


class Server:
    """The server as a process of its own."""

    def __init__(self, path: Path):
        self.path = path
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "vton_jax.study", "serve", f"--study={self.path}", f"--port={self.port}"]
        self.process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def ask(self, path: str, body=None):
        """Asks until the server answers."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        while True:
            request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError:
                raise
            except (OSError, http.client.HTTPException):  # it has been killed
                time.sleep(0.2)


def answer_all(server: Server, name: str, told: dict[tuple[str, int], str]) -> None:
    """One participant, who knows what they answered."""
    session = server.ask("/api/sessions", {"consent": True, "external": name})
    for trial in range(session["done"], session["total"]):
        response = "real" if hash((name, trial)) % 2 else "generated"
        told[name, trial] = response
        for _ in range(2):  # a page that has not heard sends again
            answer = {"client": uuid.uuid4().hex, "trial": trial, "response": response}
            server.ask(f"/api/sessions/{session['token']}/answers", answer)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = study_of(Path(folder))
        server, told = Server(store.path), {}
        people = [
            threading.Thread(target=answer_all, args=(server, f"p{number}", told))
            for number in range(FLAGS.participants)
        ]
        for person in people:
            person.start()
        killed = 0
        while killed < FLAGS.kills and any(person.is_alive() for person in people):
            server.ask("/api/study")  # it is up again
            time.sleep(FLAGS.seconds)
            server.kill()
            server.start()
            killed += 1
        for person in people:
            person.join()
        server.kill()
        expected = FLAGS.participants * len(json.loads(store.all("sessions")[0]["trials"]))
        kept = [(row.external, row.index, row.answer) for row in records.answered(store)]
        lost = sum((*key, answer) not in set(kept) for key, answer in told.items())
        doubled = len(kept) - len({(name, index) for name, index, _ in kept})
        print(
            f"{len(people)} participants, {killed} kills: {len(told)} of {expected} answers given, {lost} lost, "
            f"{doubled} doubled"
        )


if __name__ == "__main__":
    flag_utils.run(main)
