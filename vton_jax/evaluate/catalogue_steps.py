"""The steps of the suite `catalogue`, each with its scores: what is read, target layouts, pictures, clips.

Conventions: `cases` are the stacked NumPy arrays [B, ...] of `catalogue.cases.draw_cases`; `systems` are the arms of
lab126; scores are {name: number} as in results.json. RGB alone enters the networks; the truth only scores.
"""

import dataclasses

import jax
import numpy as np

from vton_jax.compositing import backdrops, ends, full_size, kept_parts, temporal_filters
from vton_jax.core import segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.framing import to_float
from vton_jax.core.types import Dressed, Garment, Layout, Pose, User
from vton_jax.evaluate import metrics
from vton_jax.evaluate.dressing import Compared
from vton_jax.evaluate.perceptual import Distances
from vton_jax.evaluate.scores import (
    alone,
    arm_differences,
    at,
    case_scores,
    flow_error,
    layout_score,
    lightness,
    means,
    paste,
    picture_scores,
    print_correlation,
    sharpness,
    stack,
)
from vton_jax.layout import coarse_map, completion
from vton_jax.media import visualize
from vton_jax.systems.lab126.system import Lab126
from vton_jax.systems.lab126.target_layouts import TargetLayouts
from vton_jax.systems.reader import Reader

_BATCH = 10  # of the backward procedure
_FLOWS = {"post": "remap", "joint": "remap.joint"}  # arms whose flow is scored, and the name of its scores


def counts(cases: dict) -> dict[str, str]:
    """How many cases there are of each kind, as texts."""
    quarters = np.round(cases["yaw"] / (np.pi / 2)).astype(int) % 4
    kinds = {
        "garment": np.array(segmentation.GARMENT_TYPES)[cases["garment_type"]],
        "cloth": np.where(cases["photo_cloth"], "of a photo", "drawn"),
        "donor": np.where(cases["flat"], "flat", "worn"),
        "yaw": np.array(["front", "left", "back", "right"])[quarters],
        "turn over 45 degrees": np.where(cases["turn"] > np.pi / 4, "yes", "no"),
    }
    counted = {name: zip(*np.unique(values, return_counts=True), strict=True) for name, values in kinds.items()}
    return {name: ", ".join(f"{kind} {number}" for kind, number in pairs) for name, pairs in counted.items()}


# ------------------------------------------------------------------------------------------------------- what is read


@dataclasses.dataclass(frozen=True)
class Readings:
    """What the networks read in the cases [B]."""

    users: User
    poses: Pose
    outputs: Pose  # of the true frames
    garments: Garment


def read_forward(reader: Reader, frames: dict[str, np.ndarray]) -> dict[str, Layout]:
    """MultiPathCNN's layouts of people in uint8 [B, H, W, 3] by name, read in one go: parts that are not filled cost as
    much."""
    layouts, _ = reader.read_people(np.concatenate(list(frames.values())))
    ends = np.cumsum([len(one) for one in frames.values()])
    return {
        name: at(layouts, slice(end - len(one), end)) for (name, one), end in zip(frames.items(), ends, strict=True)
    }


def read_users(reader: Reader, images: np.ndarray) -> User:
    """Users [B] in photos uint8 [B, H, W, 3]."""
    layouts, latents = reader.read_layouts(images)
    shown = np.ones(images.shape[:3], bool)
    return User(image=to_float(images), layout=layouts, latent=latents, shown=shown)


def read_poses(reader: Reader, images: np.ndarray) -> Pose:
    """Poses [B] in pictures uint8 [B, H, W, 3]."""
    return Pose(*reader.read_layouts(images))


def read_garments(reader: Reader, cases: dict) -> tuple[Garment, np.ndarray]:
    """The garments [K] of the cases in whose picture one is found, and which these are [K]; what they are and how they
    lie is known. Raises: UserError where none is found at all.
    """
    kinds = [segmentation.GARMENT_TYPES[int(kind)] for kind in cases["garment_type"]]
    garments, chosen = [], []
    for index, (frame, kind, flat) in enumerate(zip(cases["donor_image"], kinds, cases["flat"], strict=True)):
        try:
            garments.append(reader.read_garment(frame, kind, bool(flat)))
            chosen.append(index)
        except UserError:
            continue
    if not garments:
        raise UserError("No garment was found in any case.")
    return stack(garments), np.array(chosen)


