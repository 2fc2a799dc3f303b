"""Evaluation: python -m vton_jax.evaluate --suite=mannequin --output=DIR
            python -m vton_jax.evaluate --suite=ccp --data=DIR --output=DIR

Writes DIR/results.json (a flat object, name to number; what was compared stands beside it as text) and DIR/report.html,
and prints the table. Pictures enter as RGB alone; the truth only scores. `mannequin` shows people and garments of the
catalogue's test split, `ccp` the photos of Clothing Co-Parsing whose number ends in 3.

What the names mean: docs/evaluation.md.
"""

import json
import math
import time
from pathlib import Path

from absl import flags

from vton_jax import evaluation, evaluation_ccp, flag_utils, media
from vton_jax.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_enum("suite", "mannequin", ["mannequin", "ccp"], "What to evaluate on.")
flags.DEFINE_string("output", "out/evaluation", "Folder for results.json and report.html.")
flags.DEFINE_string("data", None, "ccp: the folder with photos/, labels/ and labels.json.")
flags.DEFINE_string(
    "ids", None, "ccp: a file that lists the photos' numbers, one a line, instead of those ending in 3."
)
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
    if FLAGS.suite == "ccp":
        if not FLAGS.data:
            raise UserError("--suite=ccp needs --data=DIR, a folder of Clothing Co-Parsing.")
        results, pictures, about = evaluation_ccp.evaluate_ccp(FLAGS.data, FLAGS.ids, FLAGS.weights)
        write_report, texts = (
            evaluation_ccp.write_report,
            {f"ccp.protocol.{name}": text for name, text in about.items()},
        )
    else:
        results, pictures, about = evaluation.evaluate_mannequin(
            FLAGS.weights, FLAGS.num_cases, FLAGS.num_clip_frames, FLAGS.seed
        )
        write_report, texts = evaluation.write_report, {}
    results["seconds"] = time.monotonic() - started
    finite = {name: None if not math.isfinite(value) else value for name, value in results.items()}
    evaluation.write_text(output / "results.json", json.dumps(finite | texts, indent=1) + "\n")
    write_report(output / "report.html", results, pictures, about)
    for title, picture in pictures.items():
        media.write_image(output / (title.lower().replace(",", "").replace(" ", "_") + ".png"), picture)
    print(evaluation.table(results))
    for name, value in about.items():
        print(f"{name}: " + (value if isinstance(value, str) else ", ".join(f"{k} {v}" for k, v in value.items())))
    evaluation.say(f"wrote {output / 'results.json'} and {output / 'report.html'}")


if __name__ == "__main__":
    flag_utils.run(main)
