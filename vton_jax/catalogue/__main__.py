"""Writes videos, photos and flat garments with their truth: python -m vton_jax.catalogue --output=DIR --people=10

The same flags write the same bytes; a stopped run goes on where it stopped. See `vton_jax.catalogue.videos` for
what lies in the folder, and `python data/build.py pose_and_dress --source=DIR` for what to make of it.
"""

import sys

from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.core.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_string("output", None, "Folder of the catalogue; created, or continued.")
flags.DEFINE_integer("people", 10, "Number of people.")
flags.DEFINE_integer("videos_per_person", 2, "Videos of each person, each in another outfit.")
flags.DEFINE_integer("seed", 0, "Seed of all choices.")
flags.DEFINE_float("seconds", 4.0, "Length of a video.")
flags.DEFINE_float("frame_rate", 15.0, "Frames a second.")
flag_utils.define_size("size", "256x192", "Size of the frames.")


def main() -> None:
    from vton_jax.catalogue import videos  # here: --help should not wait for the meshes

    if not FLAGS.output:
        raise UserError("Give --output=DIR, the folder of the catalogue.")
    settings = videos.Settings(FLAGS.seed, FLAGS.seconds, FLAGS.frame_rate, FLAGS.size)
    names = videos.write(FLAGS.output, FLAGS.people, FLAGS.videos_per_person, settings)
    total = FLAGS.people * FLAGS.videos_per_person
    try:
        from tqdm import tqdm
    except ImportError:
        for number, name in enumerate(names, 1):
            print(f"{number}/{total} {name}", file=sys.stderr)
    else:
        for _ in tqdm(names, total=total, unit="video", dynamic_ncols=True):
            pass
    print(f"{FLAGS.output} holds {total} videos of {FLAGS.people} people; catalogue.csv lists them", file=sys.stderr)


if __name__ == "__main__":
    flag_utils.run(main)
