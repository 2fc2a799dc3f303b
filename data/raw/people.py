"""Who is in which video: from the shop's own list, or by clustering what an embedder says of the shots."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data.raw.outfits import PIECES
from vton_jax.core.errors import UserError


def read_people(path: Path) -> dict[str, str]:
    """people.csv with the columns video (the file's name within the source) and person. UserError where it is wrong."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({error}); it should be a CSV file with video,person.") from None
    people = {}
    for number, row in enumerate(rows, 2):
        video, person = (row.get("video") or "").strip(), (row.get("person") or "").strip()
        if not video or not person:
            raise UserError(f"{path}, line {number}, lacks a video or a person; the first line should be video,person.")
        if people.setdefault(video, person) != person:
            raise UserError(f"{path} says of {video} that it shows {people[video]} and {person}; keep one line.")
    return people


def read_garments(path: Path) -> dict[str, tuple[str, str, str]]:
    """Video -> ids of upper, lower and dress, where people.csv has columns of these names and any is filled."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    garments = {}
    for row in rows:
        worn = tuple("-".join((row.get(piece) or "").split()) for piece in PIECES)
        if any(worn):
            garments[row["video"].strip()] = tuple(
                f"{piece}-{w}" if w else "" for piece, w in zip(PIECES, worn, strict=True)
            )
    return garments


def cluster(embeddings: np.ndarray, threshold: float) -> np.ndarray:
    """Which shots show one person: clusters [N] of embeddings [N, E] by average linkage, cut at `threshold`.

    A cluster grows while the mean Euclidean distance between its shots and the next one's stays below the threshold.
    """
    if len(embeddings) < 2:
        return np.zeros(len(embeddings), int)
    from sklearn.cluster import AgglomerativeClustering

    clustering = AgglomerativeClustering(None, linkage="average", distance_threshold=threshold)
    return clustering.fit_predict(np.asarray(embeddings, np.float64))


def names_of(clusters: Sequence[int], shots: Sequence[str]) -> list[str]:
    """A name for each shot's cluster: `like-SHOT`, its first shot by name, so that more videos rename few people."""
    first = {}
    for which, shot in sorted(zip(clusters, shots, strict=True), key=lambda pair: pair[1]):
        first.setdefault(which, shot)
    return [f"like-{first[which]}" for which in clusters]


def pairwise(found: Sequence, truth: Sequence) -> tuple[float, float]:
    """Precision and recall of 'these two are one person' over all pairs of a clustering; 1 where nothing is claimed."""
    found, truth = np.unique(found, return_inverse=True)[1], np.unique(truth, return_inverse=True)[1]
    one, two = np.triu_indices(len(truth), 1)
    claimed, same = found[one] == found[two], truth[one] == truth[two]
    both = (claimed & same).sum()
    return float(both / claimed.sum()) if claimed.any() else 1.0, float(both / same.sum()) if same.any() else 1.0
