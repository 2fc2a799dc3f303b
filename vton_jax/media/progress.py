"""How long work says how far it is, on stderr."""

import sys
import time


class Progress:
    """A progress bar on a terminal (with tqdm); elsewhere a plain line each time numbers come in."""

    def __init__(self, num_steps: int, first_step: int = 0, silent: bool = False, unit: str = "step"):
        self.num_steps, self.first_step, self.started = num_steps, first_step, time.monotonic()
        self.step = first_step
        self.bar, self.silent, self.unit = None, silent, unit
        if sys.stderr.isatty() and not silent:
            try:
                from tqdm import tqdm
            except ImportError:
                return
            self.bar = tqdm(total=num_steps, initial=first_step, unit=unit, dynamic_ncols=True)

    def advance(self, step: int) -> None:
        if self.bar is not None:
            self.bar.update(step - self.step)
        self.step = step

    def show(self, step: int, values: dict[str, float], seconds_left: float | None = None) -> None:
        """Shows numbers; `seconds_left` bounds the estimate of the time left (a wall-clock budget)."""
        if self.silent:
            return
        text = " ".join(f"{name}={value:.4g}" for name, value in values.items())
        if self.bar is not None:
            self.bar.set_postfix_str(text, refresh=False)
            return
        spent = time.monotonic() - self.started
        left = (self.num_steps - step) * spent / max(step - self.first_step, 1)
        if seconds_left is not None:
            left = min(left, max(seconds_left, 0.0))
        print(f"{self.unit} {step}/{self.num_steps} {text} [{clock(left)} left]", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Prints a line without breaking the bar."""
        if self.bar is not None:
            self.bar.write(text, file=sys.stderr)
        elif not self.silent:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def each(items, unit: str):
    """The items one by one, with a progress bar on a terminal."""
    if not sys.stderr.isatty():
        return items
    from tqdm import tqdm

    return tqdm(items, unit=unit)


class StageBars:
    """Bars for work in stages, as a callback (stage, done, total); a context manager."""

    def __init__(self):
        self._bar, self._stage = None, None

    def __call__(self, stage: str, done: int, total: int) -> None:
        from tqdm import tqdm

        if stage != self._stage:
            self.close()
            self._stage, self._bar = stage, tqdm(total=total, desc=stage, file=sys.stderr)
        self._bar.update(done - self._bar.n)

    def say(self, *lines: str) -> None:
        """Prints lines without breaking a bar."""
        self.close()
        for line in lines:
            print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = self._stage = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def clock(seconds: float) -> str:
    """90 -> '1:30', 3700 -> '1:01:40'."""
    seconds = round(seconds)
    hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
