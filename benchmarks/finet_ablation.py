"""FiNet's comparison, trained and scored: python benchmarks/finet_ablation.py --dataset=OUTFITS --output=DIR

Trains every network that a variant has of its own, all from the start and for as many steps (STEPS, times `--scale`),
so that all variants see equal samples, then scores them by the suite `finet`. What is trained already stays: the same
command again goes on. `--dataset` is a folder of `cache_examples --kind=outfits`, or several with their shares as
`train.py` takes them; `--judged` a folder of that kind from which the judge of rules learns; `--perceptual` the weights
of LPIPS, for the scores alone. Weights and OUTPUT/VARIANT, a report each, stay in the folder `--output`; the table is
printed at the end and kept as OUTPUT/table.md.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import ablations
from vton_jax.systems.finet import variants

# 11 to 22 minutes of one CPU core for a network, beside other work; half an hour is wanted: --scale=2.
STEPS = {"shape": 3600, "appearance": 3600}
# Keys of the suite after `finet.VARIANT.`, and what the table calls them.
COLUMNS = {
    "rule_keeping.with": "rules kept",
    "diversity.with": "diversity, LPIPS",
    "transfer.lpips": "given garment, LPIPS",
    "style_score.with": "inception-style score",
    "fooling_1s": "critic fooled at 64x48",
    "fooling_2s": "at 128x96",
}


def trainings(names: list[str]) -> list[tuple[str, str, str]]:
    """(weights, stage, variant) of all that the variants need."""
    stages = ((stage, name) for name in names for stage in variants.VARIANTS[name].stages)
    return [(variants.weights_name(stage, name), stage, name) for stage, name in stages]


def table(folder: Path, names: list[str]) -> str:
    """The scores of each variant, with their intervals, in Markdown."""
    rows = [["variant", *COLUMNS.values()], ["---"] * (1 + len(COLUMNS))]
    for name in names:
        found = json.loads((folder / name / "results.json").read_text())
        rows.append([f"`{name}`", *(_shown(found, name, key) for key in COLUMNS)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _shown(found: dict[str, float], name: str, key: str) -> str:
    # The suite's own keys are those of the whole system.
    full = next((one for one in (f"finet.{name}.{key}", f"finet.{key}") if one in found), None)
    if full is None:
        return "-"
    return f"{found[full]:.3f} ({found[f'{full}.low']:.3f} to {found[f'{full}.high']:.3f})"


def main(arguments: list[str] | None = None) -> None:
    parser = ablations.parser(__doc__.splitlines()[0], list(variants.VARIANTS))
    parser.add_argument("--judged", required=True)
    parser.add_argument("--num_cases", type=int, default=20)
    options = parser.parse_args(arguments)
    names, folder = options.variants.split(","), Path(options.output).resolve()
    options.output = str(folder)
    commands = {
        weights: ablations.training(weights, name, [f"finet_{stage}_start"], STEPS[stage], options) + options.more
        for weights, stage, name in trainings(names)
    }
    ablations.train_missing(options.output, commands)
    for name in names:
        if not (folder / name / "results.json").exists():
            ablations.evaluate([
                "--suite=finet", f"--variant={name}", f"--weights={folder}", f"--data={options.judged}",
                f"--num_cases={options.num_cases}", f"--perceptual={options.perceptual}", f"--output={folder / name}",
            ])  # fmt: skip
    text = table(folder, names)
    (folder / "table.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
