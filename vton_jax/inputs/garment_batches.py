"""Batches for GarmentCNN with real cloth in them: garments cut out of photos with labels, beside the mannequin's.

A garment cut out and laid on white looks much as shops show garments alone. What it lacks are landmarks: 'known' [B]
says whose are given. Conventions: batches as in `mannequin.sampler.garment_batch`; photos uint8 [H, W, 3] of any size
with labels uint8 [H, W] (ATR's ids).
"""

from collections.abc import Sequence

import cv2
import jax
import numpy as np

from vton_jax.core import framing, segmentation
from vton_jax.inputs import input_pipeline, parsing_batches

LEAST_FRACTION = 0.02  # of the photo that a garment covers, to be cut out
PEOPLE_FRACTION = 0.25  # of the photos show the dressed person, who is no garment laid flat


def open_batches(
    dataset: str, batch_size: int, seed: int, size: tuple[int, int], split: str = "train"
) -> input_pipeline.PositionedBatches:
    """The mannequin's batches, every second example of which is replaced by one of the photos of a prepared dataset.

    Errors as in `parsing_batches.read_photos`.
    """
    photos, labels = parsing_batches.read_photos(dataset, split)
    live = input_pipeline.mannequin_batches(seed, batch_size, size, split, "garment_batch")
    first, _ = input_pipeline.own_rows(batch_size)

    def batch_at(position):
        batch = {name: np.array(array) for name, array in jax.device_get(live.batch_at(position)).items()}
        batch["known"] = np.ones(len(batch["image"]), bool)
        for row in range(first % 2, len(batch["image"]), 2):
            generator = np.random.default_rng((seed, position, first + row))
            batch["image"][row], batch["segmentation"][row] = example(photos, labels, size, generator)
            batch["present"][row], batch["known"][row] = False, False
        return batch

    return input_pipeline.PositionedBatches(batch_at)


def example(
    photos: Sequence[np.ndarray], labels: Sequence[np.ndarray], size: tuple[int, int], generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(image, labels) of `size`: a garment cut out of a random photo, or the photo itself, all of it background."""
    for _ in range(100):
        index = int(generator.integers(len(photos)))
        if generator.random() < PEOPLE_FRACTION:
            image = framing.fit(photos[index], size)[0]
            if generator.random() < 0.5:
                parsed = framing.fit(labels[index], size, nearest=True)[0]
                image = np.where((parsed > 0)[..., None], image, np.uint8(255))
            return image, np.zeros(size, np.uint8)
        cut = cut_out(photos[index], labels[index], size, generator)
        if cut is not None:
            return cut
    return np.full((*size, 3), 255, np.uint8), np.zeros(size, np.uint8)


def cut_out(
    photo: np.ndarray, labels: np.ndarray, size: tuple[int, int], generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray] | None:
    """One garment alone on white or a pale colour, larger or smaller, turned a little; None where there is none."""
    kinds = [segmentation.ID[name] for name in ("upper-clothes", "skirt", "pants", "dress")]
    there = [kind for kind in kinds if (labels == kind).mean() > LEAST_FRACTION]
    if not there:
        return None
    kind = there[generator.integers(len(there))]
    mask = (labels == kind).astype(np.uint8)
    # The largest piece, its small holes closed: what a bag or a hand covers stays missing.
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask)
    mask = (pieces == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8) if count > 1 else mask
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    left, top, width, height = cv2.boundingRect(mask)
    scale = generator.uniform(0.6, 0.97) * min(size[0] / height, size[1] / width)
    matrix = cv2.getRotationMatrix2D((left + width / 2, top + height / 2), generator.normal(0, 4), scale)
    matrix[:, 2] += np.array(size[::-1]) / 2 - (left + width / 2, top + height / 2)
    matrix[:, 2] += generator.normal(0, 0.02, 2) * size[::-1]
    image = cv2.warpAffine(photo, matrix, size[::-1], flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    soft = cv2.warpAffine(mask.astype(np.float32), matrix, size[::-1])
    colour = np.full(3, 255.0) if generator.random() < 0.7 else generator.uniform(200, 256, 3)
    shown = soft[..., None] * image + (1 - soft[..., None]) * colour
    parsed = np.where(soft > 0.5, np.uint8(kind), np.uint8(0))
    if generator.random() < 0.5:
        shown, parsed = shown[:, ::-1], parsed[:, ::-1]
    return np.round(shown).astype(np.uint8), np.ascontiguousarray(parsed)
