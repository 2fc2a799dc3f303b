"""Makes a try-on clip: python render.py [--person=PHOTO --garment=PICTURE --pose=PHOTO_OR_CLIP --output=out/tryon.mp4]

Without arguments a packaged mannequin sample is used. Beside the clip lies a contact sheet of the same name (.png):
user and garment, then for some frames the pose, the coarse map, the final map, the flow and the result. The picture
that `--garment` names may show the garment alone or a person wearing it; exchange the two files to swap user and donor.
Without `--pose` beside a `--person`, the person's own pose is kept.
"""

import sys
import time
from pathlib import Path

import jax
import numpy as np
from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.compositing import full_size, kept_parts, normalisation, temporal_filters
from vton_jax.core import framing
from vton_jax.core.errors import UserError
from vton_jax.core.files import require_writable
from vton_jax.media import photo_files, video_files, visualize
from vton_jax.systems.lab126 import try_on

FLAGS = flags.FLAGS
SAMPLES = Path(__file__).parent / "vton_jax" / "samples"
flags.DEFINE_string("person", None, "Photo of the person to dress, from head to foot. Default: the packaged sample.")
flags.DEFINE_string("garment", None, "Picture of the garment: laid flat, or worn. Default: the packaged sample.")
flags.DEFINE_string("pose", None, "Photo or clip of the poses. Default: the sample's clip, or the person's own pose.")
flags.DEFINE_string("output", "out/tryon.mp4", "The clip to write (.mp4); the contact sheet lies beside it as .png.")
flags.DEFINE_integer("num_frames", 48, "Frames at most.", lower_bound=1)
flags.DEFINE_enum("remap", "auto", ("auto", *try_on.ARMS),
                  "ReMapCNN: not at all, after, before, or trained jointly; auto: after for a --person of one's own, "
                  "where it keeps patterns best, and jointly for the sample.")  # fmt: skip
flags.DEFINE_enum("temporal_filter", "motion", temporal_filters.FILTERS, "How the clip is smoothed over time.")
flags.DEFINE_enum("garment_type", "auto", ("auto", *try_on.segmentation.GARMENT_TYPES),
                  "What is exchanged; auto: a flat garment's own kind, a worn one's whole outfit.")  # fmt: skip
flags.DEFINE_enum("garment_is", "auto", ("auto", "flat", "person"), "How the garment is shown; auto: look.")
flags.DEFINE_enum("background", "inpaint", kept_parts.BACKGROUNDS,
                  "Behind the person: the photo's background, filled in, or what the networks leave.")  # fmt: skip
flags.DEFINE_enum("parser", "auto", ("auto", *try_on.PARSERS), try_on.PARSER_HELP)
flags.DEFINE_enum("framing", "auto", ("auto", "photo", "pose"), normalisation.FRAMING_HELP)
flags.DEFINE_string("output_size", None, "HEIGHTxWIDTH of the clip, or photo: as the photo. Default: the networks'.")
flags.DEFINE_string("weights", None, "Folder of other weights than the released ones.")
STILL_RATE = 15  # frames a second of a clip whose pose is a photo


def sheet(
    views: full_size.Views, donor: try_on.Garment, poses: np.ndarray, results: list[try_on.Result], clip
) -> np.ndarray:
    """The contact sheet: inputs in the first row, then a row for each of six frames at most, as the clip shows them."""
    chosen = np.unique(np.linspace(0, len(results) - 1, min(6, len(results))).round().astype(int))
    rows = [[views.person, visualize.to_uint8(donor.image), None, None, None]]
    shown = views.show(clip[chosen], [results[index] for index in chosen], donor)
    for index, picture in zip(chosen, shown, strict=True):
        result = results[index]
        rows.append(
            [
                poses[index],
                *map(visualize.colour_segmentation, (result.target.coarse, result.dressed.labels)),
                visualize.colour_flow(result.dressed.flow),
                visualize.to_uint8(framing.resize(picture, views.person.shape[:2])),
            ]
        )
    titles = ["user and garment", *(f"frame {i}" for i in chosen)]
    columns = ["user / pose", "garment / coarse", "final", "flow", "result"]
    return visualize.contact_sheet(rows, row_titles=titles, column_titles=columns)


