"""Evaluation: python -m vton_jax.evaluate --suite=catalogue|clothflow --output=DIR
            python -m vton_jax.evaluate --suite=ccp|ubc|pairs|strangers|critic|realism|finet --data=DIR --output=DIR

Writes DIR/results.json (a flat object, name to number; what was compared stands beside it as text) and DIR/report.html,
and prints the table. Pictures enter as RGB alone; the truth only scores. `catalogue` shows people and garments of the
catalogue's test split, and then known difficulties one at a time (`failures.*`); `ccp` the photos of Clothing
Co-Parsing whose number ends in 3; `ubc` re-enacts real clips, and `pairs` dresses people in the garment that they wear.
`critic` tells how often a small network takes an arm's results for real frames, a stand-in for the talk's user study.
`realism` tells how far drawn people are from those in Clothing Co-Parsing's photos, by features of VGG16. `finet` tells
how diverse and how compatible fillings of drawn people are. `strangers`
tells how well pictures are read that nobody tuned for, and makes pictures for a judge, whose judgements `--judged`
counts. `clothflow` scores ClothFlow and its ablation on people whom the catalogue draws. `ubc`, `pairs`,
`strangers` and `ccp --ccp_parts=self` evaluate any `--system`, and by perceptual distances too where there are weights
(`--perceptual`); `catalogue`, `critic` and the rest of `ccp` evaluate the parts of lab126.
`--compare=OTHER/results.json` shows the differences to an earlier evaluation, and refuses where the protocols are not
the same. `--suite=NAME --help` lists the flags of one suite.

What the names mean: docs/evaluation.md.
"""

import time

from absl import flags

from vton_jax import evaluate
from vton_jax.command_line import flag_utils
from vton_jax.core.errors import WrongOption
from vton_jax.evaluate import report

FLAGS = flags.FLAGS
flags.DEFINE_string("suite", "catalogue", f"What to evaluate on: {', '.join(evaluate.SUITES)}.")
flags.DEFINE_string("output", "out/evaluation", "Folder for results.json and report.html.")
flags.DEFINE_string("compare", None, "results.json of an earlier evaluation with the same protocol.")


def define_more_flags(arguments: list[str]) -> None:
    """The options of all suites; for the help of one suite, its own."""
    suite = flag_utils.last_value(arguments, "suite")
    alone = suite and flag_utils.asks_for_help(arguments)
    flag_utils.define_settings(
        evaluate.suite_class(suite).Options if alone else evaluate.all_options(suite or "catalogue")
    )


def main() -> None:
    suite_class = evaluate.suite_class(FLAGS.suite)
    earlier = report.read(FLAGS.compare) if FLAGS.compare else None
    suite = suite_class(flag_utils.build_settings(suite_class.Options))
    if getattr(suite, "only_prints", False):
        if earlier is not None:
            raise WrongOption("compare", FLAGS.compare, "compares evaluations, and here nothing is evaluated.")
        print(report.summary(suite, dict(suite.run())))
        return
    suite.folder = output = report.make_folder(FLAGS.output)
    started = time.monotonic()
    results = dict(suite.run())
    results["seconds"] = time.monotonic() - started
    kept = report.write(output, suite, results)
    print(report.summary(suite, results))
    if earlier is not None:
        print(report.comparison(kept, earlier, FLAGS.compare))
    report.say(f"wrote {output / 'results.json'} and {output / 'report.html'}")


if __name__ == "__main__":
    flag_utils.run(main, define_more_flags)
