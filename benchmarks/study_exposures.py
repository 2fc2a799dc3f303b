"""Whether pictures of a study are shown for as long as was asked: python benchmarks/study_exposures.py
[--participants=2 --trials=20 --json]

Participants take part in turn in Chromium (which has to be on the path, beside the package playwright), at a real
server with pictures of 512x384, and answer at once. Counts exposures of 1, 2 and 5 seconds that were right to within
one frame: as the page recorded them, from the animation frame that drew the picture to the one that covered it; and by
the clock, read from outside the page's own script when each of both was drawn.
"""

import collections
import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import browsers
import numpy as np
from absl import flags
from playwright import sync_api

from benchmarks.study_answers import Server, study_of
from vton_jax.command_line import flag_utils
from vton_jax.study import records

FLAGS = flags.FLAGS
FLAGS.set_default("participants", 2)
flags.DEFINE_bool("json", False, "One line of JSON instead of sentences.")
_SIZE = (512, 384)
_WATCH = """
  window.drawn = [];
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (...what) {
    draw.apply(this, what);
    drawn.push(performance.now());
  };
"""


def take_part(browser: sync_api.Browser, address: str) -> list[float]:
    """One participant, who presses the first button there is until the completion code is shown.

    Returns: of each exposure, the milliseconds from the picture's drawing to the mask's.
    """
    context = browser.new_context()
    context.add_init_script(_WATCH)
    page = context.new_page()
    page.goto(address)
    while True:
        page.wait_for_selector("#buttons button, #said code", timeout=120_000)
        if page.locator("#said code").count():
            drawn = page.evaluate("drawn")  # picture and mask in turn
            context.close()
            return np.diff(drawn)[::2].tolist()
        page.locator("#buttons button").first.click()


def summary(rows: list[tuple[records.Answered, float]]) -> dict[str, float]:
    """Of exposures, and what the clock says of each: how many, the shares within one frame, the worst in ms."""
    asked, recorded, clock, frame = (
        np.array(values)
        for values in zip(
            *((1000 * row.exposure, row.shown_ms, clock, row.refresh_ms) for row, clock in rows), strict=True
        )
    )
    return {
        "exposures": len(rows),
        "within_one_frame": round(float(np.mean([row.in_time for row, _ in rows])), 4),
        "worst_ms": round(float(np.abs(recorded - asked).max()), 1),
        "within_one_frame_by_clock": round(float(np.mean(np.abs(clock - asked) <= frame)), 4),
        "worst_ms_by_clock": round(float(np.abs(clock - asked).max()), 1),
    }


def measured() -> dict:
    with tempfile.TemporaryDirectory() as folder:
        store = study_of(Path(folder), _SIZE)
        server, clock = Server(store.path), []
        try:
            server.ask("/api/study")  # it is up
            with browsers.browser(sync_api) as browser:
                for _ in range(FLAGS.participants):
                    clock += take_part(browser, f"http://127.0.0.1:{server.port}/")
        finally:
            server.kill()
        rows = list(zip(records.answered(store), clock, strict=True))
    by_seconds = collections.defaultdict(list)
    for row in rows:
        by_seconds[f"{row[0].exposure:g}"].append(row)
    refresh = float(np.median([row.refresh_ms for row, _ in rows]))
    found = {"participants": FLAGS.participants, "refresh_ms": round(refresh, 2), **summary(rows)}
    return found | {"seconds": {name: summary(by_seconds[name]) for name in sorted(by_seconds)}}


def main() -> None:
    found = measured()
    if FLAGS.json:
        print(json.dumps(found))
        return
    print(f"{found['participants']} participants, {found['refresh_ms']} ms from frame to frame")
    for name, one in [*((f"{name} s", one) for name, one in found["seconds"].items()), ("all", found)]:
        print(
            f"{name}: of {one['exposures']} exposures {one['within_one_frame']:.1%} within one frame of what was asked "
            f"(the worst {one['worst_ms']} ms off), {one['within_one_frame_by_clock']:.1%} by the clock "
            f"({one['worst_ms_by_clock']} ms)"
        )


if __name__ == "__main__":
    flag_utils.run(main)
