"""Fills in a garment of somebody in a photo: python -m vton_jax.inpaint [--person=PHOTO --region=top --num_samples=5]

Writes a sheet of diverse fillings beside the photo, and each of them at the photo's size beside the sheet. Fillings go
with what else is worn (`--nocompatibility`: anything goes). A row each shows what differs: shape and appearance
together, the shape alone, the appearance alone (`--vary` names one of them). With `--garment` that garment is put on.
Without arguments a packaged picture is used.
"""

import sys
import time
from pathlib import Path

from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.systems.finet.options import InpaintOptions

flag_utils.define_settings(InpaintOptions)
flags.DEFINE_string("output", "out/inpaint.png", "The sheet to write (.png); fillings lie beside it.")


def main() -> None:
    from vton_jax.systems.finet import sheet  # here: --help should not wait for JAX

    started = time.monotonic()
    say = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
    written = sheet.run(flag_utils.build_settings(InpaintOptions), Path(flags.FLAGS.output), say)
    say(f"wrote {written[0]} and {len(written) - 1} pictures beside it in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    flag_utils.run(main)
