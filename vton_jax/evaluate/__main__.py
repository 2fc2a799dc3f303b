"""Evaluation: python -m vton_jax.evaluate --suite=mannequin --output=DIR
            python -m vton_jax.evaluate --suite=ccp|ubc|pairs|critic --data=DIR --output=DIR

Writes DIR/results.json (a flat object, name to number; what was compared stands beside it as text) and DIR/report.html,
and prints the table. Pictures enter as RGB alone; the truth only scores. `mannequin` shows people and garments of the
catalogue's test split, and then known difficulties one at a time (`failures.*`); `ccp` the photos of Clothing
Co-Parsing whose number ends in 3; `ubc` re-enacts real clips, and `pairs` dresses people in the garment that they wear.
`critic` tells how often a small network takes an arm's results for real frames, a stand-in for the talk's user study.
`--compare=OTHER/results.json` shows the differences to an earlier evaluation, and refuses where the protocols are not
the same.

What the names mean: docs/evaluation.md.
"""

import json
import math
import time
from pathlib import Path

from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.compositing import kept_parts
from vton_jax.core import files
from vton_jax.core.errors import UserError
from vton_jax.evaluate import ccp_suite, critic_suite, failure_suite, mannequin_suite, pairs_suite, ubc_suite
from vton_jax.media import photo_files
from vton_jax.systems.lab126 import try_on

FLAGS = flags.FLAGS
SUITES = ("mannequin", "ccp", "ubc", "pairs", "critic")
flags.DEFINE_enum("suite", "mannequin", SUITES, "What to evaluate on.")
flags.DEFINE_string("output", "out/evaluation", "Folder for results.json and report.html.")
flags.DEFINE_string(
    "data",
    None,
    "ccp: the folder with photos/, labels/ and labels.json. ubc: of clips NAME.mp4, with NAME_dwpose.npz where there "
    "is one. pairs: with person/ and garment/, or image/ and cloth/. critic: examples of python data/guides.py.",
)
flags.DEFINE_string(
    "ids", None, "ccp: a file that lists the photos' numbers, one a line, instead of those ending in 3."
)
flags.DEFINE_string("pairs", None, 'pairs: a file that lists "person garment" names, a pair a line. Default: by name.')
flags.DEFINE_list("ccp_parts", list(ccp_suite.PARTS), "ccp: which parts are evaluated, separated by commas.")
flags.DEFINE_integer(
    "stride", 8, "ubc: every so many frames is scored; ccp: every so many photos is dressed; 1 for all.", lower_bound=1
)
flags.DEFINE_enum("background", "inpaint", kept_parts.BACKGROUNDS, "What is behind people in photos, as in render.py.")
flags.DEFINE_enum("parser", "photo", try_on.PARSERS, "What labels people in photos and clips, as in render.py.")
flags.DEFINE_integer(
    "num_cases", 90, "Try-on cases; a multiple of 30 is even over garments and patterns.", lower_bound=2
)
flags.DEFINE_integer(
    "num_clip_frames", 24, "mannequin: frames of each of the two clip cases; ubc: of the runs for flicker (0: none).",
    lower_bound=0,
)  # fmt: skip
flags.DEFINE_integer("num_examples", 1120, "critic: at least so many examples, in whole files.", lower_bound=1)
flags.DEFINE_integer("seed", 0, "Seed of the cases; critic: of the first critic.")
flags.DEFINE_integer(
    "num_failure_cases", 6, "mannequin: cases of each failure suite; a multiple of 12 is even over all (0: none).",
    lower_bound=0,
)  # fmt: skip
flags.DEFINE_string("compare", None, "results.json of an earlier evaluation with the same protocol.")
flags.DEFINE_string("weights", None, "Folder of other weights than the released ones.")


def read_earlier(path: str) -> dict:
    try:
        earlier = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(earlier, dict):
            raise ValueError("no object")
    except (OSError, ValueError) as error:
        raise UserError(f"--compare={path} is no results.json that can be read ({error}).") from None
    return earlier


def main() -> None:
    output, started = Path(FLAGS.output), time.monotonic()
    earlier = read_earlier(FLAGS.compare) if FLAGS.compare else None
    if FLAGS.suite != "mannequin" and not FLAGS.data:
        what = {
            "ccp": "of Clothing Co-Parsing",
            "ubc": "of clips",
            "pairs": "with people and garments",
            "critic": "of python data/guides.py",
        }[FLAGS.suite]
        raise UserError(f"--suite={FLAGS.suite} needs --data=DIR, a folder {what}.")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output={FLAGS.output} cannot be written to: {error.strerror}.") from None
    more = ()
    if FLAGS.suite == "ccp":
        suite = ccp_suite
        results, pictures, texts = suite.evaluate_ccp(
            FLAGS.data, FLAGS.ids, FLAGS.weights, FLAGS.ccp_parts, FLAGS.stride, FLAGS.background, FLAGS.parser
        )
    elif FLAGS.suite == "ubc":
        suite = ubc_suite
        results, pictures, texts, curves = suite.evaluate_ubc(
            FLAGS.data,
            FLAGS.stride,
            FLAGS.num_clip_frames,
            FLAGS.weights,
            background=FLAGS.background,
            reader=FLAGS.parser,
        )
        more = (curves,)
    elif FLAGS.suite == "pairs":
        suite = pairs_suite
        results, pictures, texts = suite.evaluate_pairs(
            FLAGS.data, FLAGS.pairs, FLAGS.weights, background=FLAGS.background, reader=FLAGS.parser
        )
    elif FLAGS.suite == "critic":
        suite = critic_suite
        results, pictures, texts = suite.evaluate_critic(FLAGS.data, FLAGS.num_examples, FLAGS.weights, FLAGS.seed)
    else:
        suite = mannequin_suite
        systems = {arm: try_on.TryOn(arm, FLAGS.weights) for arm in try_on.ARMS}
        results, pictures, texts = suite.evaluate_mannequin(systems, FLAGS.num_cases, FLAGS.num_clip_frames, FLAGS.seed)
        if FLAGS.num_failure_cases:
            found = failure_suite.evaluate_failures(systems, FLAGS.num_failure_cases, FLAGS.seed)
            results, pictures = results | found[0], pictures | found[1]
            texts["protocol"] |= found[2]["protocol"]
            more = (failure_suite.tables(results),)
    results["seconds"] = time.monotonic() - started
    kept = {name: None if not math.isfinite(value) else value for name, value in results.items()}
    for group in ("protocol", "about"):
        kept |= {f"{FLAGS.suite}.{group}.{name}": text for name, text in texts.get(group, {}).items()}
    files.write_text(output / "results.json", json.dumps(kept, indent=1) + "\n")
    suite.write_report(output / "report.html", results, pictures, texts, *more)
    for title, picture in pictures.items():
        photo_files.write_image(output / (title.lower().replace(",", "").replace(" ", "_") + ".png"), picture)
    print(mannequin_suite.table(results))
    for group in texts.values():
        for name, value in group.items():
            print(f"{name}: " + (value if isinstance(value, str) else ", ".join(f"{k} {v}" for k, v in value.items())))
    if earlier is not None:
        print(mannequin_suite.comparison(kept, earlier, FLAGS.compare))
    mannequin_suite.say(f"wrote {output / 'results.json'} and {output / 'report.html'}")


if __name__ == "__main__":
    flag_utils.run(main)
