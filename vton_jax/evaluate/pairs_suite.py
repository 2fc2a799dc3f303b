"""The suite `pairs`: photos of people beside the very garment that they wear, laid flat; the photo is the truth.

Alphabet: pictures are at the networks' size. The garment that the user wears is hidden under grey before the networks
see it, so that none of it can be copied; the pose is the user's own. What the names mean: docs/evaluation.md.
"""

from pathlib import Path

import cv2
import jax
import numpy as np

from vton_jax.compositing import kept_parts
from vton_jax.core import framing, segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.types import Layout
from vton_jax.evaluate import mannequin_suite, metrics, perceptual
from vton_jax.inputs import splits
from vton_jax.media import photo_files, visualize
from vton_jax.models import weights
from vton_jax.reading import digest_of
from vton_jax.reading.photo_parser import PhotoParser
from vton_jax.systems.lab126 import try_on

# Folders of people and of garments, as the field lays them out.
LAYOUTS = (("person", "garment"), ("image", "cloth"), ("test_img", "test_clothes"))
SCORES = ("ssim", "psnr", "ssim_garment", "lpips_surrogate")
_SUFFIXES = (".jpg", ".jpeg", ".png")
_HIDE = 4  # pixels around the user's own garment that are hidden too


def find_pairs(folder: str, listed: str | None = None) -> list[tuple[Path, Path]]:
    """(person, garment) files of the true pairs.

    Args: folder: with person/ and garment/ (or image/ and cloth/, test_img/ and test_clothes/), or with test/ that
    holds them. listed: a file of "person garment" names, one pair a line; else a garment belongs to the person of its
    own name, or, as in VITON, NAME_1 to NAME_0. Raises: UserError where there are none, or a listed file is missing.
    """
    roots = [root for root in (Path(folder), Path(folder) / "test") if root.is_dir()]
    found = [(root / a, root / b) for root in roots for a, b in LAYOUTS if (root / a).is_dir() and (root / b).is_dir()]
    if not found:
        raise UserError(f"--data={folder} holds no people and garments: person/ and garment/, or image/ and cloth/.")
    people, garments = found[0]
    if listed is None:
        pairs = []
        for person in sorted(path for path in people.iterdir() if path.suffix.lower() in _SUFFIXES):
            stem = person.stem
            names = [stem[:-2] + "_1"] if stem.endswith("_0") else [stem]
            files = [garments / (name + suffix) for name in names for suffix in _SUFFIXES]
            pairs += [(person, file) for file in files if file.exists()][:1]
        if not pairs:
            raise UserError(f"No person in {people} has the garment worn in {garments}; --pairs=FILE can list them.")
        return pairs
    try:
        lines = [line.split() for line in Path(listed).read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError):
        raise UserError(
            f'--pairs={listed} cannot be read; it should list "person garment" names, a pair a line.'
        ) from None
    pairs = []
    for line in lines:
        if len(line) != 2:
            raise UserError(f'--pairs={listed} has the line "{" ".join(line)}"; it should name a person and a garment.')
        pair = people / line[0], garments / line[1]
        for path in pair:
            if not path.is_file():
                raise UserError(f"--pairs={listed} lists {path.name}, which is not in {path.parent}.")
        pairs.append(pair)
    if not pairs:
        raise UserError(f"--pairs={listed} lists no pair.")
    return pairs


def hide(image: np.ndarray, readings: list[np.ndarray], user: Layout, garment_type: int) -> tuple[np.ndarray, Layout]:
    """The photo [H, W, 3] with what the user wears in the garment's place under grey, and the layout that says so.

    Args: readings: labels [H, W] of several networks; what any of them takes for the garment is hidden, since what is
    overlooked could be copied. user: the photo's layout; in the one returned all that is hidden is the garment, so that
    neither is it kept, nor taken for background.
    """
    labels = segmentation.REPLACED_LABELS[segmentation.GARMENT_TYPES[garment_type]]
    mask = np.any([segmentation.region(reading, labels) for reading in readings], 0)
    mask = cv2.dilate(mask.astype(np.uint8), np.ones((2 * _HIDE + 1,) * 2, np.uint8)) > 0
    known = segmentation.region(np.asarray(user.segmentation), labels)
    layout = user.replace(segmentation=np.where(mask & ~known, np.uint8(labels[0]), user.segmentation))
    return np.where(mask[..., None], np.float32(0.5), image), layout


