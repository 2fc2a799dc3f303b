"""Try-on cases from photos that show everybody once: the garment is cut out by its labels and warped, and is the donor;
the photo is the truth; the user's photo is the same with another's garment, often one that covers the limbs as well,
and often with the person elsewhere.

Conventions: as in `catalogue.cases`: uint8 pictures [H, W, 3], labels uint8 [H, W] (ATR's ids), 'flow' [H, W, 2] in
pixels, backward from the output to the donor's picture. `generator` is NumPy's.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from vton_jax.core import framing, segmentation
from vton_jax.inputs import augment

LEAST_FRACTION = 0.015  # of the picture that a garment covers, to be donated
CATALOGUE_FRACTION = 0.7  # of the cases that stand before white or one bright colour, as in a catalogue
COVERED_FRACTION = 0.5  # of the cases: the user's garment covers bare limbs, so that who paints learns real ones
_LIMBS = {"upper": segmentation.ARMS, "lower": segmentation.LEGS, "outfit": segmentation.ARMS + segmentation.LEGS}


def places(size: tuple[int, int]) -> np.ndarray:
    """Every pixel's own place (x, y), float32 [H, W, 2]."""
    return np.stack(np.meshgrid(np.arange(size[1]), np.arange(size[0])), -1).astype(np.float32)


def smooth_warp(size: tuple[int, int], generator: np.random.Generator, strength: float) -> tuple[np.ndarray, ...]:
    """A random map of the plane and its inverse, each float32 [H, W, 2]: where a pixel's colour comes from.

    A similarity, a squeeze across (a body that turns looks narrower), and waves of up to `strength` pixels.
    """
    height, width = size
    coarse = generator.normal(0, 1, (5, 4, 2)).astype(np.float32)
    waves = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    waves *= strength * generator.random() / max(1e-6, np.abs(waves).max())
    matrix = augment.random_matrix(size, generator).astype(np.float32)
    squeeze, middle = np.exp(generator.uniform(-0.15, 0.15)), (width - 1) / 2
    matrix[:, 2] += matrix[:, 0] * middle * (1 - squeeze)
    matrix[:, 0] *= squeeze
    place = places(size)
    forward = (place + waves) @ matrix[:, :2].T + matrix[:, 2]
    back = cv2.invertAffineTransform(matrix)
    target = place @ back[:, :2].T + back[:, 2]
    found = target.copy()
    for _ in range(12):  # the waves are long beside their height, so this converges
        found = target - sample(waves, found)
    return forward.astype(np.float32), found.astype(np.float32)


