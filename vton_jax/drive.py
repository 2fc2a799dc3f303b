"""Brings a picture to life: python -m vton_jax.drive --source=photo.png --driving=clip.mp4 --output=out.mp4

A face or a body in a photo moves as the one in a clip does, and is put back into the whole photo. --driving=camera, or
a clip with --live, drives it live: the newest frame only, with the delay from capture to display on screen. Keys in the
window: q ends, x takes the present frame as reference, f searches the best reference, 1 to 9 change the source. What it
makes is tagged as generated. Use pictures of people who have agreed to it (docs/driving.md).
"""

import sys
import time
from pathlib import Path

from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.systems.first_order.options import DriveOptions

flag_utils.define_settings(DriveOptions)
flags.DEFINE_string("output", None, "The clip to write (.mp4); default out/drive.mp4, of a live run: nothing.")


def main() -> None:
    from vton_jax.media import live  # here: --help should not wait for JAX
    from vton_jax.systems.first_order import job

    started = time.monotonic()
    say = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
    options, output = flag_utils.build_settings(DriveOptions), flags.FLAGS.output
    if options.live or (options.driving and live.is_camera(options.driving)):
        job.run_live(options, None if output is None else Path(output), say)
        return
    written = job.run(options, Path(output or "out/drive.mp4"), say)
    say(f"wrote {written} in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    flag_utils.run(main)
