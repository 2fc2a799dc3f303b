"""Evaluation: python -m vton_jax.evaluate --suite=mannequin --output=DIR

Writes DIR/results.json (a flat object, name to number) and DIR/report.html, and prints the table. Users, donors and
poses enter as RGB alone; the truth only scores. People and garments are of the catalogue's test split.

What the names mean: docs/evaluation.md.
"""

import json
import math
import time
from pathlib import Path

from absl import flags

from vton_jax import evaluation, flag_utils, media
from vton_jax.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_enum("suite", "mannequin", ["mannequin"], "What to evaluate on.")
flags.DEFINE_string("output", "out/evaluation", "Folder for results.json and report.html.")
flags.DEFINE_integer(
    "num_cases", 90, "Try-on cases; a multiple of 30 is even over garments and patterns.", lower_bound=2
)
flags.DEFINE_integer("num_clip_frames", 24, "Frames of each of the two clip cases (0: none).", lower_bound=0)
flags.DEFINE_integer("seed", 0, "Seed of the cases.")
flags.DEFINE_string("weights", None, "Folder of other weights than the released ones.")


def main() -> None:
    output, started = Path(FLAGS.output), time.monotonic()
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output={FLAGS.output} cannot be written to: {error.strerror}.") from None
    results, pictures, counts = evaluation.evaluate_mannequin(
        FLAGS.weights, FLAGS.num_cases, FLAGS.num_clip_frames, FLAGS.seed
    )
    results["seconds"] = time.monotonic() - started
    finite = {name: None if not math.isfinite(value) else value for name, value in results.items()}
    evaluation.write_text(output / "results.json", json.dumps(finite, indent=1) + "\n")
    evaluation.write_report(output / "report.html", results, pictures, counts)
    for title, picture in pictures.items():
        media.write_image(output / (title.lower().replace(",", "").replace(" ", "_") + ".png"), picture)
    print(evaluation.table(results))
    for name, values in counts.items():
        print(f"{name}: " + ", ".join(f"{k} {v}" for k, v in values.items()))
    evaluation.say(f"wrote {output / 'results.json'} and {output / 'report.html'}")


if __name__ == "__main__":
    flag_utils.run(main)
