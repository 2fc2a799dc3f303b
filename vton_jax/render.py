"""Makes a try-on clip: python render.py [--person=PHOTO --garment=PICTURE --pose=PHOTO_OR_CLIP --output=out/tryon.mp4]

Without arguments a packaged sample is used. Beside the clip lies a contact sheet of the same name (.png):
user and garment, then for some frames the pose, the coarse map, the final map, the flow and the result. The picture
that `--garment` names may show the garment alone or a person wearing it; exchange the two files to swap user and donor.
Without `--pose` beside a `--person`, the person's own pose is kept.

`--jobs=jobs.csv` makes many: a table whose columns are person, garment, pose (empty: the person's own), output, and any
other flag by its name; flags that are given hold for rows that leave a cell empty. Paths are relative to the table,
several garments stand apart by `;`. A row that cannot be made is reported and passed over; one that was made before
from the same files and options is not made again. jobs.manifest.jsonl beside the table says what was made and read.
"""

import sys
import time
from pathlib import Path

from absl import flags

from vton_jax.command_line import allocator, flag_utils, mends
from vton_jax.core.errors import UserError
from vton_jax.media.progress import Progress, StageBars
from vton_jax.systems.options import JobOptions

flag_utils.define_settings(JobOptions)
flags.DEFINE_alias("arm", "remap")
flags.DEFINE_string(
    "output",
    "out/tryon.mp4",
    "The clip to write (.mp4), or the picture of a single pose (.png, .jpg); a contact sheet lies beside it.",
)
flags.DEFINE_string(
    "jobs",
    None,
    "A CSV file of try-ons, one a row: person, garment (several apart by ;), pose, output, other flags by their names.",
)
flags.DEFINE_boolean("remake", False, "Makes the rows of --jobs again that were made before.")


def main() -> None:
    if flags.FLAGS.jobs is not None:
        return make_rows(Path(flags.FLAGS.jobs))
    if flags.FLAGS.remake:
        raise UserError("--remake goes with --jobs.")
    from vton_jax.systems.job import TryOnJob  # here: --help should not wait for JAX

    started, output = time.monotonic(), Path(flags.FLAGS.output)
    with StageBars() as bars:

        def when_read(reading):
            bars.say(*map(mends.said, reading.said), *reading.notes)
            allocator.give_back_freed_memory()  # a long clip's own frames, which nobody needs any more

        job = TryOnJob(flag_utils.build_settings(JobOptions), progress=bars)
        written = job.write(output, when_read=when_read)
    seconds, count = time.monotonic() - started, f"{written.num_frames} frame{'s' * (written.num_frames > 1)}"
    print(f"wrote {output} ({count}) and {written.sheet} in {seconds:.0f} s", file=sys.stderr)


def make_rows(table: Path) -> None:
    """Makes the rows of a table; exits with 1 where some failed."""
    if flags.FLAGS["output"].present:
        raise UserError("--output goes with one try-on: each row of --jobs names its own.")
    from vton_jax.systems import batches, job_tables

    started, outcomes = time.monotonic(), []
    rows = job_tables.read(table, flag_utils.build_settings(JobOptions))
    batch = batches.Batch(rows, table, remake=flags.FLAGS.remake, say=mends.sentence)
    progress = Progress(len(rows), unit="row")
    try:
        for outcome in batch.outcomes():
            outcomes.append(outcome)
            if outcome.error:
                progress.say(f"{table}, line {outcome.row.line}: {outcome.error}")
            progress.advance(len(outcomes))
            progress.show(len(outcomes), {"seconds": outcome.seconds})
    finally:
        progress.close()
    print(f"{batches.summary(outcomes, time.monotonic() - started)}; {batch.manifest.path}", file=sys.stderr)
    if any(outcome.error for outcome in outcomes):
        raise SystemExit(1)


if __name__ == "__main__":
    flag_utils.run(main)
