"""Where a training says how it goes: WORKDIR/metrics.jsonl, TensorBoard and the terminal.

`metrics.jsonl` has one object a line, {"step": finished steps, "time": Unix seconds, name: number, ...}. TensorBoard
files need tensorboardX; without it pictures (uint8 [H, W, 3]) are written as PNG files to WORKDIR/pictures instead.
"""

import contextlib
import json
import sys
import time

import jax
import numpy as np
from etils import epath

from vton_jax.training import run_guard


class MetricWriter:
    """Appends to the metrics of a run that stands at `first_step`; what an earlier run wrote beyond it is dropped.

    Buckets know no appending: there the lines are written anew at every `flush`.
    """

    def __init__(self, workdir, first_step: int = 0):
        self.workdir = epath.Path(workdir)
        self.path = self.workdir / "metrics.jsonl"
        self.kept = [line + "\n" for line in _lines(self.path) if json.loads(line)["step"] <= first_step]
        self.file = None
        if not run_guard.is_remote(workdir):
            temporary = self.path.with_suffix(".tmp")
            temporary.write_text("".join(self.kept))
            temporary.replace(self.path)
            self.file = open(self.path, "a", buffering=1)  # noqa: SIM115  (open as long as the run)
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            self.board = None
        else:
            self.board = SummaryWriter(str(self.workdir), purge_step=first_step + 1 if first_step else None)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        record = {"step": step, "time": round(time.time(), 3), **{name: float(v) for name, v in values.items()}}
        line = json.dumps(record) + "\n"
        if self.file:
            self.file.write(line)
        else:
            self.kept.append(line)
        if self.board:
            for name, value in values.items():
                self.board.add_scalar(name, float(value), step)

    def pictures(self, step: int, pictures: dict[str, np.ndarray]) -> None:
        for name, picture in pictures.items():
            picture = np.asarray(picture)
            if self.board:
                self.board.add_image(name, picture, step, dataformats="HWC")
            else:
                from PIL import Image

                path = self.workdir / "pictures" / f"{step:08d}_{name.replace('/', '_')}.png"
                path.parent.mkdir(exist_ok=True)
                with path.open("wb") as file:
                    Image.fromarray(picture).save(file, "PNG")

    def flush(self) -> None:
        if self.file:
            self.file.flush()
        else:
            self.path.write_text("".join(self.kept))
        if self.board:
            self.board.flush()

    def close(self) -> None:
        self.flush()
        if self.file:
            self.file.close()
        if self.board:
            self.board.close()


class NoWriter:
    """Takes the place of a MetricWriter in all processes but the first."""

    def scalars(self, step: int, values: dict[str, float]) -> None:
        pass

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def _lines(path: epath.Path) -> list[str]:
    """The whole lines of a JSON-lines file; a last line that was cut off is dropped."""
    lines = path.read_text().splitlines() if path.exists() else []
    for index, line in enumerate(lines):
        try:
            json.loads(line)
        except ValueError:
            return lines[:index]
    return lines


class Profile:
    """A JAX trace of `steps` calls in WORKDIR/profile, begun when the first few are over (0: none).

    TensorBoard's profile plugin and Perfetto show it.
    """

    def __init__(self, workdir, steps: int):
        self.folder, self.begin, self.end = str(epath.Path(workdir) / "profile"), 3, 3 + steps
        self.calls, self.running = 0, False

    def before_call(self) -> None:
        if self.calls == self.begin < self.end:
            jax.profiler.start_trace(self.folder)
            self.running = True
        self.calls += 1

    def after_call(self, results) -> None:
        if self.running and self.calls == self.end:
            jax.block_until_ready(results)
            self.close()

    def close(self) -> None:
        if self.running:
            jax.profiler.stop_trace()
            self.running = False


def peak_memory() -> str:
    """What this process has held at most, '1.92 GB', and what its first device has, where the device counts."""
    parts = []
    with contextlib.suppress(ImportError):  # Windows has no such count
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        parts.append(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9:.2f} GB")
    if held := (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use"):
        parts.append(f"{held / 1e9:.2f} GB on {jax.local_devices()[0].device_kind}")
    return ", ".join(parts)
