"""The mannequin suite: what `python -m vton_jax.evaluate` measures.

Alphabet: `cases` are the stacked NumPy arrays of `mannequin.cases.draw_cases`; results are {name: number}, explained in
docs/evaluation.md. Users, donors and poses enter as RGB alone; the truth only scores.
"""

import base64
import html
import math
import sys
from pathlib import Path

import cv2
import jax
import numpy as np

from vton_jax.compositing import kept_parts, temporal_filters
from vton_jax.core import files, keypoints, segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.framing import to_float
from vton_jax.core.types import Layout
from vton_jax.evaluate import metrics
from vton_jax.layout import composition
from vton_jax.media import visualize
from vton_jax.systems.lab126 import try_on

FLOW_HEIGHT = 128  # endpoint errors are given in pixels at 128x96


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def stack(items):
    return jax.tree.map(lambda *a: np.stack(a), *items)


def at(tree, index):
    return jax.tree.map(lambda a: a[index], tree)


def paste(pose_image: np.ndarray, pose: Layout, donor: try_on.Garment) -> np.ndarray:
    """The baseline: the donor's dress on the pose image, moved by the similarity that best fits the common joints."""
    joints = [keypoints.ID[n] for n in ("neck", "left-shoulder", "right-shoulder", "left-hip", "right-hip")]
    both = [j for j in joints if pose.visible[j] and donor.layout.visible[j]]
    image = to_float(pose_image)
    if len(both) < 2:
        return image
    source, target = donor.layout.keypoints[both], pose.keypoints[both]
    matrix, _ = cv2.estimateAffinePartial2D(source.astype(np.float32), target.astype(np.float32), method=cv2.LMEDS)
    if matrix is None:
        return image
    labels = segmentation.GARMENT_LABELS[segmentation.GARMENT_TYPES[int(donor.garment_type)]]
    mask = segmentation.region(donor.layout.segmentation, labels).astype(np.float32)
    size = image.shape[1::-1]
    mask = cv2.warpAffine(mask, matrix, size)[..., None]
    dress = cv2.warpAffine(donor.image.astype(np.float32), matrix, size, borderValue=(1, 1, 1))
    return image * (1 - mask) + dress * mask


def score(predicted: np.ndarray, truth: np.ndarray) -> metrics.SegmentationScore:
    total = metrics.SegmentationScore()
    total.add(predicted, truth)
    return total


def case_scores(images: np.ndarray, cases: dict) -> dict[str, np.ndarray]:
    """The four picture scores of every case [B], of float images [B, H, W, 3] against the truth."""
    truth, mask = to_float(cases["output_image"]), cases["garment_mask"]
    return {
        "ssim": metrics.ssim(images, truth),
        "psnr": metrics.psnr(images, truth),
        "ssim_garment": metrics.ssim(images, truth, mask),
        "psnr_garment": metrics.psnr(images, truth, mask),
    }


def means(name: str, scores: dict[str, np.ndarray]) -> dict[str, float]:
    return {f"{name}.{score}": float(np.nanmean(values)) for score, values in scores.items()}


def picture_scores(name: str, images: np.ndarray, cases: dict) -> dict[str, float]:
    return means(name, case_scores(images, cases))


def arm_differences(group: str, scores: dict[str, dict[str, np.ndarray]], seed: int) -> dict[str, float]:
    """`joint` minus each other arm: the mean over cases of every score, with a 95% bootstrap interval paired by case.

    Args: scores: arm to its `case_scores`.
    """
    results = {}
    for arm in (arm for arm in scores if arm != "joint"):
        for score, values in scores["joint"].items():
            name = f"{group}.joint_minus_{arm}.{score}"
            found = metrics.bootstrap_interval(values - scores[arm][score], seed)
            results |= dict(zip((name, f"{name}.low", f"{name}.high"), found, strict=True))
    return results


def flow_error(flow: np.ndarray, cases: dict, chosen=slice(None)) -> float:
    """Mean endpoint error of the chosen cases on the visible area, in pixels at 128x96."""
    flow, truth, visible = flow[chosen], cases["flow"][chosen], cases["flow_visible"][chosen]
    return metrics.endpoint_error(flow, truth, visible) * FLOW_HEIGHT / cases["flow"].shape[1]