def only(chosen: np.ndarray, *trees):
    """Of each tree of arrays [B, ...] the rows `chosen`."""
    return tuple(jax.tree.map(lambda a: a[chosen], tree) for tree in trees)


def forward_scores(name: str, layouts: dict[str, Layout], cases: dict) -> dict[str, float]:
    """Of the layouts [B] that a network `name` reads in pictures: labels and joints.

    Args: layouts: by the name of the picture, such as `input`.
    """
    total = metrics.SegmentationScore()
    for picture, layout in layouts.items():
        total.add(layout.segmentation, cases[f"{picture}_segmentation"])
    read = (np.concatenate([getattr(layout, part) for layout in layouts.values()]) for part in ("keypoints", "visible"))
    true = (np.concatenate([cases[f"{picture}_{part}"] for picture in layouts]) for part in ("keypoints", "visible"))
    results = {f"{name}.forward_miou": total.miou}
    results |= {f"{name}.iou.{label}": value for label, value in total.per_class.items()}
    heights = np.concatenate([cases["height"]] * len(layouts))
    return results | {f"{name}.pck": metrics.pck(*read, *true, heights)}


def garment_scores(reader: Reader, garments: Garment, cases: dict) -> dict[str, float]:
    """Whether flat and worn are told apart, and of flat garments the labels."""
    flat = cases["flat"]
    looked = [reader.looks_flat(frame) for frame in cases["donor_image"]]
    results = {"garment.flat_or_worn_right": float(np.mean(np.array(looked) == flat))}
    if flat.any():
        found = layout_score(garments.layout.segmentation[flat], cases["donor_segmentation"][flat])
        results["garment.miou"] = found.miou
    return results


# ---------------------------------------------------------------------------------------------------- target layouts


@dataclasses.dataclass(frozen=True)
class Maps:
    """The way to the target layouts."""

    coarse: np.ndarray  # uint8 [B, H, W] with UNKNOWN
    steps: dict[str, np.ndarray]  # uint8 [B, H, W] each
    final: np.ndarray  # uint8 [B, H, W], the decoder's
    expected: np.ndarray  # uint8 [B, H, W], LatentPriorCNN's
    reconciled: np.ndarray  # uint8 [B, H, W], the decoder's in the coarse map's holes
    refined: np.ndarray  # uint8 [B, H, W], LayoutRefinementCNN's
    errors: list[np.ndarray]  # Err [iterations, cases] of each batch


def find_targets(layouts: TargetLayouts, read: Readings) -> Maps:
    """Coarse maps, the backward procedure, and what LayoutRefinementCNN makes of them."""
    coarse, steps = layouts.coarse_pairs(read.users.layout, read.garments, read.poses.layout)
    refined = layouts.refined(coarse, read.users.layout, read.garments, read.poses.layout)
    finals, expected, reconciled, errors = [], [], [], []
    for first in range(0, len(coarse), _BATCH):
        part = slice(first, first + _BATCH)
        given = coarse[part], at(read.poses, part), read.users.latent[part]
        z, error = layouts.backward(*given)
        finals.append(np.asarray(layouts.decoded(z)))
        expected.append(layouts.expected(*given))
        pairs = zip(coarse[part], np.asarray(layouts.probabilities(z)), strict=True)
        reconciled.append(np.stack([completion.reconcile(*pair) for pair in pairs]))
        errors.append(error)
    return Maps(coarse, steps, *map(np.concatenate, (finals, expected, reconciled)), refined, errors)


def target_scores(maps: Maps, poses: Pose, cases: dict) -> dict[str, float]:
    """Of the final maps, of what comes before them, and of other layouts that could stand in their place."""
    truth = cases["output_segmentation"]
    found = {
        "pose_image": poses.layout.segmentation,
        "coarse": maps.coarse,
        "filled": completion.fill_unknown(maps.coarse),
        "final": maps.final,
        "expected": maps.expected,
        "reconciled": maps.reconciled,
        "refined": maps.refined,
        "other_body": cases["other_body_segmentation"],
    }
    results = {f"backward.{name}_miou": layout_score(one, truth).miou for name, one in found.items()}
    results["backward.gain"] = results["backward.final_miou"] - results["backward.coarse_miou"]
    each = layout_score(maps.final, truth).per_class
    results |= {f"backward.iou.{name}": value for name, value in each.items()}
    results["backward.first_error"] = float(np.mean([e[0].mean() for e in maps.errors]))
    results["backward.last_error"] = float(np.mean([e.min(0).mean() for e in maps.errors]))
    results["backward.iterations"] = float(np.mean([len(e) for e in maps.errors]))
    return results


