"""Shows the backward procedure on one frame: python invert.py [--person=... --garment=... --pose=... --output=DIR]

Writes DIR/coarse.png, final.png, steps.png (the eight steps), iterations.mp4 (the segmentation settling, with its error
curve) and error.csv. Without arguments a packaged mannequin sample is used.
"""

import csv
import io
import sys
from pathlib import Path

import cv2
import jax
import numpy as np
from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.compositing import normalisation
from vton_jax.core import files
from vton_jax.core.errors import UserError
from vton_jax.layout import composition
from vton_jax.media import photo_files, video_files, visualize
from vton_jax.systems.lab126 import try_on

FLAGS = flags.FLAGS
SAMPLES = Path(__file__).parent / "vton_jax" / "samples"
flags.DEFINE_string("person", None, "Photo of the person. Default: the packaged sample.")
flags.DEFINE_string("garment", None, "Picture of the garment, flat or worn. Default: the packaged sample.")
flags.DEFINE_string("pose", None, "Photo or clip of the pose. Default: the sample's, or the person's own.")
flags.DEFINE_integer("frame", None, "Frame of a pose clip. Default: a third of the way in.", lower_bound=0)
flags.DEFINE_string("output", "out/invert", "Folder for the pictures.")
flags.DEFINE_integer("num_iterations", 80, "Iterations at most.", lower_bound=1)
flags.DEFINE_enum("garment_type", "auto", ("auto", *try_on.segmentation.GARMENT_TYPES), "What is exchanged.")
flags.DEFINE_enum("garment_is", "auto", ("auto", "flat", "person"), "How the garment is shown.")
flags.DEFINE_enum("parser", "auto", ("auto", *try_on.PARSERS), try_on.PARSER_HELP)
flags.DEFINE_string("weights", None, "Folder of other weights than the released ones.")


def pose_frame(photo: np.ndarray) -> np.ndarray:
    if FLAGS.person and not FLAGS.pose:
        return photo
    frames, _ = video_files.read_frames(
        FLAGS.pose or SAMPLES / "pose.mp4", None if FLAGS.frame is None else FLAGS.frame + 1
    )
    index = len(frames) // 3 if FLAGS.frame is None else FLAGS.frame
    if index >= len(frames):
        raise UserError(f"--frame={index} is past the end: the pose clip has {len(frames)} frames.")
    return frames[index]


def write_errors(path: Path, errors: list[float]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["iteration", "error"])
    writer.writerows([index, f"{error:.6f}"] for index, error in enumerate(errors))
    files.write_text(path, text.getvalue())


def main() -> None:
    output = Path(FLAGS.output)
    photo = photo_files.read_photo(FLAGS.person or SAMPLES / "person.png")
    pictures = photo, photo_files.read_photo(FLAGS.garment or SAMPLES / "garment.png"), pose_frame(photo)
    files.require_writable(output / "error.csv")
    system = try_on.TryOn("none", FLAGS.weights, try_on.choose_parser(FLAGS.parser, FLAGS.person))
    stage = normalisation.Stage(flat={"auto": None, "flat": True, "person": False}[FLAGS.garment_is])
    if FLAGS.person:
        stage = normalisation.set_stage(system, *pictures[:2], stage.flat, [pictures[2]])
    places = stage.person, stage.garment, stage.poses
    user_frame, garment, pose_image = (p.bring(one, system.size) for p, one in zip(places, pictures, strict=True))
    donor = system.read_donor(garment, FLAGS.garment_type, stage.flat)
    users, z_user = system.read_layouts(user_frame[None])
    user = composition.split_dress(jax.tree.map(lambda a: a[0], users), donor.garment_type)
    poses, z_pose = system.read_layouts(pose_image[None])
    pose = jax.tree.map(lambda a: a[0], poses)
    for frame, where in ((user_frame, "the photo"), (pose_image, "the pose image")):
        try_on.require_content(frame, where)
    try_on.require_person(user, "the photo")
    try_on.require_person(pose, "the pose image")
    coarse, steps = system.coarse(user, donor, poses)

    layouts, errors = [], []
    for layout, error in system.iterations(coarse, poses, z_user, z_pose, FLAGS.num_iterations):
        layouts.append(layout)
        errors.append(error)
        print(f"\riteration {len(errors) - 1}: Err {error:.5f}", end="", file=sys.stderr)
    print(file=sys.stderr)

    colour = visualize.colour_segmentation
    try:
        output.mkdir(parents=True, exist_ok=True)
        photo_files.write_image(output / "coarse.png", colour(coarse[0]))
        photo_files.write_image(output / "final.png", colour(layouts[-1]))
        inputs = [user_frame, visualize.to_uint8(donor.image), pose_image]
        inputs.append(visualize.draw_skeleton(np.full_like(pose_image, 255), pose.keypoints, pose.visible))
        eight = [colour(steps[name][0]) for name in composition.STEPS]
        titles = ["user", "dress", "pose", "pose image"]
        rows = [inputs, eight[:4], eight[4:]]
        photo_files.write_image(output / "steps.png", visualize.contact_sheet(rows, column_titles=titles))
        height, width = system.size
        curve_size = (height, 2 * width)

        def frames():
            # The first iterations move the most: show them slowly.
            for index, layout in enumerate(layouts):
                curve = visualize.error_curve(errors[: index + 1], curve_size, len(errors), max(errors))
                frame = np.concatenate([colour(coarse[0]), colour(layout), curve], axis=1)
                for _ in range(4 if index < 8 else 1):
                    yield cv2.resize(frame, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)

        video_files.write_video(output / "iterations.mp4", frames(), 12)
        write_errors(output / "error.csv", errors)
    except OSError as error:
        raise UserError(f"--output={FLAGS.output} cannot be written to: {error.strerror}.") from None
    print(f"Err {errors[0]:.5f} -> {min(errors):.5f} in {len(errors)} iterations; see {output}", file=sys.stderr)


if __name__ == "__main__":
    flag_utils.run(main)
