"""True pairs of the suite `strangers`: people get back what they wear, from the shop's picture, in their own pose.

Photo and garment are brought to the networks' size as the try-on command does, what the person wears is hidden
(`hidden_garments.py`), and the result is put back into the photo, which is the truth: float [H, W, 3] of the networks'
size.
"""

import collections
import dataclasses

import numpy as np

from vton_jax.core import framing, segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.framing import to_float
from vton_jax.core.types import Garment, User
from vton_jax.evaluate import hidden_garments, metrics
from vton_jax.evaluate.dressing import Compared
from vton_jax.evaluate.strangers_folder import TruePair
from vton_jax.media import progress
from vton_jax.systems.job import TryOnJob
from vton_jax.systems.options import JobOptions


@dataclasses.dataclass(frozen=True)
class PairScores:
    """`found`: {'NAME.SCORE': a value for each pair that was not refused}; `rows` of a sheet."""

    found: dict[str, list[float]]
    rows: list[list[np.ndarray]]
    refused: int


def score_pairs(pairs: tuple[TruePair, ...], compared: Compared, asked: JobOptions, parser, distances) -> PairScores:
    """Scores every pair.

    Args: asked: how, but for person and garment. parser: a `reading.Parser`; it says where the garment is in the truth.
    distances: of `perceptual.open_distances`.
    """
    found, rows, refused = collections.defaultdict(list), [], 0
    for pair in progress.each(pairs, "pair"):
        job = TryOnJob(
            dataclasses.replace(asked, person=str(pair.person), garment=str(pair.garment)), system=compared.first
        )
        pictures = job.pictures()
        fitted = framing.fit(pictures.photo, compared.size)[0]
        try:
            reading = job.read(pictures)
        except UserError:
            refused += 1
            continue
        read = parser.parse(np.stack([reading.views.person, fitted]))[0]
        images = _dressed(
            compared, reading.user, reading.garments[0], read[0], true_type=pair.type, background=asked.background
        )
        truth = to_float(fitted)
        shown = {name: reading.framing.person.put_back(image, truth) for name, image in images.items()}
        kind = pair.type or segmentation.GARMENT_TYPES[int(reading.garments[0].garment_type)]
        region = segmentation.region(read[1], segmentation.REPLACED_LABELS[kind])
        for name, image in shown.items():
            for score, value in _scores(np.asarray(image, np.float32), truth, region, distances).items():
                found[f"{name}.{score}"].append(value)
        rows.append([truth, pictures.garment, *(shown[name] for name in ("hidden", *compared.names))])
    return PairScores(dict(found), rows, refused)


def _dressed(
    compared: Compared, user: User, garment: Garment, read: np.ndarray, *, true_type: str, background: str
) -> dict[str, np.ndarray]:
    """What each system makes of it, and `hidden`; the true garment is hidden whatever it was taken for.

    Else a top that is read as trousers would leave the truth's own top in its place.
    """
    labels = [np.asarray(user.layout.segmentation), read]
    taken = segmentation.GARMENT_TYPES[int(garment.garment_type)]
    replaced = segmentation.REPLACED_LABELS
    if true_type and not set(replaced[true_type]) <= set(replaced[taken]):
        user = hidden_garments.hide(user, labels, segmentation.GARMENT_TYPES.index(true_type))
    return hidden_garments.dress_hidden(compared, user, garment, labels, background)[0]


def _scores(image: np.ndarray, truth: np.ndarray, region: np.ndarray, distances) -> dict[str, float]:
    found = {
        "ssim": metrics.ssim(image, truth),
        "psnr": metrics.psnr(image, truth),
        "ssim_garment": metrics.ssim(image, truth, region),
    }
    alone = [np.where(region[..., None], picture, np.float32(0.5)) for picture in (image, truth)]
    for ending, pair in (("", (image, truth)), ("_garment", alone)):
        there = not ending or region.any()
        for key, values in distances(*(picture[None] for picture in pair)).items():
            found[f"{key}{ending}"] = float(values[0]) if there else float("nan")
    return found
