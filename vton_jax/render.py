"""Makes a try-on clip: python render.py [--person=PHOTO --garment=PICTURE --pose=PHOTO_OR_CLIP --output=out/tryon.mp4]

Without arguments a packaged sample is used. Beside the clip lies a contact sheet of the same name (.png):
user and garment, then for some frames the pose, the coarse map, the final map, the flow and the result. The picture
that `--garment` names may show the garment alone or a person wearing it; exchange the two files to swap user and donor.
Without `--pose` beside a `--person`, the person's own pose is kept.
"""

import sys
import time
from pathlib import Path

from absl import flags

from vton_jax.command_line import flag_utils, mends
from vton_jax.media.progress import StageBars
from vton_jax.systems.options import JobOptions

flag_utils.define_settings(JobOptions)
flags.DEFINE_alias("arm", "remap")
flags.DEFINE_string("output", "out/tryon.mp4", "The clip to write (.mp4); the contact sheet lies beside it as .png.")


def main() -> None:
    from vton_jax.systems.job import TryOnJob  # here: --help should not wait for JAX

    started, output = time.monotonic(), Path(flags.FLAGS.output)
    with StageBars() as bars:
        job = TryOnJob(flag_utils.build_settings(JobOptions), progress=bars)
        results = job.write(output, when_read=lambda reading: bars.say(*map(mends.said, reading.said), *reading.notes))
    seconds = time.monotonic() - started
    print(
        f"wrote {output} ({len(results)} frames) and {output.with_suffix('.png')} in {seconds:.0f} s", file=sys.stderr
    )


if __name__ == "__main__":
    flag_utils.run(main)
