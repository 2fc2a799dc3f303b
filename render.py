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

from vton_jax import flag_utils, framing, media, temporal, try_on, visualize
from vton_jax.errors import UserError

FLAGS = flags.FLAGS
SAMPLES = Path(__file__).parent / "vton_jax" / "samples"
flags.DEFINE_string("person", None, "Photo of the person to dress, from head to foot. Default: the packaged sample.")
flags.DEFINE_string("garment", None, "Picture of the garment: laid flat, or worn. Default: the packaged sample.")
flags.DEFINE_string("pose", None, "Photo or clip of the poses. Default: the sample's clip, or the person's own pose.")
flags.DEFINE_string("output", "out/tryon.mp4", "The clip to write (.mp4); the contact sheet lies beside it as .png.")
flags.DEFINE_integer("num_frames", 48, "Frames at most.", lower_bound=1)
flags.DEFINE_enum("remap", "joint", try_on.ARMS, "ReMapCNN: not at all, after, before, or trained jointly.")
flags.DEFINE_enum("temporal_filter", "motion", temporal.FILTERS, "How the clip is smoothed over time.")
flags.DEFINE_enum("garment_type", "auto", ("auto", "upper", "lower", "dress"),
                  "What is exchanged; auto: a flat garment's own kind, a worn one's whole outfit.")  # fmt: skip
flags.DEFINE_enum("garment_is", "auto", ("auto", "flat", "person"), "How the garment is shown; auto: look.")
flags.DEFINE_string("weights", None, "Folder of other weights than the released ones.")
STILL_RATE = 15  # frames a second of a clip whose pose is a photo


def sheet(user: np.ndarray, garment: np.ndarray, poses: np.ndarray, results: list[try_on.Result], clip) -> np.ndarray:
    """The contact sheet: inputs in the first row, then a row for each of six frames at most."""
    chosen = np.unique(np.linspace(0, len(results) - 1, min(6, len(results))).round().astype(int))
    rows = [[user, garment, None, None, None]]
    for index in chosen:
        result = results[index]
        rows.append(
            [
                poses[index], visualize.colour_segmentation(result.coarse), visualize.colour_segmentation(result.final),
                visualize.colour_flow(result.flow), visualize.to_uint8(clip[index]),
            ]
        )  # fmt: skip
    titles = ["user and garment", *(f"frame {i}" for i in chosen)]
    columns = ["user / pose", "garment / coarse", "final", "flow", "result"]
    return visualize.contact_sheet(rows, row_titles=titles, column_titles=columns)


def main() -> None:
    started = time.monotonic()
    output = Path(FLAGS.output)
    if output.suffix.lower() != ".mp4":
        raise UserError(f"--output={FLAGS.output} should end in .mp4.")
    person = Path(FLAGS.person or SAMPLES / "person.png")
    garment = Path(FLAGS.garment or SAMPLES / "garment.png")
    # Read everything first: a broken file should not wait for the networks.
    photo, picture = media.read_photo(person), media.read_photo(garment)
    frames, rate = [photo], None
    if FLAGS.pose or not FLAGS.person:
        frames, rate = media.read_frames(Path(FLAGS.pose or SAMPLES / "pose.mp4"), FLAGS.num_frames)
    media.require_writable(output)
    system = try_on.TryOn(FLAGS.remap, FLAGS.weights)
    user_frame, garment_frame = (framing.fit(image, system.size)[0] for image in (photo, picture))
    pose_frames = np.stack([framing.fit(frame, system.size)[0] for frame in frames])
    flat = {"auto": None, "flat": True, "person": False}[FLAGS.garment_is]
    donor = system.read_donor(garment_frame, FLAGS.garment_type, flat)
    kind = try_on.segmentation.GARMENT_TYPES[int(donor.garment_type)]
    print(f"{garment.name}: {'laid flat' if donor.flat else 'worn'}, exchanging '{kind}'; {len(pose_frames)} frames, "
          f"arm '{FLAGS.remap}'", file=sys.stderr)  # fmt: skip

    from tqdm import tqdm

    results = list(
        tqdm(system.clip(user_frame, donor, pose_frames), total=len(pose_frames), unit="frame", desc="try-on")
    )
    clip = temporal.apply(FLAGS.temporal_filter, np.stack([result.image for result in results]))
    overview = sheet(user_frame, visualize.to_uint8(donor.image), pose_frames, results, clip)
    media.write_image(output.with_suffix(".png"), overview)
    media.write_video(output, (visualize.to_uint8(frame) for frame in clip), rate or STILL_RATE)
    print(f"wrote {output} ({len(clip)} frames) and {output.with_suffix('.png')} in {time.monotonic() - started:.0f} s "
          f"on {jax.devices()[0].platform}", file=sys.stderr)  # fmt: skip


if __name__ == "__main__":
    flag_utils.run(main)