def sample(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    """A picture's values at the places [H, W, 2]; beyond it its border goes on."""
    return cv2.remap(image, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def dressed_otherwise(
    photo: np.ndarray, mask: np.ndarray, other: np.ndarray, other_mask: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """The photo with another garment within `mask` [H, W]: what `other_mask` cuts from `other`, stretched over it."""
    ys, xs = np.nonzero(mask)
    there = np.nonzero(other_mask)
    box, source = (ys.min(), ys.max() + 1, xs.min(), xs.max() + 1), [(a.min(), a.max() + 1) for a in there]
    mean = other[other_mask].mean(0)
    patch = np.where(other_mask[..., None], other, mean).astype(np.uint8)[slice(*source[0]), slice(*source[1])]
    patch = framing.resize(np.ascontiguousarray(patch), (box[1] - box[0], box[3] - box[2])).astype(np.float32)
    tint = np.exp(generator.normal(0, 0.25)) * np.exp(generator.normal(0, 0.15, 3))
    changed = photo.astype(np.float32)
    changed[box[0] : box[1], box[2] : box[3]] = patch * tint
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.7)[..., None]
    return np.clip(np.round(soft * changed + (1 - soft) * photo), 0, 255).astype(np.uint8)


def covered_limbs(parsed: np.ndarray, limbs: Sequence[int], generator: np.random.Generator) -> np.ndarray:
    """Where sleeves or legs of trousers lie over bare limbs, bool [H, W]: each limb's upper 40 to 100 of 100 pixels."""
    covered = np.zeros(parsed.shape, bool)
    for limb in limbs:
        rows = np.nonzero(parsed == limb)[0]
        if len(rows):
            end = np.quantile(rows, generator.uniform(0.4, 1.0))
            covered |= (parsed == limb) & (np.arange(len(parsed))[:, None] <= end)
    return covered


def case(
    photos: Sequence[np.ndarray], labels: Sequence[np.ndarray], index: int, size: tuple[int, int], generator
) -> dict | None:
    """One case of the photo `index`, or None where it shows no garment.

    {'input_image', 'donor_image', 'pose_image', 'output_image', 'output_segmentation', 'flow', 'flow_visible',
    'garment_type', 'flat'}, as `catalogue.cases.draw_cases` has them. The pose image is the photo, made a little wider
    or narrower, since poses come from other people.
    """
    photo, parsed = framing.fit(photos[index], size)[0], framing.fit(labels[index], size, nearest=True)[0]
    masks = {name: segmentation.region(parsed, segmentation.GARMENT_LABELS[name]) for name in ("upper", "lower")}
    # Of who wears a dress, all is given that is worn.
    masks["outfit"] = segmentation.region(parsed, segmentation.DRESS)
    kinds = [name for name, mask in masks.items() if mask.mean() > LEAST_FRACTION]
    if not kinds:
        return None
    kind = kinds[generator.integers(len(kinds))]
    covered = segmentation.GARMENT_LABELS[kind]
    mask = segmentation.region(parsed, covered)
    colour = np.full(3, 255) if generator.random() < 0.7 else generator.integers(170, 256, 3)
    catalogue = generator.random() < CATALOGUE_FRACTION
    if catalogue:
        soft = cv2.GaussianBlur((parsed > 0).astype(np.float32), (0, 0), 0.7)[..., None]
        photo = np.round(soft * photo + (1 - soft) * colour).astype(np.uint8)
    found = None
    for other in generator.permutation(len(photos))[:20]:
        other_labels = framing.fit(labels[other], size, nearest=True)[0]
        other_mask = segmentation.region(other_labels, covered)
        if other != index and other_mask.mean() > LEAST_FRACTION:
            found = framing.fit(photos[other], size)[0], other_mask
            break
    if found is None:
        return None
    hidden = mask
    if generator.random() < COVERED_FRACTION:
        hidden = mask | covered_limbs(parsed, _LIMBS[kind], generator)
    user = dressed_otherwise(photo, hidden, *found, generator)
    if catalogue and generator.random() < 0.7:
        user = sample(user, smooth_warp(size, generator, 6.0)[0])
    taken, flow_to = smooth_warp(size, generator, 5.0)
    donor = sample(photo, taken)
    place = places(size)
    inside = ((flow_to >= 0) & (flow_to <= np.array(size[::-1]) - 1)).all(-1)
    stretch, middle = np.exp(generator.uniform(-0.06, 0.06, 2)), (np.array(size[::-1]) - 1) / 2
    pose = sample(photo, ((place - middle) * stretch + middle).astype(np.float32))
    return {
        "input_image": user,
        "donor_image": donor,
        "pose_image": pose,
        "output_image": photo,
        "output_segmentation": parsed,
        "flow": flow_to - place,
        "flow_visible": mask & inside,
        "garment_type": np.int32(segmentation.GARMENT_TYPES.index(kind)),
        "flat": np.bool_(False),
    }


def draw_cases(
    photos: Sequence[np.ndarray], labels: Sequence[np.ndarray], count: int, size: tuple[int, int], seed: int
) -> dict[str, np.ndarray]:
    """`count` cases, each array with a leading axis; photos uint8 [h, w, 3] of any size with labels uint8 [h, w].

    Half of them are of mirror images. The same arguments give the same cases. Raises ValueError where no photo shows a
    garment that another one has too.
    """
    generator = np.random.default_rng(seed)
    cases = []
    for _ in range(50 * count):
        if len(cases) == count:
            break
        index = int(generator.integers(len(photos)))
        one = case(photos, labels, index, size, generator)
        if one is not None:
            cases.append(_mirrored(one) if generator.random() < 0.5 else one)
    if len(cases) < count:
        raise ValueError("these photos show too few garments for try-on cases")
    return {name: np.stack([one[name] for one in cases]) for name in cases[0]}


def _mirrored(one: dict) -> dict:
    """The case with all its pictures mirrored."""
    out = {name: value[:, ::-1] if np.ndim(value) > 1 else value for name, value in one.items()}
    out["output_segmentation"] = segmentation.mirror(one["output_segmentation"])
    out["flow"] = out["flow"] * np.array([-1, 1], np.float32)
    return {name: np.ascontiguousarray(value) if np.ndim(value) > 1 else value for name, value in out.items()}
