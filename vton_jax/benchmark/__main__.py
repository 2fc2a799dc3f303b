"""A benchmark of counterfactual try-on with exact truth, for any system:

  python -m vton_jax.benchmark export --output=DIR [--cases=200 --size=256x192]   writes DIR/given and DIR/truth
  python -m vton_jax.benchmark answer --given=DIR/given --results=DIR --method=post   answers by one of our own
  python -m vton_jax.benchmark score --results=DIR --truth=DIR/truth              scores a folder of CASE.png

Methods are the arms of lab126 (none, post, pre, joint), other systems by their names, and two baselines: `user` (the
photo as it is) and `paste` (the garment's picture laid over it). `score` prints the table and writes results.json
beside the answers: means with 95% intervals, and by skin, body, hair, garment, turn and how the garment was shown. What
the scores mean: docs/evaluation.md.
"""

import sys

from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.core.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_string("output", None, "export: the folder to write.")
flags.DEFINE_integer("cases", 200, "export: how many; answer: at most so many, 0 for all.", lower_bound=0)
flag_utils.define_size("size", "256x192", "export: the size of the pictures.")
flags.DEFINE_string("given", None, "answer: the folder `given` of the cases.")
flags.DEFINE_string("results", None, "answer, score: the folder of the answers, CASE.png.")
flags.DEFINE_string("method", "post", "answer: an arm, a system, or a baseline.")
flags.DEFINE_string("weights", None, "answer: folder of other weights than the released ones.")
flags.DEFINE_string("truth", None, "score: the folder `truth` of the cases.")
flags.DEFINE_string("perceptual", "auto", "score: weights of LPIPS, as in vton_jax.evaluate.")

ACTIONS = ("export", "answer", "score")
_asked: list[str] = []


def define_more_flags(arguments: list[str]) -> None:
    """Takes the action, the one word that is no flag, off the arguments."""
    _asked[:] = [word for word in arguments[:1] if not word.startswith("-")]
    del arguments[: len(_asked)]


def _need(*names: str) -> list[str]:
    for name in names:
        if not FLAGS[name].value:
            raise UserError(f"Give --{name}=DIR; python -m vton_jax.benchmark --help explains the flags.")
    return [FLAGS[name].value for name in names]


def main() -> None:
    action = _asked[0] if _asked else ""
    if action not in ACTIONS:
        said = f"There is no action {action!r}" if action else "Say what to do"
        raise UserError(f"{said}: python -m vton_jax.benchmark {'|'.join(ACTIONS)}; --help explains the flags.")
    if action == "export":
        from vton_jax.benchmark import cases

        if not FLAGS.cases:
            raise UserError("--cases should be at least 1.")
        (output,) = _need("output")
        print(f"hash {cases.export(output, FLAGS.cases, FLAGS.size)}")
    elif action == "answer":
        from vton_jax.benchmark import methods

        given, results = _need("given", "results")
        count = methods.answer(given, results, FLAGS.method, weights=FLAGS.weights, limit=FLAGS.cases)
        print(f"{results}: {count} answers", file=sys.stderr)
    else:
        from vton_jax.benchmark import scoring

        print(scoring.score(*_need("results", "truth"), perceptual=FLAGS.perceptual))


if __name__ == "__main__":
    flag_utils.run(main, define_more_flags)