def output_size() -> tuple[int, int] | None:
    """--output_size as (height, width); None for `photo` and where it is not given."""
    if FLAGS.output_size in (None, "photo"):
        return None
    try:
        return flag_utils.SizeParser().parse(FLAGS.output_size)
    except ValueError as error:
        raise UserError(f"--output_size={FLAGS.output_size} is not understood: {error}, or photo.") from None


def main() -> None:
    started = time.monotonic()
    output = Path(FLAGS.output)
    if output.suffix.lower() != ".mp4":
        raise UserError(f"--output={FLAGS.output} should end in .mp4.")
    person = Path(FLAGS.person or SAMPLES / "person.png")
    garment = Path(FLAGS.garment or SAMPLES / "garment.png")
    wanted = output_size()
    # Read everything first: a broken file should not wait for the networks.
    photo, picture = photo_files.read_photo(person), photo_files.read_photo(garment)
    frames, rate = [photo], None
    if FLAGS.pose or not FLAGS.person:
        frames, rate = video_files.read_frames(Path(FLAGS.pose or SAMPLES / "pose.mp4"), FLAGS.num_frames)
    require_writable(output)
    arm = FLAGS.remap if FLAGS.remap != "auto" else "post" if FLAGS.person else "joint"
    system = try_on.TryOn(arm, FLAGS.weights, try_on.choose_parser(FLAGS.parser, FLAGS.person))
    flat = {"auto": None, "flat": True, "person": False}[FLAGS.garment_is]
    stage = normalisation.Stage(flat=flat)
    if FLAGS.framing == "photo" or (FLAGS.framing == "auto" and FLAGS.person):
        stage = normalisation.set_stage(system, photo, picture, flat, frames)
    if stage.cut:
        print(f"{person.name} does not show the whole person: what is missing is made up below it", file=sys.stderr)
    size = system.size
    if FLAGS.output_size is not None:
        size = full_size.canvas_for(system.size, wanted, photo.shape[:2])
    views = full_size.Views(stage, photo, picture, system.size, size)
    pose_frames = np.stack([stage.poses.bring(frame, system.size) for frame in frames])
    donor = system.read_donor(views.garment, FLAGS.garment_type, stage.flat)
    kind = try_on.segmentation.GARMENT_TYPES[int(donor.garment_type)]
    print(f"{garment.name}: {'laid flat' if donor.flat else 'worn'}, exchanging '{kind}'; {len(pose_frames)} frames, "
          f"arm '{arm}'", file=sys.stderr)  # fmt: skip

    from tqdm import tqdm

    results = system.clip(views.person, donor, pose_frames, FLAGS.background, stage.person.shown(system.size))
    results = list(tqdm(results, total=len(pose_frames), unit="frame", desc="try-on"))
    clip = temporal_filters.apply(FLAGS.temporal_filter, np.stack([result.image for result in results]))
    photo_files.write_image(output.with_suffix(".png"), sheet(views, donor, pose_frames, results, clip))
    clip = views.show(clip, results, donor)
    if wanted:
        clip = (framing.fit(frame, wanted)[0] for frame in clip)
    elif FLAGS.output_size is not None:
        clip = map(framing.fit(photo, size)[1].restore, clip)
    video_files.write_video(output, (visualize.to_uint8(frame) for frame in clip), rate or STILL_RATE)
    print(f"wrote {output} ({len(results)} frames) and {output.with_suffix('.png')} in "
          f"{time.monotonic() - started:.0f} s on {jax.devices()[0].platform}", file=sys.stderr)  # fmt: skip


if __name__ == "__main__":
    flag_utils.run(main)