# ------------------------------------------------------------------------------------------------------- the pictures


def arm_scores(
    systems: dict[str, Lab126], read: Readings, final: np.ndarray, cases: dict, how: tuple[Distances, int]
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Lets every arm paint the cases, and scores it beside the baselines.

    `paired` has the output frame itself as the pose image, read from its pixels as ever: what the arm does when the
    target layout is not another body's. Args: final: target layouts uint8 [B, H, W]. how: perceptual distances, and the
    bootstrap's seed. Returns: scores, and pictures {arm or baseline: float [B, H, W, 3]}.
    """
    distances, seed = how
    results, images, scores = {}, {}, {"try_on": {}, "paired": {}}
    goal, count, kept = read.poses.layout.replace(segmentation=final), len(final), _kept(read)
    both = jax.tree.map(
        lambda *a: np.concatenate(a),
        (read.users, read.garments, goal),
        (read.users, read.garments, read.outputs.layout),
    )
    for arm, system in systems.items():
        painted = system.painter.dress(*both)  # in one go: parts of a batch that are not filled cost as much
        dressed, paired = at(painted, slice(count)), at(painted, slice(count, None))
        images[arm] = dressed.image
        results |= picture_scores(f"preserved.{arm}", _preserved(dressed, kept, read, cases), cases)
        for group, one in (("try_on", dressed), ("paired", paired)):
            scores[group][arm] = _seen_scores(one.image, cases, distances)
            results |= means(f"{group}.{arm}", scores[group][arm])
        if arm in _FLOWS:
            results |= _flow_scores(_FLOWS[arm], dressed.flow, paired.flow, cases)
    for group, of_arms in scores.items():
        results |= arm_differences(group, of_arms, seed)
    results["remap.zero_flow_epe"] = flow_error(np.zeros_like(cases["flow"]), cases)
    images["pose_image"] = to_float(cases["pose_image"])
    each = enumerate(cases["pose_image"])
    images["paste"] = np.stack([paste(image, at(read.poses.layout, i), at(read.garments, i)) for i, image in each])
    for name in ("pose_image", "paste"):
        results |= means(f"try_on.{name}", _seen_scores(images[name], cases, distances))
    return results, images


def _seen_scores(images: np.ndarray, cases: dict, distances: Distances) -> dict[str, np.ndarray]:
    """`case_scores` [B], and how alike pictures and garments look: LPIPS where there are weights, print correlation."""
    truth, garment = to_float(cases["output_image"]), cases["garment_mask"]
    each = zip(images, truth, garment, strict=True)
    prints = [print_correlation(lightness(one), lightness(true), region) for one, true, region in each]
    found = case_scores(images, cases) | {"print_correlation": np.array(prints)} | distances(images, truth)
    garments = distances(alone(images, garment), alone(truth, garment))
    return found | {f"{name}_garment": values for name, values in garments.items()}


def _kept(read: Readings) -> list[tuple]:
    """Of each case what every arm keeps of the photo: the user with a backdrop, and the head carried into the pose."""
    found = []
    for i in range(len(read.users.image)):
        user = at(read.users, i)
        user = user.replace(backdrop=backdrops.backdrop(user.image, user.layout.segmentation))
        found.append((user, kept_parts.carried_head(user, at(read.poses.layout, i))))
    return found


def _preserved(dressed: Dressed, kept: list[tuple], read: Readings, cases: dict) -> np.ndarray:
    """The same over the photo's own background, with the head and what stands still, float [B, H, W, 3].

    render.py does more (`Painter.paint`): it paints the head's own outline, moves the garment that is kept, and lights
    skin and what lay flat.
    """
    each = zip(kept, cases["garment_type"], strict=True)
    return np.stack(
        [
            full_size.softened(ends.restore(at(dressed, i), user, at(read.poses.layout, i), head, int(kind)))
            for i, ((user, head), kind) in enumerate(each)
        ]
    )


def _flow_scores(name: str, unpaired: np.ndarray, paired: np.ndarray, cases: dict) -> dict[str, float]:
    return {
        f"{name}.unpaired_epe": flow_error(unpaired, cases),
        f"{name}.epe": flow_error(paired, cases),
        f"{name}.flat_epe": flow_error(paired, cases, cases["flat"]),
        f"{name}.worn_epe": flow_error(paired, cases, ~cases["flat"]),
    }


def clip_scores(systems: dict[str, Lab126], draw_walk, num_frames: int, seed: int) -> dict[str, float]:
    """Lets every arm make two clips.

    Args: draw_walk: `catalogue.cases.draw_walk`. Returns: flicker of every arm and of the truth, motion compensated;
    closeness to the true clip, sharpness and flicker of each temporal filter on `joint`.
    """
    compared, system = Compared(systems), systems["joint"]
    found: dict[str, list] = {}
    add = lambda name, value: found.setdefault(name, []).append(float(value))  # noqa: E731
    for index in range(2):
        photo, garment, pose_frames, truth = draw_walk(index, num_frames, system.size, seed)
        truth = to_float(truth)
        user = system.read_user(photo)
        user = user.replace(backdrop=backdrops.backdrop(user.image, np.asarray(user.layout.segmentation)))
        garment = system.read_garment(garment, flat=True)
        images, _ = compared.dress(user, garment, system.read_poses(pose_frames))
        add("clip.truth.flicker", temporal_filters.flicker(truth))
        add("clip.truth.sharpness", sharpness(truth))
        add("failures.flicker.truth.flicker", temporal_filters.flicker(truth))
        for arm, frames in images.items():
            add(f"failures.flicker.{arm}.flicker", temporal_filters.flicker(frames))
        for name in temporal_filters.FILTERS:
            filtered = temporal_filters.apply(name, images["joint"])
            add(f"clip.{name}.psnr", np.mean(metrics.psnr(filtered, truth)))
            add(f"clip.{name}.ssim", np.mean(metrics.ssim(filtered, truth)))
            add(f"clip.{name}.flicker", temporal_filters.flicker(filtered))
            add(f"clip.{name}.sharpness", sharpness(filtered))
    return {name: float(np.mean(values)) for name, values in found.items()}


# --------------------------------------------------------------------------------------------------------- the sheets


def sheets(cases: dict, images: dict[str, np.ndarray], maps: Maps) -> dict[str, np.ndarray]:
    """Some results, the worst layouts, and the eight steps."""
    count, truth = len(maps.refined), cases["output_segmentation"]
    result = lambda chosen: result_sheet(cases, images, maps.coarse, maps.refined, chosen)  # noqa: E731
    worst = np.argsort([layout_score(maps.refined[i : i + 1], truth[i : i + 1]).miou for i in range(count)])[:6]
    colour = visualize.colour_segmentation
    steps = visualize.contact_sheet(
        [[colour(maps.steps[name][i]) for name in coarse_map.STEPS] for i in range(0, count, max(1, count // 5))],
        column_titles=[f"{n} {name.replace('_', ' ')}" for n, name in enumerate(coarse_map.STEPS, 1)],
    )
    return {
        "Results, every fifteenth case": result(range(0, count, 15)),
        "The six worst layouts": result(worst),
        "The eight steps": steps,
    }


def result_sheet(cases: dict, images: dict, coarse: np.ndarray, final: np.ndarray, indices) -> np.ndarray:
    """Shows cases.

    Args: images: every arm's, float [B, H, W, 3]. indices: which cases. Returns: uint8 [H, W, 3], a row a case: what
    goes in, the layouts, the four arms, the truth.
    """
    colour, byte = visualize.colour_segmentation, visualize.to_uint8
    rows = [
        [
            cases["input_image"][i], cases["donor_image"][i], cases["pose_image"][i],
            colour(coarse[i]), colour(final[i]),
            colour(cases["output_segmentation"][i]), byte(images["none"][i]), byte(images["post"][i]),
            byte(images["pre"][i]), byte(images["joint"][i]), cases["output_image"][i],
        ]
        for i in indices
    ]  # fmt: skip
    titles = ["user", "donor", "pose", "coarse", "final", "true layout", "none", "post", "pre", "joint", "truth"]
    return visualize.contact_sheet(rows, column_titles=titles)
