"""From a click on Dress to a clip that plays: python benchmarks/studio_click.py [--clicks=3]

Opens the page of a real server in Chromium (which has to be on the path, beside the package playwright) and dresses the
packaged example; of each click, also with what was read before. Beside it: what `TryOnJob`, which `render.py` is made
of, takes for the same in a process that has done it before. Programs are compiled before.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import browsers
from absl import flags
from playwright import sync_api

from benchmarks.studio_load import server
from vton_jax import TryOnJob
from vton_jax.command_line import flag_utils

flags.DEFINE_integer("clicks", 3, "How many of each kind.", lower_bound=1)
_SAYS = "document.querySelector('.studio-progress')?.innerText ?? ''"
_THERE = "document.querySelector('video[src*=\"try_on\"]')?.readyState >= 2"
_PLAYS = "document.querySelector('video[src*=\"try_on\"]')?.currentTime > 0"


def click(page: sync_api.Page) -> float:
    """Seconds from a click on Dress until the clip plays. Its address says nothing: the same clip has the same one."""
    began = time.monotonic()
    page.get_by_role("button", name="Dress", exact=True).first.click()
    page.wait_for_function(f"({_SAYS}).includes(' of ')")  # at work
    page.wait_for_function(f"({_SAYS}).includes('Done') && {_PLAYS}")
    return time.monotonic() - began


def clicks(address: str, count: int) -> dict[str, list[float]]:
    found = {"first": [], "again, from the same reading": []}
    with browsers.browser(sync_api) as browser:
        for turn in range(count + 1):
            page = browser.new_page()
            page.set_default_timeout(600_000)
            page.goto(address)
            page.wait_for_function(_THERE)  # nothing plays before somebody has clicked
            for times in found.values():
                seconds = click(page)
                if turn:  # the first time programs are loaded
                    times.append(seconds)
            page.close()
    return found


def job_alone(folder: Path, count: int) -> list[float]:
    times = []
    job = TryOnJob(num_frames=48)
    for turn in range(count + 1):
        began = time.monotonic()
        job.write(folder / f"{turn}.mp4")
        times.append(time.monotonic() - began)
    return times[1:]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        with server(Path(name)) as (address, _):
            found = clicks(address, flags.FLAGS.clicks)
        found = {f"a click, {kind}": times for kind, times in found.items()}
        found["the job alone"] = job_alone(Path(name), flags.FLAGS.clicks)
    for kind, times in found.items():
        print(f"{kind}: {statistics.median(times):.1f} s in the median of {[round(one, 1) for one in times]}")


if __name__ == "__main__":
    flag_utils.run(main)
