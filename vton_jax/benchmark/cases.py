"""The benchmark's cases: what a system is given, and apart from it the truth.

Conventions: a case is named 00000, 00001 ...; pictures are PNG of one size. What is given lies below `test/` as
VITON-HD has it: `image` (the user), `cloth` (the garment alone), `cloth-worn` (another person wears it), `pose` (a
third person in the pose to take), `target-mask` (255 where the user is in that pose), `openpose_json` (the joints of
user and pose). The list `cases.csv` says of what type the garment is and which of its two pictures a system gets.
"""

import csv
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np

from vton_jax.catalogue import examples, exchanges
from vton_jax.core import listings, segmentation
from vton_jax.core.errors import UserError
from vton_jax.core.files import require_writable, writing
from vton_jax.media import photo_files
from vton_jax.media.progress import Progress

VERSION = "1"
SPLIT = "test"
COLUMNS = ("case", "garment_type", "cloth_is")
GIVEN = {"image": "input_image", "cloth": "flat_image", "cloth-worn": "worn_image", "pose": "pose_image"}
_DATASHEET = """# Counterfactual try-on, version {version}

{count} cases at {height}x{width}: a user, a garment that lies flat or that another person wears, a third person whose
pose the user shall take, and, in the folder of the truth, the picture of exactly that. Nobody and no garment is in the
catalogue's training split.

- **What it is for**: scoring any try-on system against what it should have made, which no photos can show.
- **Made of**: people drawn by vton_jax.catalogue from public-domain meshes (CC0); nobody is depicted. The
  pictures are CC0.
- **Made by**: `python -m vton_jax.benchmark export --cases={count} --size={height}x{width}`, number by number, without
  selection, but that a garment has to lie flat as one piece.
- **What it is not**: photos. People are drawn, cloth hangs by rule and does not move.
- **Answers**: a folder of PNG files, CASE.png; `cases.csv` says whether a system is given `cloth` or `cloth-worn`.
  Other sizes are brought to {height}x{width}.
- **Scores**: `python -m vton_jax.benchmark score --results=DIR --truth=DIR`.
- **Hash** of all files given and true: {digest}
"""


def export(output: str | Path, count: int, size: tuple[int, int]) -> str:
    """Writes `count` cases to OUTPUT/given and OUTPUT/truth and returns their hash; a stopped export goes on.

    Raises: UserError for a folder of other cases, or one that cannot be written to.
    """
    given, truth = Path(output) / "given", Path(output) / "truth"
    require_writable(given / "cases.csv")
    about = {"version": VERSION, "cases": count, "size": list(size)}
    for folder in (given, truth):
        stated = _stated(folder)
        if stated and {key: stated.get(key) for key in about} != about:
            raise UserError(f"{folder} holds other cases ({stated['cases']} of version {stated['version']}); give "
                            "another --output.")  # fmt: skip
    progress, rows = Progress(count, unit="cases"), []
    for place in range(count):
        number = examples.number_that_lies_flat(place, SPLIT)
        case = f"{place:05d}"
        facts = exchanges.about(number, SPLIT) | {"cloth_is": ("cloth", "cloth-worn")[place % 2], "number": number}
        if not (truth / "about" / f"{case}.json").exists():
            _write_case(given / "test", truth, case, facts, size)
        rows.append((case, facts["garment_type"], facts["cloth_is"]))
        progress.advance(place + 1)
    progress.close()
    with writing(given):
        with (given / "cases.csv").open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
        digest = _digest(given, truth)
        for folder in (given, truth):
            (folder / "version.json").write_text(json.dumps(about | {"hash": digest}, indent=1) + "\n")
        sheet = _DATASHEET.format(version=VERSION, count=count, height=size[0], width=size[1], digest=digest)
        (given / "README.md").write_text(sheet)
    return digest


def _stated(folder: Path) -> dict:
    try:
        return json.loads((folder / "version.json").read_text())
    except (OSError, ValueError):
        return {}


def _write_case(given: Path, truth: Path, case: str, facts: dict, size: tuple[int, int]) -> None:
    example = examples.draw(facts["number"], SPLIT, size, pose_picture=True)
    for folder, name in GIVEN.items():
        photo_files.write_image(given / folder / f"{case}.png", example[name])
    person = example["output_segmentation"] > 0
    photo_files.write_image(given / "target-mask" / f"{case}.png", np.uint8(255) * person)
    joints = given / "openpose_json"
    joints.mkdir(exist_ok=True)
    for kind, who in (("image", "input"), ("pose", "output")):
        people = [{"pose_keypoints_2d": _openpose(example[f"{who}_keypoints"], example[f"{who}_visible"])}]
        (joints / f"{case}_{kind}_keypoints.json").write_text(json.dumps({"people": people}))
    photo_files.write_image(truth / "image" / f"{case}.png", example["output_image"])
    photo_files.write_image(truth / "labels" / f"{case}.png", example["output_segmentation"])
    facts = facts | {
        "yaw": float(example["output_yaw"]),
        "keypoints": np.round(example["output_keypoints"], 2).tolist(),
        "visible": example["output_visible"].tolist(),
    }
    (truth / "about").mkdir(exist_ok=True)
    (truth / "about" / f"{case}.json").write_text(json.dumps(facts))


def _openpose(points: np.ndarray, visible: np.ndarray) -> list[float]:
    return np.round(np.concatenate([points, visible[:, None]], 1), 2).reshape(-1).tolist()


def _digest(*folders: Path) -> str:
    found = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".png", ".csv") or "_keypoints" in path.name or path.parent.name == "about":
                found.update(path.relative_to(folder).as_posix().encode())
                found.update(path.read_bytes())
    return found.hexdigest()


def listed(given: str | Path) -> list[dict[str, str]]:
    """The rows of `cases.csv`. Raises: UserError for a folder without one."""
    try:
        rows = listings.read_table(Path(given) / "cases.csv")
    except UserError:
        rows = []
    if not rows or set(COLUMNS) - set(rows[0]):
        raise UserError(f"{given} holds no cases: give the folder `given` that `export` wrote.")
    return rows


def read_picture(path: Path) -> np.ndarray:
    """uint8 [H, W, 3], or [H, W] of label maps. Raises: UserError for what is no picture."""
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise UserError(f"{path} is missing or no picture.")
    return picture[..., 2::-1] if picture.ndim == 3 else picture


def type_of(row: dict[str, str]) -> str:
    """A case's garment type. Raises: UserError for an unknown one."""
    if row["garment_type"] not in segmentation.GARMENT_TYPES:
        raise UserError(f"cases.csv names the garment type {row['garment_type']!r}; known are "
                        f"{', '.join(segmentation.GARMENT_TYPES)}.")  # fmt: skip
    return row["garment_type"]
