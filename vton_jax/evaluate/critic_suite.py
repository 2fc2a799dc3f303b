"""The suite `critic`: Table 1 of the talk, with a critic (`critic.py`) standing in for people.

The examples are those of `data/guides.py`, taken as far as the layout on the try-on path, with another person's pose
image; here every arm dresses them. Nobody appears in two examples: user, donor and pose image's person are drawn anew
for each. What the names mean: docs/evaluation.md.

Alphabet: pictures are uint8 [N, H, W, 3]; `pictures` holds them by kind, 'real' or an arm.
"""

import hashlib
import zipfile
from pathlib import Path

import jax
import numpy as np

from vton_jax.core.errors import UserError
from vton_jax.core.framing import to_float
from vton_jax.core.types import Layout
from vton_jax.evaluate import critic, mannequin_suite, metrics
from vton_jax.inputs import cached_examples, splits
from vton_jax.media import visualize
from vton_jax.models import weights
from vton_jax.reading import digest_of
from vton_jax.systems.lab126 import try_on

OTHER_POSE = 1  # of the axis of two: the pose image shows another person
FLOWS = ("coarse_flow", "first_flow", "first_shown", "mask")
_USED = (
    *("input_image", "dress_image", "output_image", "input_segmentation", "dress_segmentation", "guides"),
    *("target_keypoints", "target_visible", "donor_keypoints", "donor_visible", "garment_type", "donor_flat"),
    *FLOWS,
)
_BOTH = ("guides", "target_keypoints", "target_visible", *FLOWS)
# No critic learns from every fourth file: its people are those that it is tried on. Garments and patterns come round
# every 30 cases, and files hold 24: every fifth would show the same combinations each time.
HELD_OUT = 4
LEVELS = {"1s": 4, "2s": 2, "5s": 1}  # the talk's seconds, and how many pixels in a row become one
SEEDS = 3
_CHUNK = 48  # examples between two lines of progress
_SHOWN = 5  # pictures at either end of the sheet


