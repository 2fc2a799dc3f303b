"""Faces, bare limbs, hands and shoes in a result: python benchmarks/faces.py [--count=48] [--perceptual=FILE]

Cases of the catalogue's validation split: the photo and the true result are read as photos are, and painted by the arm
`none` into the true layout; then what the photo keeps is laid over, as in every try-on (`compositing.kept_parts`).
Prints the mean absolute error and SSIM of the face around eyes and nose, by how far the person turns from the one
picture to the other, and the same of all bare arms and legs, of hands around the wrists and of shoes around the ankles;
of these by `--perceptual`, AlexNet's weights, LPIPS too. Faces count where photo and truth show one.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.catalogue import cases
from vton_jax.compositing import backdrops, drawn_hands, ends, kept_parts
from vton_jax.core import keypoints, segmentation
from vton_jax.core.framing import to_float
from vton_jax.core.types import Garment, Layout, User
from vton_jax.evaluate import metrics, perceptual
from vton_jax.evaluate.scores import at
from vton_jax.layout import limbs
from vton_jax.systems.lab126.painter import Painter
from vton_jax.systems.reader import Reader

TURNS = ((0, 30), (30, 60), (60, 75), (75, 180))  # degrees
LIMBS = {"arms": segmentation.ARMS, "legs": segmentation.LEGS}
UNSEEN = "legs that the photo hides"
FEWEST = 100  # pixels of arms or legs that count
FACE, END = 0.1, 0.07  # of the person's height: how far around eyes and nose, and around wrists and ankles
_FACE_JOINTS = [keypoints.ID[name] for name in ("nose", "left-eye", "right-eye")]
_ENDS = {
    "hands": ([keypoints.ID[name] for name in ("left-wrist", "right-wrist")], segmentation.ARMS),
    "shoes": ([keypoints.ID[name] for name in ("left-ankle", "right-ankle")], segmentation.SHOES),
}


def around(case: dict, joints: list[int], labels: tuple[int, ...], reach: float, *, each: bool) -> np.ndarray:
    """The true pixels [H, W] of `labels` near the visible ones of some joints: near each, or near their mean."""
    points = case["output_keypoints"][joints][case["output_visible"][joints]]
    there = segmentation.region(case["output_segmentation"], labels)
    if not len(points):
        return np.zeros_like(there)
    rows, columns = np.mgrid[: there.shape[0], : there.shape[1]]
    points = points if each else points.mean(0, keepdims=True)
    near = [np.hypot(columns - x, rows - y) < reach * float(case["height"]) for x, y in points]
    return there & np.any(near, 0)


def close_up(image: np.ndarray, truth: np.ndarray, there: np.ndarray, reach: int) -> np.ndarray:
    """A square [2 reach, 2 reach, 3] about the pixels `there`, bool [H, W]; all others are the truth's."""
    shown = np.where(there[..., None], image, truth)
    low = np.clip(np.argwhere(there).mean(0).astype(int) - reach, 0, np.array(there.shape) - 2 * reach)
    return shown[low[0] : low[0] + 2 * reach, low[1] : low[1] + 2 * reach]


def without_hands(final: np.ndarray, pose: Layout) -> np.ndarray:
    """A map [H, W] whose hands are hidden by what lies around them, as pockets and bags of a pose's picture do."""
    body, hands = limbs.bodies_of((pose,), final.shape)[0], np.zeros(final.shape, bool)
    for side in ("right", "left"):
        hand = drawn_hands.drawn_hand(body, side, final.shape)
        hands |= False if hand is None else hand.around & (final == hand.label)
    return np.where(hands, segmentation.fill_from_nearest(final, segmentation.region(final, segmentation.ARMS)), final)


