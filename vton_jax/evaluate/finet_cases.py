"""The cases of the suite `finet`: drawn people whose garments are filled in, the judges of rules, and given garments.

Conventions: a case is a picture of `inputs.outfits` with its 'number'; samples are `systems.finet.protocol.Samples`.
"""

import dataclasses

import jax
import numpy as np

from vton_jax.core import framing
from vton_jax.core.framing import to_float
from vton_jax.evaluate import finet_judge
from vton_jax.layout import inpainting
from vton_jax.media import progress, visualize

_STRIDE = 7  # pictures: nobody comes twice
_NAMES = ("image", "segmentation", "keypoints", "visible", "style")


def draw(count: int, free: float, first: int = 0) -> list[dict]:
    """People of the test split who wear a top and a bottom, from the `first` on."""
    from vton_jax.inputs import outfits

    found = []
    for number in progress.each(range(first * _STRIDE, (first + count) * _STRIDE, _STRIDE), "person"):
        found.append(outfits.draw(number, "test", free) | {"number": number})
    return _separate(found)


def _separate(found: list[dict]) -> list[dict]:
    """Cases, each with its 'classes'."""
    arrays = _with_classes({name: np.stack([one[name] for one in found]) for name in found[0]})
    return [{name: array[row] for name, array in arrays.items()} for row in range(len(found))]


_classes_of = jax.jit(jax.vmap(inpainting.classes_of))


def _with_classes(arrays: dict) -> dict:
    """Arrays [N, ...] with the 'classes' [N, h, w] of their labels."""
    return arrays | {"classes": np.asarray(_classes_of(*(arrays[name] for name in _NAMES[1:4])), np.uint8)}


def _features(one: dict, region: str):
    return finet_judge.features(to_float(one["image"]), one["classes"], one["keypoints"], one["visible"], region)


def judges(data: str, size: tuple[int, int], regions: tuple[str, ...]) -> tuple[dict, dict[str, float]]:
    """A judge for each region, taught by a folder's `train` split, and how often it knows the style in `validation`."""
    from vton_jax.catalogue import styles
    from vton_jax.core.errors import WrongOption
    from vton_jax.inputs import cached_examples

    files = cached_examples.files_of(data)
    parts = {"train": [], "validation": []}
    for path in files:
        parts["validation" if int(path.stem) % 20 == 19 else "train"].append(path)
    if not all(parts.values()):
        raise WrongOption("data", data, "holds too few examples of --kind=outfits: 20 files are needed.")
    found, scores = {}, {}
    arrays = {
        split: [_with_classes(cached_examples.read_file(path, _NAMES)) for path in paths]
        for split, paths in parts.items()
    }
    if arrays["train"][0]["segmentation"].shape[1:] != tuple(size):
        raise WrongOption("data", data, "holds pictures of another size than the networks'.")
    for region in regions:
        known = {split: _known(files, region) for split, files in arrays.items()}
        found[region] = finet_judge.train(*known["train"], len(styles.STYLES))
        x, style = known["validation"]
        scores[f"finet.judge.{region}.accuracy"] = float((found[region].styles(x).argmax(1) == style).mean())
    return found, scores


def _known(files: list[dict], region: str) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, F] and styles [N] of a region's garments."""
    found, style = [], []
    for arrays in files:
        for row in range(len(arrays["style"])):
            one = {name: array[row] for name, array in arrays.items()}
            if (about := _features(one, region)) is not None:
                found.append(about)
                style.append(int(one["style"]))
    return np.stack(found), np.array(style)


def true_rates(judges: dict, cases: list[dict], seed: int) -> dict[str, float]:
    """How often the people's own garments keep the rules by the judges, and how often garments of others do."""
    rates = {"true": [], "random": []}
    style = np.array([int(case["style"]) for case in cases])
    generator = np.random.default_rng(seed)
    for region, judge in judges.items():
        own = [_features(case, region) for case in cases]
        rates["true"].append(judge.keeps(own, style).mean())
        others = [judge.keeps(own, generator.permutation(style)).mean() for _ in range(20)]
        rates["random"].append(np.mean(others))
    return {f"finet.judge.{name}_outfits_keep": float(np.mean(values)) for name, values in rates.items()}


def person_of(system, one: dict):
    """A `Person` of a case, framed as it is."""
    from vton_jax.core.types import Layout
    from vton_jax.systems.finet.protocol import Person

    layout = Layout(one["segmentation"].astype(np.int32), one["keypoints"], one["visible"])
    height, width = system.size
    return Person(one["image"], one["classes"], (0, 0, width, height), to_float(one["image"]), layout)