def read_examples(folder: str, count: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Examples of whole files of data/guides.py, at least `count` where there are as many.

    Returns ({name: [N, ...]}, bool [N]: held out). Raises UserError for a folder without such examples, a damaged file,
    fewer files than a split needs, and where a frame is on both sides, as in examples of photos.
    """
    if not cached_examples.is_folder(folder):
        raise UserError(f"--data={folder} holds no prepared examples; make them with python data/guides.py.")
    parts, held_out = [], []
    for number, path in enumerate(sorted(p for p in Path(folder).glob("*.npz") if not p.name.startswith("."))):
        if sum(map(len, held_out)) >= count:
            break
        try:
            with np.load(path) as file:
                missing = [name for name in _USED if name not in file.files]
                part = {} if missing else {name: file[name][:, 0] for name in _USED}
        except (OSError, ValueError, zipfile.BadZipFile):
            raise UserError(f"{path} is damaged; remove it and let data/guides.py make it again.") from None
        if missing:
            raise UserError(f"{path} lacks {', '.join(missing)}: it is none of python data/guides.py.")
        parts.append({name: a[:, OTHER_POSE] if name in _BOTH else a for name, a in part.items()})
        held_out.append(np.full(len(part["guides"]), number % HELD_OUT == HELD_OUT - 1))
    if len(parts) < HELD_OUT:
        raise UserError(
            f"--data={folder} has {len(parts)} files for the examples asked for; every {HELD_OUT}th is held out, so "
            f"at least {HELD_OUT} are needed: more --num_examples, or more of python data/guides.py."
        )
    examples = {name: np.concatenate([part[name] for part in parts]) for name in _USED}
    unseen = np.concatenate(held_out)
    sides = [{image.tobytes() for image in examples["output_image"][unseen == side]} for side in (False, True)]
    if sides[0] & sides[1]:
        raise UserError(f"--data={folder} shows the same photos in several files; make examples of mannequins.")
    return examples, unseen


def dress(system: try_on.TryOn, examples: dict[str, np.ndarray]) -> np.ndarray:
    """What an arm makes of examples: uint8 [N, H, W, 3], as it would be saved."""
    joints = examples["donor_keypoints"], examples["donor_visible"]
    donors = try_on.Garment(
        image=to_float(examples["dress_image"]),
        layout=Layout(examples["dress_segmentation"], *joints),
        garment_type=examples["garment_type"],
        flat=examples["donor_flat"],
    )
    # Of the user, arms see the photo and its labels alone.
    users = Layout(examples["input_segmentation"], *jax.tree.map(np.zeros_like, joints))
    poses = Layout(examples["guides"], examples["target_keypoints"], examples["target_visible"])
    flows = {name: examples[name].astype(np.float32) for name in ("coarse_flow", "first_flow")}
    flows |= {"first_shown": examples["first_shown"], "mask": to_float(examples["mask"][..., None])}
    photos = to_float(examples["input_image"])
    return visualize.to_uint8(system.dress(photos, users, donors, examples["guides"], poses, flows=flows).image)


def dress_all(weights_folder: str | None, examples: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """{'real': the true frames, arm: what it makes of the examples}."""
    systems = {arm: try_on.TryOn(arm, weights_folder) for arm in try_on.ARMS}
    pictures = {"real": examples["output_image"]} | {arm: [] for arm in systems}
    count = len(examples["guides"])
    for first in range(0, count, _CHUNK):
        part = {name: array[first : first + _CHUNK] for name, array in examples.items()}
        for arm, system in systems.items():
            pictures[arm].append(dress(system, part))
        mannequin_suite.say(f"dressed {min(first + _CHUNK, count)} of {count} examples in {len(systems)} arms")
    return pictures | {arm: np.concatenate(pictures[arm]) for arm in systems}


def judge(
    pictures: dict[str, np.ndarray], held_out: np.ndarray, seeds: range, steps: int = critic.STEPS
) -> dict[str, np.ndarray]:
    """The critics' logits [seeds, held out] of each kind, for pictures of one level of detail."""
    learnt = {kind: images[~held_out] for kind, images in pictures.items()}
    logits = {kind: [] for kind in pictures}
    for seed in seeds:
        judged_by = critic.train(learnt, seed, steps=steps)
        for kind, images in pictures.items():
            logits[kind].append(judged_by(images[held_out]))
    return {kind: np.stack(values) for kind, values in logits.items()}


def rates(level: str, logits: dict[str, np.ndarray]) -> dict[str, float]:
    """The numbers of one level from logits [seeds, people] of each kind; intervals are over people."""
    taken = {kind: (values > 0).astype(np.float64) for kind, values in logits.items()}
    results = {}

    def add(name, values):  # [seeds, people]
        found = metrics.bootstrap_interval(values.mean(0))
        results.update(zip((name, f"{name}.low", f"{name}.high"), found, strict=True))

    add(f"critic.real_accuracy_{level}", taken["real"])
    arms = [kind for kind in taken if kind != "real"]
    for arm in arms:
        add(f"critic.{arm}.fooling_{level}", taken[arm])
        results[f"critic.{arm}.fooling_{level}.over_seeds"] = float(taken[arm].mean(1).std())
        # The talk asked which of two is real: there 0.5 is the most.
        add(f"critic.{arm}.preferred_{level}", (logits[arm] > logits["real"]).astype(np.float64))
    for arm in arms:
        if arm != "joint" and "joint" in arms:
            add(f"critic.joint_minus_{arm}_{level}", taken["joint"] - taken[arm])
    return results


def sheet(pictures: dict[str, np.ndarray], logits: dict[str, np.ndarray]) -> np.ndarray:
    """Of each kind the held-out pictures that the critics took for real most and least surely, on average."""
    rows = []
    for kind, images in pictures.items():
        order = np.argsort(-logits[kind].mean(0), kind="stable")
        rows.append([images[i] for i in (*order[:_SHOWN], *order[-_SHOWN:])])
    titles = [f"real {n}" for n in range(1, _SHOWN + 1)] + [f"unreal {n}" for n in range(_SHOWN, 0, -1)]
    return visualize.contact_sheet(rows, list(pictures), titles)


def evaluate_critic(
    folder: str, num_examples: int, weights_folder: str | None = None, first_seed: int = 0, steps: int = critic.STEPS
) -> tuple[dict, dict, dict]:
    """Returns (results, pictures, texts): name to number, to uint8 sheet, and the protocol with what was evaluated."""
    examples, held_out = read_examples(folder, num_examples)
    pictures = dress_all(weights_folder, examples)
    results = {"num_examples": len(held_out), "num_held_out": int(held_out.sum())}
    sheets, sizes = {}, []
    for level, factor in LEVELS.items():
        seen = {kind: critic.reduce_detail(images, factor) for kind, images in pictures.items()}
        size = "x".join(map(str, seen["real"].shape[1:3]))
        mannequin_suite.say(f"{SEEDS} critics at {size}, standing in for {level[:-1]} s")
        logits = judge(seen, held_out, range(first_seed, first_seed + SEEDS), steps)
        results |= rates(level, logits)
        sheets[f"Taken for real most and least surely at {size}"] = sheet(
            {kind: images[held_out] for kind, images in seen.items()}, logits
        )
        sizes.append(f"{size} for {level[:-1]} s")
    protocol = {
        "suite": "critic: a critic fooling rate, a stand-in for the talk's user study, no study of people",
        "split_hash": splits.split_hash(hashlib.sha256(image).hexdigest() for image in pictures["real"][held_out]),
        "people": f"{results['num_held_out']} held out, every {HELD_OUT}th file; {int((~held_out).sum())} learnt from",
        "detail": ", ".join(sizes) + "; means of blocks of pixels",
        "critic": f"CriticCNN, one a level for all arms, {steps} steps of {critic.BATCH} real frames and as many "
        f"results; seeds {first_seed} to {first_seed + SEEDS - 1}; real above 0.5; intervals: bootstrap over people",
        "results": "another person's pose image; the layout that LatentPriorCNN expects; before `kept_parts`",
    }
    names = [f"triple_guided_cnn_{arm}" for arm in ("none", "pre", "joint")]
    names += ["flow_refinement_cnn", "flow_refinement_cnn_joint"]
    about = {name: digest_of(weights.path_of(name, weights_folder)) for name in names}
    return results, sheets, {"protocol": protocol, "about": about}


def write_report(path: Path, results: dict, pictures: dict, texts: dict) -> None:
    """One page: the protocol, Table 1 with the critic, all numbers, the sheets."""
    parts = [mannequin_suite.html_table([], [row for group in texts.values() for row in group.items()])]
    parts.append("<h2>Critic fooling rate, a stand-in for the talk's user study</h2>")
    rows = [[arm, *(shown(results, f"critic.{arm}.fooling_{level}") for level in LEVELS)] for arm in try_on.ARMS]
    rows.append(["real frames taken for real", *(shown(results, f"critic.real_accuracy_{level}") for level in LEVELS)])
    parts.append(mannequin_suite.html_table(["", *(f"{level[:-1]} s" for level in LEVELS)], rows))
    numbers = [[name, f"{value:.4f}"] for name, value in results.items()]
    parts.append("<h2>All numbers</h2>" + mannequin_suite.html_table([], numbers))
    mannequin_suite.write_page(path, "critic suite", parts, pictures)


def shown(results: dict, name: str) -> str:
    """A share with its interval, in percent."""
    return f"{results[name]:.1%} ({results[f'{name}.low']:.1%} to {results[f'{name}.high']:.1%})"
