"""Where a training says how it goes: WORKDIR/metrics.jsonl, TensorBoard and the terminal.

`metrics.jsonl` has one object a line, {"step": finished steps, "time": Unix seconds, name: number, ...}. TensorBoard
files need tensorboardX; without it pictures (uint8 [H, W, 3]) are written as PNG files to WORKDIR/pictures instead.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np


class MetricWriter:
    """Appends to the metrics of a run that stands at `first_step`; what an earlier run wrote beyond it is dropped."""

    def __init__(self, workdir: str | Path, first_step: int = 0):
        self.workdir = Path(workdir)
        path = self.workdir / "metrics.jsonl"
        kept = [line for line in _lines(path) if json.loads(line)["step"] <= first_step]
        temporary = path.with_suffix(".tmp")
        temporary.write_text("".join(line + "\n" for line in kept))
        os.replace(temporary, path)
        self.file = path.open("a", buffering=1)
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            self.board = None
        else:
            self.board = SummaryWriter(str(self.workdir), purge_step=first_step + 1 if first_step else None)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        record = {"step": step, "time": round(time.time(), 3), **{name: float(v) for name, v in values.items()}}
        self.file.write(json.dumps(record) + "\n")
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
                Image.fromarray(picture).save(path)

    def flush(self) -> None:
        self.file.flush()
        if self.board:
            self.board.flush()

    def close(self) -> None:
        self.file.close()
        if self.board:
            self.board.close()


def _lines(path: Path) -> list[str]:
    """The whole lines of a JSON-lines file; a last line that was cut off is dropped."""
    lines = path.read_text().splitlines() if path.exists() else []
    for index, line in enumerate(lines):
        try:
            json.loads(line)
        except ValueError:
            return lines[:index]
    return lines


class Progress:
    """A progress bar on a terminal (with tqdm); elsewhere a plain line each time numbers come in."""

    def __init__(self, num_steps: int, first_step: int = 0):
        self.num_steps, self.first_step, self.started = num_steps, first_step, time.monotonic()
        self.step = first_step
        self.bar = None
        if sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ImportError:
                return
            self.bar = tqdm(total=num_steps, initial=first_step, unit="step", dynamic_ncols=True)

    def advance(self, step: int) -> None:
        if self.bar is not None:
            self.bar.update(step - self.step)
        self.step = step

    def show(self, step: int, values: dict[str, float], seconds_left: float | None = None) -> None:
        """Shows numbers; `seconds_left` bounds the estimate of the time left (a wall-clock budget)."""
        text = " ".join(f"{name}={value:.4g}" for name, value in values.items())
        if self.bar is not None:
            self.bar.set_postfix_str(text, refresh=False)
            return
        spent = time.monotonic() - self.started
        left = (self.num_steps - step) * spent / max(step - self.first_step, 1)
        if seconds_left is not None:
            left = min(left, max(seconds_left, 0.0))
        print(f"step {step}/{self.num_steps} {text} [{clock(left)} left]", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Prints a line without breaking the bar."""
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def clock(seconds: float) -> str:
    """90 -> '1:30', 3700 -> '1:01:40'."""
    seconds = round(seconds)
    hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
