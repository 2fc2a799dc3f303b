"""Says what pictures show: python -m vton_jax.read PICTURE... [--output=DIR] [--json]

A PICTURE is a file or a folder of them. One line for each says whether it shows a person, a garment alone or neither; a
garment's type, sleeves and length, what a person wears and which side of the body is turned to the camera, how much of
it is in the picture, and how sure that is, from 0 to 1. With --output a folder gets a picture of each that shows where:
the outline, the labels and the joints. A file that cannot be decoded is said in a sentence, the others are still read,
and the exit code is 2.
"""

import sys

from absl import flags

from vton_jax.command_line import flag_utils, mends
from vton_jax.core.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_string("output", None, "Folder for a picture of each file, with what was read drawn on it.")
flags.DEFINE_boolean("json", False, "Print a JSON object a line: file, kind (person, garment, none), type, garments, "
                     "sleeves, length, facing, framing, confidence; null is what does not apply.")  # fmt: skip
flags.DEFINE_boolean("quick", False, "Look once, not at several sizes and mirrored: about four times as fast.")


def main(*names: str) -> None:
    from vton_jax.reading import read_files  # here: --help should not wait for JAX

    failed = False
    for path, found in read_files.read_files(names, FLAGS.output, thorough=not FLAGS.quick):
        if isinstance(found, UserError):
            failed = True
            print(mends.sentence(found), file=sys.stderr, flush=True)
        else:
            print(found.as_json(path) if FLAGS.json else found.line(path), flush=True)
    if failed:
        raise SystemExit(2)


if __name__ == "__main__":
    flag_utils.run(main)
