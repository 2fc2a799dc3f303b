"""Shows the backward procedure on one frame: python invert.py [--person=... --garment=... --pose=... --output=DIR]

Writes DIR/coarse.png, final.png, steps.png (the eight steps), iterations.mp4 (the segmentation settling, with its error
curve) and error.csv; with --present=image the photo is presented with the garment laid onto it: presented.png,
final.png, iterations.mp4 and error.csv. Without arguments a packaged sample of drawn people is used.
"""

import sys
from pathlib import Path

from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.systems.options import InvertOptions

flag_utils.define_settings(InvertOptions)
flags.DEFINE_string("output", "out/invert", "Folder for the pictures.")


def main() -> None:
    from vton_jax.systems.lab126 import inversion_film  # here: --help should not wait for JAX

    def watch(iteration: int, error: float) -> None:
        print(f"\riteration {iteration}: Err {error:.5f}", end="", file=sys.stderr)

    output = Path(flags.FLAGS.output)
    errors = inversion_film.invert(flag_utils.build_settings(InvertOptions), output, watch)
    print(f"\nErr {errors[0]:.5f} -> {min(errors):.5f} in {len(errors)} iterations; see {output}", file=sys.stderr)


if __name__ == "__main__":
    flag_utils.run(main)