def results(drawn: dict, count: int, hands: str) -> np.ndarray:
    """The results float [B, H, W, 3] of cases. Args: hands: see `--hands`."""
    reader, out = Reader(), []
    painter = Painter("none", reader.size)
    users, outputs = (reader.pictures.layouts(drawn[f"{name}_image"]) for name in ("input", "output"))
    donors = Layout(*(drawn[f"donor_{part}"] for part in ("segmentation", "keypoints", "visible")))
    garments = Garment(to_float(drawn["dress_image"]), donors, drawn["garment_type"], drawn["flat"])
    images, worn = to_float(drawn["input_image"]), []
    for index in range(count):
        backdrop = backdrops.backdrop(images[index], np.asarray(users.segmentation[index]))
        worn.append(User(images[index], at(users, index), None, np.ones(images.shape[1:3], bool), backdrop))
    heads = [kept_parts.carried_head(user, at(outputs, index)) for index, user in enumerate(worn)]
    finals = [kept_parts.with_head(*pair) for pair in zip(drawn["output_segmentation"], heads, strict=True)]
    poses, whole = [at(outputs, index) for index in range(count)], [ends.Ends()] * count
    if hands != "true":
        finals = list(map(without_hands, finals, poses))
    if hands == "drawn":
        finals, whole = zip(*map(ends.with_ends, finals, worn, poses), strict=True)
    targets = outputs.replace(segmentation=np.stack(finals))
    painted = painter.dress(User(images, users, None, None), garments, targets)
    for index, (user, head) in enumerate(zip(worn, heads, strict=True)):
        kind = int(drawn["garment_type"][index])
        own, bright = painter.relighting.lit(user, at(targets, slice(index, index + 1)))
        given = at(painted, index), user, poses[index], head, kind, (own, bright[0]), whole[index]
        out.append(ends.restore(*given).image)
    return np.stack(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=48, help="cases")
    parser.add_argument("--perceptual", default="none", help="AlexNet's weights for LPIPS")
    parser.add_argument(
        "--hands",
        choices=("true", "hidden", "drawn"),
        default="true",
        help="outlines; hidden: by what lies around them, as pockets do; drawn: after that, with shoes in their "
        "own shape, and legs that the photo hides in a body's",
    )
    options = parser.parse_args()
    count, distances = options.count, perceptual.open_distances(options.perceptual)
    drawn = cases.draw_cases(count, split="validation")
    images, truth = results(drawn, count, options.hands), to_float(drawn["output_image"])
    error = np.abs(images - truth).mean(-1)
    faces, at_ends, bare = [], {name: [] for name in _ENDS}, {name: [] for name in (*LIMBS, UNSEEN)}
    near = {name: [] for name in _ENDS}
    for index in range(count):
        case = at(drawn, index)
        for name, labels in LIMBS.items():
            there = segmentation.region(case["output_segmentation"], labels)
            if there.sum() >= FEWEST:
                found = error[index][there].mean(), float(metrics.ssim(images[index], truth[index], there))
                bare[name].append(found)
                if name == "legs" and not segmentation.region(case["input_segmentation"], labels).any():
                    bare[UNSEEN].append(found)
        face = around(case, _FACE_JOINTS, segmentation.FACE[:1], FACE, each=False)
        for name, (joints, labels) in _ENDS.items():
            there = around(case, joints, labels, END, each=True)
            if there.any():
                at_ends[name].append(
                    (error[index][there].mean(), float(metrics.ssim(images[index], truth[index], there)))
                )
                reach = images.shape[1] // 10
                near[name].append([close_up(of[index], truth[index], there, reach) for of in (images, truth)])
        if face.any() and case["input_visible"][_FACE_JOINTS].any():
            similar = float(metrics.ssim(images[index], truth[index], face))
            faces.append((np.degrees(case["turn"]), error[index][face].mean(), similar))
    faces = np.array(faces)
    for first, last in (*TURNS, (0, 75)):
        here = faces[(faces[:, 0] >= first) & (faces[:, 0] < last)]
        if len(here):
            print(f"face, turned {first} to {last} degrees: {len(here)} cases, error {here[:, 1].mean():.4f}, "
                  f"SSIM {np.nanmean(here[:, 2]):.3f}")  # fmt: skip
    for name, found in ((name, found) for name, found in (bare | at_ends).items() if found):
        print(f"{name}: {len(found)} cases, error {np.mean(found, 0)[0]:.4f}, SSIM {np.mean(found, 0)[1]:.3f}")
    for name, pairs in near.items():
        for key, values in distances(*np.moveaxis(np.array(pairs), 1, 0)).items():
            print(f"{name}: {len(values)} cases, {key} {values.mean():.4f}")


if __name__ == "__main__":
    main()
