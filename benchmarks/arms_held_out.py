"""How the arms paint people that were held out: python benchmarks/arms_held_out.py --dataset=DIR [--weights=DIR]

--dataset is a folder of `cache_examples --kind=people` or `layouts`, whose every twentieth file no training sees.
Target layouts are those of the `layouts`, or those that MultiPathCNN reads in the true picture (`--layouts=predicted`
of train.py). Prints the loss's terms for each arm: mean absolute error (l1), that on the garment, and, with
--perceptual=FILE, LPIPS.
"""

import argparse
import sys
from pathlib import Path

import jax
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.models import weights
from vton_jax.tasks.triple_guided import TRAINED, TripleGuidedTask

TERMS = ("l1", "garment", "detail", "structure", "perceptual")


def terms_of(arm: str, arguments: argparse.Namespace) -> dict[str, float]:
    """The means of an arm's terms over the batches, the same ones for each arm."""
    at = lambda name: str(weights.path_of(name, arguments.weights))  # noqa: E731
    own = Path(at("re_map_cnn_joint"))
    task = TripleGuidedTask(
        arm=arm,
        layouts="predicted",
        multi_path_weights=at("multi_path_cnn"),
        re_map_weights=str(own) if arm == "joint" and own.exists() else at("re_map_cnn"),
        perceptual=arguments.perceptual,
        init_from=at(f"triple_guided_cnn_{arm}"),
    )
    batches = task.open_batches(arguments.dataset, arguments.batch_size, 0, task.size, "validation")
    params, frozen, (loss,) = task.init(jax.random.PRNGKey(0), next(batches)), task.frozen(), task.losses().values()
    batches.set_state({"position": 0})
    run, found = jax.jit(lambda *of: loss(*of)[1]), []
    for number in range(arguments.batches):
        found.append(jax.device_get(run(params, frozen, next(batches), jax.random.PRNGKey(number))))
    return {name: float(np.mean([one[name] for one in found])) for name in TERMS if name in found[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--weights", default=None)
    parser.add_argument("--arms", default=",".join(TRAINED))
    parser.add_argument("--perceptual", default="none")
    parser.add_argument("--batches", type=int, default=2)
    parser.add_argument("--batch_size", type=int, default=24)
    arguments = parser.parse_args()
    for arm in arguments.arms.split(","):
        print(arm, " ".join(f"{name} {value:.4f}" for name, value in terms_of(arm, arguments).items()), flush=True)


if __name__ == "__main__":
    main()
