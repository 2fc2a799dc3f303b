"""Makes the packaged sample again: python -m vton_jax.catalogue.packaged [--output=vton_jax/samples]

A photo, a garment laid flat and a pose clip of a second person who walks and turns, all of the split `test`, from which
nothing learns.
"""

from fractions import Fraction
from pathlib import Path

from absl import flags

from vton_jax.catalogue import cases
from vton_jax.command_line import flag_utils
from vton_jax.media import photo_files, video_files

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "output", str(Path(__file__).parent.parent / "samples"), "Folder for person.png, garment.png, pose.mp4."
)
flags.DEFINE_integer("number", 0, "Which example of the test split; its garment has to lie flat.")
NUM_FRAMES, SIZE = 48, (256, 192)


def main() -> None:
    folder = Path(FLAGS.output)
    photo, garment, poses, _ = cases.clip(FLAGS.number, NUM_FRAMES, SIZE, "test", calm=True)
    photo_files.write_image(folder / "person.png", photo)
    photo_files.write_image(folder / "garment.png", garment)
    video_files.write_video(folder / "pose.mp4", poses, Fraction(cases.FRAME_RATE))


if __name__ == "__main__":
    flag_utils.run(main)