def fill_all(system, cases: list[dict], regions: tuple[str, ...], options) -> dict:
    """{(`with` or `without`, region): samples of each case}: with the compatibility prior and without, one key."""
    found = {}
    for region in regions:
        for prior, compatibility in (("with", True), ("without", False)):
            found[prior, region] = [
                system.inpaint(
                    person_of(system, case), region, jax.random.fold_in(jax.random.PRNGKey(options.seed), number),
                    num_samples=options.num_samples, compatibility=compatibility,
                )
                for number, case in enumerate(cases)
            ]  # fmt: skip
    return found


def as_read(reader, cases: list[dict], found: dict) -> dict:
    """`fill_all`'s samples with the classes that a reader of pictures sees in the region: where one network paints
    layout and cloth at once nobody says them, and the case's own are the true ones.

    Args: reader: has `layouts`, see `PictureReader`.
    """
    return {key: [_as_read(reader, case, one) for case, one in zip(cases, samples, strict=True)]
            for key, samples in found.items()}  # fmt: skip


def _as_read(reader, case: dict, samples):
    size = np.array(samples.mask.shape)
    frames = [visualize.to_uint8(framing.resize(frame, tuple(2 * size))) for frame in samples.frames]
    labels = np.asarray(reader.layouts(np.stack(frames)).segmentation)[:, ::2, ::2]
    count = len(labels)
    joints = (np.broadcast_to(case[name], (count, *case[name].shape)) for name in ("keypoints", "visible"))
    read = np.asarray(_classes_of(labels, *joints), np.uint8)
    return dataclasses.replace(samples, classes=np.where(samples.mask, read, case["classes"]))


def _samples_features(case: dict, samples, region: str) -> list:
    return [
        finet_judge.features(frame, classes, case["keypoints"], case["visible"], region)
        for frame, classes in zip(samples.frames, samples.classes, strict=True)
    ]


def kept(judges: dict, case: dict, samples, region: str) -> np.ndarray:
    """Which samples of a case keep its outfit's rules, bool [N]."""
    found = _samples_features(case, samples, region)
    return judges[region].keeps(found, np.full(len(found), int(case["style"])))


def told_apart(cases: list[dict], found: dict, seed: int) -> dict[str, np.ndarray]:
    """{prior: how often filled outfits are told from true ones [N]}, in the mean of the regions; an outfit is what is
    seen of its top and of its bottom. `exchanged`: where the filling is the own garment of somebody of the same group
    of people, so that nothing but what goes together tells it, and no network has seen it.

    Args: found: of `fill_all`. Garments that a filling leaves out have features 0.
    """
    regions = sorted({region for _, region in found})
    own = {region: [_features(case, region) for case in cases] for region in regions}
    size = {region: len(next(one for one in own[region] if one is not None)) for region in regions}
    there = lambda one, region: np.zeros(size[region], np.float32) if one is None else one  # noqa: E731
    values = {}
    for region in regions:
        (other,) = (one for one in regions if one != region)
        context = np.stack([there(one, other) for one in own[other]])
        true = np.stack([there(one, region) for one in own[region]])
        filled = {
            prior: np.stack([
                np.stack([there(one, region) for one in _samples_features(case, samples, region)])
                for case, samples in zip(cases, of_region, strict=True)
            ])
            for (prior, which), of_region in found.items()
            if which == region
        }  # fmt: skip
        count = next(iter(filled.values())).shape[1]
        groups = (len(cases) - 1) // finet_judge.FOLDS or 1
        turns = [1 + turn % groups for turn in range(count)]
        filled["exchanged"] = np.stack([_rolled(true, finet_judge.FOLDS, turn) for turn in turns], 1)
        for prior, features in filled.items():
            beside = np.broadcast_to(context[:, None], (*features.shape[:2], context.shape[1]))
            outfits = np.concatenate([context, true], 1), np.concatenate([beside, features], 2)
            values.setdefault(prior, []).append(finet_judge.told_apart(*outfits, seed=seed))
    return {prior: np.mean(each, 0) for prior, each in values.items()}


def _rolled(values: np.ndarray, folds: int, turn: int) -> np.ndarray:
    """Values [N, F], each group's (those `folds` apart) exchanged within it, `turn` places on."""
    found = np.empty_like(values)
    for fold in range(folds):
        found[fold::folds] = np.roll(values[fold::folds], turn, 0)
    return found


