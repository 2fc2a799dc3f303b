"""Scores a folder of answers against the truth."""

import json
from pathlib import Path

import numpy as np

from vton_jax.benchmark import cases, measures
from vton_jax.core import framing
from vton_jax.core.errors import UserError
from vton_jax.core.files import writing
from vton_jax.media.progress import Progress

_SHOWN = ("ssim", "ssim_garment", "lpips", "lpips_garment", "lpips_vgg", "lpips_vgg_garment", "print_correlation",
          "garment_colour", "face_kept", "hands", "sleeves", "hems")  # fmt: skip


def score(results: str | Path, truth: str | Path, perceptual: str = "auto") -> str:
    """Scores RESULTS/CASE.png of all cases, writes RESULTS/results.json and returns a table.

    Args: perceptual: see `evaluate.perceptual.open_distances`. Raises: UserError where answers are missing or broken.
    """
    from vton_jax.evaluate import perceptual as distances

    results, truth = Path(results), Path(truth)
    names = sorted(path.stem for path in (truth / "about").glob("*.json"))
    if not names:
        raise UserError(f"{truth} holds no truth: give the folder `truth` that `export` wrote.")
    if missing := [name for name in names if not (results / f"{name}.png").is_file()]:
        raise UserError(f"{results} lacks {len(missing)} of {len(names)} answers, such as {missing[0]}.png.")
    measure, found, about = distances.open_distances(perceptual), [], []
    progress = Progress(len(names), unit="cases")
    for number, name in enumerate(names):
        facts = json.loads((truth / "about" / f"{name}.json").read_text())
        labels = cases.read_picture(truth / "labels" / f"{name}.png")
        pair = [cases.read_picture(folder / f"{name}.png") for folder in (results, truth / "image")]
        one, two = (framing.to_float(framing.resize(picture, labels.shape)) for picture in pair)
        scores = measures.case_scores(one, two, labels, facts)
        lone = [measures.alone(picture, labels, facts["garment_type"]) for picture in (one, two)]
        for ending, compared in (("", (one, two)), ("_garment", lone)):
            distance = measure(compared[0][None], compared[1][None])
            scores |= {f"{key}{ending}": float(values[0]) for key, values in distance.items()}
        found.append(scores)
        about.append(facts)
        progress.advance(number + 1)
    progress.close()
    summary = measures.summary(found, about)
    stated = json.loads((truth / "version.json").read_text())
    with writing(results):
        text = {key: None if np.isnan(value) else value for key, value in summary.items()}
        (results / "results.json").write_text(json.dumps(stated | {"scores": text}, indent=1) + "\n")
    return table(summary, len(names))


def table(summary: dict[str, float], count: int) -> str:
    """The means with their intervals, a line each."""
    lines = [f"{count} cases"]
    for name in (name for name in _SHOWN if name in summary):
        low, high = summary[f"{name}.low"], summary[f"{name}.high"]
        lines.append(f"{name:<20}{summary[name]:7.3f}  [{low:.3f}, {high:.3f}]")
    return "\n".join(lines)