def dress_hidden(
    systems: dict[str, try_on.TryOn],
    frame: np.ndarray,
    user: Layout,
    z_user: np.ndarray,
    donor: try_on.Garment,
    readings: list[np.ndarray],
    background: str,
) -> tuple[dict[str, np.ndarray], try_on.Target]:
    """What each arm makes of the user [H, W, 3] in the donor's garment and their own pose, what they wear under grey.

    Args: user, z_user: what `read_user` has read of the frame. readings: see `hide`.
    Returns ({arm: float picture [H, W, 3], 'hidden': what the networks are shown}, the target layout).
    """
    poses = jax.tree.map(lambda a: np.asarray(a)[None], user)
    target = next(next(iter(systems.values())).targets(user, z_user, donor, poses, z_user))
    shown, seen = hide(framing.to_float(frame), readings, user, int(donor.garment_type))
    behind = kept_parts.backdrop(shown, np.asarray(seen.segmentation)) if background == "inpaint" else None
    images = {
        arm: next(one.paint(shown, seen, donor, target.final[None], poses, behind)).image
        for arm, one in systems.items()
    }
    return images | {"hidden": shown}, target


def evaluate_pairs(
    folder: str,
    listed: str | None = None,
    weights_folder: str | None = None,
    arms: tuple[str, ...] = try_on.ARMS,
    background: str = "inpaint",
    reader: str = "photo",
) -> tuple[dict, dict, dict]:
    """Returns (results, pictures, texts): name to number, to uint8 sheet, and the protocol with what was evaluated.

    reader: what labels people, one of `try_on.PARSERS`.
    """
    pairs = find_pairs(folder, listed)
    systems = {arm: try_on.TryOn(arm, weights_folder, reader) for arm in arms}
    system = systems[arms[0]]
    parser = PhotoParser(weights.path_of("parser_cnn", weights_folder))
    distance = perceptual.Surrogate(parser)
    scores: dict[str, list] = {}
    rows = []
    for person, garment in mannequin_suite.progress(pairs, "pair"):
        frame, flat = (framing.fit(photo_files.read_photo(path), system.size)[0] for path in (person, garment))
        truth = framing.to_float(frame)
        user, z_user = system.read_user(frame)
        # A list may pair halves with whole people: the garment's own kind says what is exchanged.
        donor = system.read_donor(flat, flat=True)
        read = parser.parse(frame[None])[0][0]
        readings = [np.asarray(user.segmentation), read]
        images, target = dress_hidden(systems, frame, user, z_user, donor, readings, background)
        shown, kind = images["hidden"], int(donor.garment_type)
        images["paste"] = mannequin_suite.paste(visualize.to_uint8(shown), user, donor)
        region = segmentation.region(read, segmentation.REPLACED_LABELS[segmentation.GARMENT_TYPES[kind]])
        for name, image in images.items():
            values = {
                "ssim": metrics.ssim(image, truth),
                "psnr": metrics.psnr(image, truth),
                "ssim_garment": metrics.ssim(image, truth, region),
                "lpips_surrogate": distance(image[None], truth[None])[0],
            }
            for score, value in values.items():
                scores.setdefault(f"pairs.{name}.{score}", []).append(value)
        colour = visualize.colour_segmentation
        rows.append([truth, flat, shown, colour(target.coarse), colour(target.final), images["paste"]])
        rows[-1] += [images[arm] for arm in arms]
    results = {"num_pairs": len(pairs)} | {name: float(np.nanmean(values)) for name, values in scores.items()}
    protocol = {
        "suite": "pairs",
        "split_hash": splits.split_hash(f"{person.name} {garment.name}" for person, garment in pairs),
        "size": f"{system.size[0]}x{system.size[1]}, padded with the photo's edge; SSIM with an 11-tap Gaussian",
        "user": f"the worn garment and {_HIDE} pixels around it under grey; the pose is the user's own",
        "garment_region": f"ParserCNN's reading of the photo ({parser.name})",
        "lpips_surrogate": distance.name,
    }
    about = {
        "background": background,
        "reader": reader,
        "multi_path": digest_of(weights.path_of("multi_path_cnn", weights_folder)),
    }
    titles = ["person and truth", "garment", "user as shown", "coarse", "final", "paste", *arms]
    sheet = {"Pairs": visualize.contact_sheet(rows[:40], column_titles=titles)}
    return results, sheet, {"protocol": protocol, "about": about}


def write_report(path: Path, results: dict, pictures: dict, texts: dict) -> None:
    """One page: the protocol, the arms beside the baselines, the sheet."""
    names = [name for name in (*try_on.ARMS, "hidden", "paste") if f"pairs.{name}.ssim" in results]
    rows = [[name, *(f"{results[f'pairs.{name}.{score}']:.4f}" for score in SCORES)] for name in names]
    parts = [mannequin_suite.html_table([], [row for group in texts.values() for row in group.items()])]
    mannequin_suite.write_page(
        path, "pairs suite", [*parts, mannequin_suite.html_table(["arm", *SCORES], rows)], pictures
    )
