"""A live try-on mirror: python -m vton_jax.mirror --garment=shirt.jpg [--camera=0|clip.mp4] [--output=recording.mp4]

Whoever stands before the camera sees themselves in the garment: the newest frame only, with the delay from capture to
display on screen. Several garments, with commas between, are alternatives. Keys in the window: 1 to 9 change the
garment, m mirrors left and right, q ends. A recording is tagged as generated (docs/mirror.md).
"""

import sys
from pathlib import Path

from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.systems.mirror.options import MirrorOptions

flag_utils.define_settings(MirrorOptions)
flags.DEFINE_alias("arm", "remap")
flags.DEFINE_string("output", None, "A recording of what is shown (.mp4), which plays even if the program is killed.")


def main() -> None:
    from vton_jax.systems.mirror import job  # here: --help should not wait for JAX

    output = flags.FLAGS.output
    say = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
    job.run(flag_utils.build_settings(MirrorOptions), None if output is None else Path(output), say)


if __name__ == "__main__":
    flag_utils.run(main)