def surprise(judges: dict, cases: list[dict], samples: dict) -> np.ndarray:
    """KL(p(style | filling) ‖ p(style)) of each case [N], in the mean of its samples and of regions; the exponential of
    its mean is the inception score with the judges' styles for classes.

    Args: samples: {region: samples of each case}. A region that was left empty tells nothing: 0.
    """
    found = []
    for region, judge in judges.items():
        features = [_samples_features(case, one, region) for case, one in zip(cases, samples[region], strict=True)]
        there = [(number, one) for number, case in enumerate(features) for one in case if one is not None]
        sums, count = np.zeros(len(cases)), np.array([len(case) for case in features])
        if there:
            numbers, stacked = zip(*there, strict=True)
            likely = judge.styles(np.stack(stacked))
            told = (likely * (np.log(likely + 1e-9) - np.log(likely.mean(0) + 1e-9))).sum(1)
            np.add.at(sums, list(numbers), told)
        found.append(sums / count)
    return np.mean(found, 0)


def critic_pictures(system, regions: tuple[str, ...], options, name: str) -> dict[str, np.ndarray]:
    """{'real', `name`: uint8 [N, h, w, 3]} of people, none of them a case, regions in turn, filled in once each."""
    people = draw(options.critic_people, options.free, first=options.num_cases)
    filled = []
    for number, one in enumerate(progress.each(people, "filling")):
        key = jax.random.fold_in(jax.random.PRNGKey(options.seed), options.num_cases + number)
        samples = system.inpaint(person_of(system, one), regions[number % len(regions)], key)
        filled.append(visualize.to_uint8(samples.frames[0]))
    return {"real": np.stack([one["image"] for one in people]), name: np.stack(filled)}


def sheet(found: dict, cases: list[dict]) -> np.ndarray:
    """Each case's fillings with compatibility, then without, top and bottom in turn."""
    rows = []
    for number, case in enumerate(cases):
        region = ("top", "bottom")[number % 2]
        row = [case["image"]]
        for prior in ("with", "without"):
            row += [visualize.to_uint8(frame) for frame in found[prior, region][number].frames[:4]]
        rows.append(row)
    titles = ["person", *["with"] * 4, *["without"] * 4]
    return visualize.contact_sheet(rows, column_titles=titles, cell=(192, 144))


# ------------------------------------------------------------------------------------------------------ given garments


def transfer(system, distances, options) -> tuple[dict[str, np.ndarray], list]:
    """A donor's garment put on a user, beside the truth of it, and samples of the same region.

    Returns: LPIPS [N] to the truth in the region's box: of the given garment (`lpips`), of the best and of the mean
    sample; and rows of pictures.
    """
    scores, rows = {"lpips": [], "best_sample": [], "mean_sample": []}, []
    for user, donor, region in progress.each(list(_pairs(system.size, options.num_cases)), "garment"):
        person, giver = person_of(system, user), person_of(system, donor)
        key, count = jax.random.PRNGKey(options.seed + len(rows)), options.num_samples
        given = system.given(system.case(giver, region))
        put_on = system.inpaint(person, region, key, vary="none", garment=given)
        samples = system.inpaint(person, region, key, num_samples=count)
        box = _box(put_on.mask)
        pictures = np.concatenate([put_on.frames, samples.frames])[:, *box]
        truth = np.broadcast_to(person.frame[box], pictures.shape)
        found = distances(pictures, truth)["lpips"]
        scores["lpips"].append(found[0])
        scores["best_sample"].append(found[1:].min())
        scores["mean_sample"].append(found[1:].mean())
        rows.append([donor["image"], user["image"], put_on.frames[0], *samples.frames[:4]])
    return {name: np.array(values) for name, values in scores.items()}, rows


def _pairs(size: tuple[int, int], count: int):
    """(user, donor, region) of the test split's examples that exchange half an outfit."""
    from vton_jax.catalogue import examples, exchanges
    from vton_jax.inputs import outfits

    number = found = 0
    while found < count:
        kind = exchanges.about(number, "test")["garment_type"]
        if kind in ("upper", "lower"):
            example = examples.draw(number, "test", (2 * size[0], 2 * size[1]), closest=0.86)
            names = ("image", "segmentation", "keypoints", "visible")
            both = [outfits.framed(*(example[f"{shot}_{name}"] for name in names), size) for shot in ("output", "worn")]
            yield *_separate(both), {"upper": "top", "lower": "bottom"}[kind]
            found += 1
        number += exchanges.EXAMPLES_OF_ONE


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def transfer_sheet(rows: list) -> np.ndarray:
    shown = [[visualize.to_uint8(one) for one in row] for row in rows[:12]]
    titles = ["donor", "truth", "put on", *["sample"] * 4]
    return visualize.contact_sheet(shown, column_titles=titles, cell=(192, 144))
