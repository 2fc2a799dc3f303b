"""Rates with intervals, and strengths from choices between two. Pure functions of NumPy arrays.

Conventions: an interval is (low, high) with 95%.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

_PRIOR = 0.1  # choices each way that Bradley-Terry begins with: an arm that never wins has a strength too


@dataclasses.dataclass(frozen=True)
class Rate:
    """How often something was answered."""

    times: int
    of: int
    wilson: tuple[float, float]  # of answers as if they were independent
    clustered: tuple[float, float]  # by a bootstrap of participants

    @property
    def rate(self) -> float:
        return self.times / self.of if self.of else float("nan")


def wilson(times: int, of: int) -> tuple[float, float]:
    """Wilson's score interval of a proportion; of none, everything."""
    if of == 0:
        return 0.0, 1.0
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(times, of, alpha=0.05, method="wilson")
    return float(low), float(high)


def rate(participants: Sequence[str], hits: Sequence[bool], samples: int, seed: int = 0) -> Rate:
    """A rate over answers [N], each of a participant."""
    hits = np.asarray(hits, bool)
    per = by_participant(participants, hits)
    return Rate(int(hits.sum()), len(hits), wilson(int(hits.sum()), len(hits)), clustered(per, samples, seed))


def by_participant(participants: Sequence[str], hits: np.ndarray) -> np.ndarray:
    """Answers [N] -> (times, of) of each participant, [P, 2]."""
    names, index = np.unique(np.asarray(participants, str), return_inverse=True)
    counts = np.zeros((len(names), 2), np.int64)
    np.add.at(counts, (index, 0), hits)
    np.add.at(counts, (index, 1), 1)
    return counts


def clustered(counts: np.ndarray, samples: int, seed: int = 0) -> tuple[float, float]:
    """Percentile interval of sum(times) / sum(of) when participants [P, 2] are drawn anew; nan for less than two."""
    if len(counts) < 2:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(0, len(counts), (samples, len(counts)))
    times, of = counts[drawn].sum(1).T
    low, high = np.percentile(times / of, (2.5, 97.5))
    return float(low), float(high)


def bradley_terry(wins: np.ndarray) -> np.ndarray:
    """Log strengths [A] with mean 0 from wins [A, A], how often the row's arm was chosen over the column's.

    By choix (I-LSR, Maystre and Grossglauser 2015) with a small prior.
    """
    import choix

    wins = np.asarray(wins, float) + _PRIOR * (1 - np.eye(len(wins)))
    strengths = np.asarray(choix.ilsr_pairwise_dense(wins))
    return strengths - strengths.mean()


def strengths(
    participants: Sequence[str], choices: Sequence[tuple[int, int]], num_arms: int, samples: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Log strengths [A] from choices (winner, loser), and their intervals [A, 2] when participants are drawn anew."""
    names = sorted(set(participants))
    wins = np.zeros((len(names), num_arms, num_arms), np.int64)
    for name, (winner, loser) in zip(participants, choices, strict=True):
        wins[names.index(name), winner, loser] += 1
    best = bradley_terry(wins.sum(0))
    if len(names) < 2:
        return best, np.full((num_arms, 2), np.nan)
    generator = np.random.default_rng(seed)
    drawn = [
        bradley_terry(wins[generator.integers(0, len(names), len(names))].sum(0)) for _ in range(min(samples, 500))
    ]
    return best, np.percentile(drawn, (2.5, 97.5), axis=0).T