def evaluate_mannequin(
    systems: dict[str, try_on.TryOn], num_cases: int, num_clip_frames: int, seed: int
) -> tuple[dict, dict, dict]:
    """Returns (results, pictures, texts): name to number, name to uint8 sheet; the protocol, and {value: cases}.

    Args: systems: every arm of `try_on.ARMS`.
    """
    from vton_jax.mannequin import cases as mannequin_cases
    from vton_jax.mannequin import people

    system = systems["none"]
    say(f"drawing {num_cases} cases")
    cases = mannequin_cases.draw_cases(num_cases, system.size, seed)
    results: dict[str, float] = {"num_cases": num_cases}
    counts = {
        "garment": count(np.array(mannequin_cases.GARMENTS)[cases["garment"]]),
        "pattern": count(np.array(people.PATTERNS)[cases["pattern"]]),
        "background": count(np.array(people.BACKGROUNDS)[cases["background"]]),
        "donor": count(np.where(cases["flat"], "flat", "worn")),
        "yaw": count(
            np.array(["front", "left", "back", "right"])[np.round(cases["yaw"] / (np.pi / 2)).astype(int) % 4]
        ),
        "turn over 45 degrees": count(np.where(cases["turn"] > np.pi / 4, "yes", "no")),
        "sleeve or type changes": count(np.where(cases["sleeve_changes"] | cases["type_changes"], "yes", "no")),
    }

    say("forward procedure")
    users, z_user = system.read_people(cases["input_image"])
    poses, z_pose = system.read_people(cases["pose_image"])
    outputs, _ = system.read_people(cases["output_image"])
    forward = metrics.SegmentationScore()
    joints = {"xy": [], "seen": [], "true_xy": [], "true_seen": [], "heights": []}
    for name, layout in (("input", users), ("pose", poses), ("output", outputs)):
        forward.add(layout.segmentation, cases[f"{name}_segmentation"])
        joints["xy"].append(layout.keypoints)
        joints["seen"].append(layout.visible)
        joints["true_xy"].append(cases[f"{name}_keypoints"])
        joints["true_seen"].append(cases[f"{name}_visible"])
        joints["heights"].append(cases["height"])
    results["multi_path.forward_miou"] = forward.miou
    results |= {f"multi_path.iou.{name}": value for name, value in forward.per_class.items()}
    joints = {name: np.concatenate(parts) for name, parts in joints.items()}
    results["multi_path.pck"] = metrics.pck(*joints.values())

    say("donors")
    donors, read_flat, distances = [], [], []
    for i in range(num_cases):
        kind = segmentation.GARMENT_TYPES[int(cases["garment_type"][i])]
        frame = cases["donor_image"][i]
        read_flat.append(system.looks_flat(frame) == bool(cases["flat"][i]))
        donors.append(system.read_donor(frame, kind, bool(cases["flat"][i])))
        if cases["flat"][i]:
            _, landmarks, present = system.read_flat(frame)
            both = present & cases["landmarks_present"][i]
            distances.append(np.linalg.norm(landmarks - cases["landmarks"][i], axis=-1)[both])
    donors = stack(donors)
    results["garment.flat_or_worn_right"] = float(np.mean(read_flat))
    results["garment.landmark_error"] = float(np.mean(np.concatenate(distances))) if distances else math.nan
    donor_score = metrics.SegmentationScore()
    flat = cases["flat"]
    if flat.any():
        donor_score.add(donors.layout.segmentation[flat], cases["donor_segmentation"][flat])
        results["garment.miou"] = donor_score.miou

    say("coarse maps and the backward procedure")
    coarse, steps = system.coarse_pairs(users, donors, poses)
    finals, expected, errors = [], [], []
    for first in range(0, num_cases, 10):
        part = slice(first, first + 10)
        given = coarse[part], at(poses, part), z_user[part], z_pose[part]
        _, final, error = system.backward(*given)
        finals.append(final)
        expected.append(system.expected(*given))
        errors.append(error)
    final, truth = np.concatenate(finals), cases["output_segmentation"]
    final_score = score(final, truth)
    results["backward.pose_image_miou"] = score(poses.segmentation, truth).miou
    results["backward.coarse_miou"] = score(coarse, truth).miou
    results["backward.filled_miou"] = score(composition.fill_unknown(coarse), truth).miou
    results["backward.final_miou"] = final_score.miou
    results["backward.expected_miou"] = score(np.concatenate(expected), truth).miou
    results["backward.other_body_miou"] = score(cases["other_body_segmentation"], truth).miou
    results["backward.gain"] = results["backward.final_miou"] - results["backward.coarse_miou"]
    results |= {f"backward.iou.{name}": value for name, value in final_score.per_class.items()}
    results["backward.first_error"] = float(np.mean([e[0].mean() for e in errors]))
    results["backward.last_error"] = float(np.mean([e.min(0).mean() for e in errors]))
    results["backward.iterations"] = float(np.mean([len(e) for e in errors]))

    say("the four arms")
    user_images = to_float(cases["input_image"])
    images, scores = {}, {"try_on": {}, "paired": {}}
    for arm, arm_system in systems.items():
        dressed = arm_system.dress(user_images, users, donors, final, poses)
        images[arm] = dressed.image
        scores["try_on"][arm] = case_scores(images[arm], cases)
        # The same over the photo's own background, with the head and what stands still; render.py does more
        # (`TryOn.paint`): it paints the head's own outline, and moves the garment that is kept.
        preserved = []
        for i, photo in enumerate(user_images):
            user, pose, one = (at(tree, i) for tree in (users, poses, dressed))
            behind = kept_parts.backdrop(photo, user.segmentation)
            kind = int(cases["garment_type"][i])
            head = kept_parts.carried_head(photo, user, pose)
            preserved.append(kept_parts.restore(one, photo, behind, user, pose, head, kind).image)
        results |= picture_scores(f"preserved.{arm}", np.stack(preserved), cases)
        # The same with the output frame itself as the pose image, read from its pixels as ever: what the arm does when
        # the target layout is not another body's.
        paired = arm_system.dress(user_images, users, donors, outputs.segmentation, outputs)
        scores["paired"][arm] = case_scores(paired.image, cases)
        for group, of_arms in scores.items():
            results |= means(f"{group}.{arm}", of_arms[arm])
        if arm in ("post", "joint"):
            name = "remap" if arm == "post" else "remap.joint"
            results[f"{name}.unpaired_epe"] = flow_error(dressed.flow, cases)
            results[f"{name}.epe"] = flow_error(paired.flow, cases)
            results[f"{name}.flat_epe"] = flow_error(paired.flow, cases, flat)
            results[f"{name}.worn_epe"] = flow_error(paired.flow, cases, ~flat)
    for group, of_arms in scores.items():
        results |= arm_differences(group, of_arms, seed)
    results["remap.zero_flow_epe"] = flow_error(np.zeros_like(cases["flow"]), cases)
    images["pose_image"] = to_float(cases["pose_image"])
    images["paste"] = np.stack([paste(cases["pose_image"][i], at(poses, i), at(donors, i)) for i in range(num_cases)])
    for name in ("pose_image", "paste"):
        results |= picture_scores(f"try_on.{name}", images[name], cases)

    pictures = {"Results, every fifteenth case": result_sheet(cases, images, coarse, final, range(0, num_cases, 15))}
    worst = np.argsort([score(final[i : i + 1], truth[i : i + 1]).miou for i in range(num_cases)])[:6]
    pictures["The six worst layouts"] = result_sheet(cases, images, coarse, final, worst)
    colour = visualize.colour_segmentation
    pictures["The eight steps"] = visualize.contact_sheet(
        [[colour(steps[name][i]) for name in composition.STEPS] for i in range(0, num_cases, max(1, num_cases // 5))],
        column_titles=[f"{n} {name.replace('_', ' ')}" for n, name in enumerate(composition.STEPS, 1)],
    )
    if num_clip_frames:
        say("clips and temporal filters")
        results |= clip_scores(systems, mannequin_cases, num_clip_frames, seed)
    protocol = {
        "suite": "mannequin",
        "cases": f"{num_cases} of the test split, seed {seed}; {num_clip_frames} frames of each clip",
        "size": f"{system.size[0]}x{system.size[1]}; SSIM with an 11-tap Gaussian; flow errors at 128x96",
    }
    return results, pictures, {"protocol": protocol, "cases": counts}


def clip_scores(systems: dict[str, try_on.TryOn], mannequin_cases, count_frames: int, seed: int) -> dict[str, float]:
    """Two clips: flicker of every arm and of the truth, motion compensated, and each temporal filter on `joint`: its
    closeness to the true clip, sharpness and flicker."""
    system = systems["joint"]
    found: dict[str, list] = {}
    add = lambda name, value: found.setdefault(name, []).append(float(value))  # noqa: E731
    for index in range(2):
        photo, garment, pose_frames, truth = mannequin_cases.draw_walk(index, count_frames, system.size, seed)
        truth = to_float(truth)
        donor = system.read_donor(garment, "auto", True)
        user, z_user = system.read_user(photo)
        poses, z_pose = system.read_poses(pose_frames)
        image = to_float(photo)
        behind = kept_parts.backdrop(image, np.asarray(user.segmentation))
        # The target layouts are the same in every arm.
        final = np.stack([target.final for target in system.targets(user, z_user, donor, poses, z_pose)])
        add("clip.truth.flicker", temporal_filters.flicker(truth))
        add("clip.truth.sharpness", sharpness(truth))
        add("failures.flicker.truth.flicker", temporal_filters.flicker(truth))
        for arm, one in systems.items():
            frames = np.stack([dressed.image for dressed in one.paint(image, user, donor, final, poses, behind)])
            add(f"failures.flicker.{arm}.flicker", temporal_filters.flicker(frames))
            if arm != "joint":
                continue
            for name in temporal_filters.FILTERS:
                filtered = temporal_filters.apply(name, frames)
                add(f"clip.{name}.psnr", np.mean(metrics.psnr(filtered, truth)))
                add(f"clip.{name}.ssim", np.mean(metrics.ssim(filtered, truth)))
                add(f"clip.{name}.flicker", temporal_filters.flicker(filtered))
                add(f"clip.{name}.sharpness", sharpness(filtered))
    return {name: float(np.mean(values)) for name, values in found.items()}


def sharpness(frames: np.ndarray) -> float:
    """Mean magnitude of the image gradient: ghosts and blur lower it."""
    return float(np.mean([np.abs(np.diff(frames, axis=axis)).mean() for axis in (1, 2)]))


def count(values: np.ndarray) -> dict[str, int]:
    names, numbers = np.unique(values, return_counts=True)
    return {str(name): int(number) for name, number in zip(names, numbers, strict=True)}


def result_sheet(cases, images, coarse, final, indices) -> np.ndarray:
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


def table(results: dict[str, float]) -> str:
    width = max(map(len, results))
    return "\n".join(f"{name:<{width}}  {value:.4f}" for name, value in results.items())


def comparison(results: dict, earlier: dict, name: str) -> str:
    """A table of all numbers that two results.json share, with their differences.

    Args: earlier: the other one's content; name: what to call it. Raises: UserError where a protocol differs.
    """
    protocols = [{key: value for key, value in one.items() if ".protocol." in key} for one in (results, earlier)]
    for key in sorted(protocols[0].keys() | protocols[1].keys()):
        here, there = (protocol.get(key, "nothing") for protocol in protocols)
        if here != there:
            raise UserError(f"{name} cannot be compared with: its {key} is '{there}', here it is '{here}'.")
    if not protocols[0]:
        raise UserError(f"{name} cannot be compared with: it states no protocol.")
    lines = []
    for key, value in results.items():
        other = earlier.get(key)
        if isinstance(value, float) and isinstance(other, float) and key != "seconds":
            lines.append(f"{key:<40}  {other:.4f} -> {value:.4f}  {value - other:+.4f}")
    return "\n".join(lines)


def progress(items, unit: str):
    """The items, with a progress bar on a terminal."""
    if not sys.stderr.isatty():
        return items
    from tqdm import tqdm

    return tqdm(items, unit=unit)


def write_report(path: Path, results: dict, pictures: dict, texts: dict, more: list[str] = ()) -> None:
    """The mannequin suite's page. Args: more: further parts in HTML, shown before all numbers."""
    parts = ["<p>Unseen people and garments; user, donor and pose enter as RGB alone.</p>"]
    scores = ("ssim", "psnr", "ssim_garment", "psnr_garment")
    rows = [
        [name, *(f"{results[f'try_on.{name}.{score}']:.4f}" for score in scores)]
        for name in (*try_on.ARMS, "pose_image", "paste")
    ]
    parts.append("<h2>Try-on against the counterfactual truth</h2>")
    parts.append(html_table(["arm", "SSIM", "PSNR", "SSIM garment", "PSNR garment"], rows))
    parts += more
    parts.append("<h2>All numbers</h2>" + html_table([], [[name, f"{value:.4f}"] for name, value in results.items()]))
    rows = [[name, ", ".join(f"{k}: {v}" for k, v in c.items())] for name, c in texts["cases"].items()]
    write_page(path, "Mannequin suite", [*parts, "<h2>Cases</h2>" + html_table([], rows)], pictures)


def html_table(titles: list, rows: list) -> str:
    cells = lambda kind, row: "<tr>" + "".join(f"<{kind}>{html.escape(str(cell))}" for cell in row) + "</tr>"  # noqa: E731
    return f"<table>{cells('th', titles) if titles else ''}{''.join(cells('td', row) for row in rows)}</table>"


def write_page(path: Path, title: str, parts: list[str], pictures: dict) -> None:
    """One HTML file that holds its pictures, uint8 [H, W, 3] by their titles."""
    head = f"<!doctype html><meta charset=utf-8><title>vton_jax: {title}</title>"
    style = "<style>body{font:15px sans-serif;margin:2em}td,th{padding:.15em .8em;text-align:left}img{max-width:100%}"
    shown = []
    for name, picture in pictures.items():
        data = base64.b64encode(cv2.imencode(".png", picture[..., ::-1])[1]).decode()
        shown.append(f"<h2>{html.escape(name)}</h2><img src='data:image/png;base64,{data}'>")
    files.write_text(path, "\n".join([head, style + "</style>", f"<h1>{title}</h1>", *parts, *shown]))
