"""Fits the appearance embedder on mannequins: python -m vton_jax.mannequin.fit_appearance --output=FILE

Half of the people fit the map, the other half the threshold: the largest distance at which, among the pairs of videos
of all those people that lie closer, 95% are of one person. Prints what fraction of the pairs of one person that finds.
"""

import json
import sys
from pathlib import Path

import numpy as np
from absl import flags

from vton_jax.command_line import flag_utils
from vton_jax.mannequin import catalogue
from vton_jax.media.progress import Progress
from vton_jax.reading import appearance
from vton_jax.reading.picture_reader import PictureReader

FLAGS = flags.FLAGS
flags.DEFINE_string("output", str(appearance.FILE), "The file to write.")
flags.DEFINE_integer("people", 120, "Mannequins in all.", lower_bound=8)
flags.DEFINE_integer("seed", 97, "Seed of the mannequins.")
_VIDEOS, _FRAMES = 2, 3


def measure(people: int, seed: int) -> np.ndarray:
    """Features [people, videos, frames, N] as ReaderCNN parses them; NaN where no face was labelled."""
    parser, progress = PictureReader(), Progress(people)
    settings = catalogue.Settings(seed=seed, seconds=4.0)
    times = np.array([0.5, 1.9, 3.3], np.float32)[:_FRAMES]
    out = np.full((people, _VIDEOS, _FRAMES, appearance.NUM_FEATURES), np.nan, np.float32)
    for index in range(people):
        for k, video in enumerate(catalogue.plan_person(settings, index, _VIDEOS)):
            parameters = (video.identity, video.outfit, video.moves, video.scene)
            images = np.asarray(catalogue.render_walk(*parameters, times, size=settings.size)[0])
            labels, _ = parser.parse(images)
            for t in range(_FRAMES):
                found = appearance.features(images[t], labels[t])
                if found is not None:
                    out[index, k, t] = found
        progress.advance(index + 1)
    progress.close()
    return out


def fit(measured: np.ndarray) -> np.ndarray:
    """The matrix [N, M] that makes the spread within a person 1 in every direction and keeps where people differ."""
    people = np.nanmean(measured, (1, 2))
    within = (measured - people[:, None, None]).reshape(-1, measured.shape[-1])
    within = np.cov(within[np.isfinite(within).all(1)].T) + 1e-3 * np.eye(measured.shape[-1])
    values, vectors = np.linalg.eigh(within)
    white = vectors / np.sqrt(values)
    between = np.cov((people[np.isfinite(people).all(1)] @ white).T)
    strength, axes = np.linalg.eigh(between)
    keep = strength > 1  # people differ more than frames of one person
    return (white @ axes[:, keep] / np.sqrt(2 * keep.sum())).astype(np.float32)


def pairs(embedded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances between the videos [people, videos, M]: of one person, and of two."""
    flat, who = embedded.reshape(-1, embedded.shape[-1]), np.repeat(np.arange(len(embedded)), embedded.shape[1])
    good = np.isfinite(flat).all(1)
    flat, who = flat[good], who[good]
    apart = np.linalg.norm(flat[:, None] - flat[None], axis=-1)
    one, two = np.triu_indices(len(flat), 1)
    same = who[one] == who[two]
    return apart[one, two][same], apart[one, two][~same]


def threshold_for(same: np.ndarray, different: np.ndarray, precision: float = 0.95) -> float:
    """The largest distance at which pairs of one person are at least `precision` of the pairs below it."""
    for distance in np.sort(same)[::-1]:
        right, wrong = (same <= distance).sum(), (different <= distance).sum()
        if right / (right + wrong) >= precision:
            return float(distance)
    return float(same.min())


def main() -> None:
    measured = measure(FLAGS.people, FLAGS.seed)
    half = FLAGS.people // 2
    matrix = fit(measured[:half])
    same, different = pairs(np.nanmean(measured[half:] @ matrix, 2))
    threshold = threshold_for(same, different)
    fitted_on = f"{half}-mannequins-seed-{FLAGS.seed}"
    rows = [[round(float(v), 5) for v in row] for row in matrix]
    about = {"fitted_on": fitted_on, "threshold": round(threshold, 4), "matrix": rows}
    Path(FLAGS.output).write_text(json.dumps(about, indent=1) + "\n")
    found, wrong = 100 * (same <= threshold).mean(), 100 * (different <= threshold).mean()
    print(f"{matrix.shape[1]} directions; below {threshold:.3f} lie {found:.0f}% of {len(same)} pairs of one person "
          f"and {wrong:.2f}% of {len(different)} others", file=sys.stderr)  # fmt: skip


if __name__ == "__main__":
    flag_utils.run(main)
