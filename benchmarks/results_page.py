"""The tables of docs/results.md from what `python -m vton_jax.evaluate` wrote, so that no number is typed by hand:

python benchmarks/results_page.py --catalogue=M/results.json --critic=C/results.json --systems=S/results.json

writes them between the page's marks, `<!-- NAME -->` and `<!-- end of NAME -->`; what is not given stays.
`--pictures=DIR/a.png,DIR/b.png` brings sheets of the same evaluations, of drawn people alone, to docs/images as JPEG
files below 300 kB.
"""

import argparse
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2

from vton_jax.core import files
from vton_jax.systems.options import ARM_NAMES

ROOT = Path(__file__).resolve().parent.parent
LEVELS = ("1s", "2s", "5s")
# Table 1 of the talk: people's fooling rates in percent, after 1, 2 and 5 seconds.
TALK = {"none": (17.6, 5.6, 0), "post": (48.0, 43.8, 29.7), "pre": (47.6, 44.1, 30.4), "joint": (48.1, 46.1, 34.2)}
SCORES = {
    "ssim": "SSIM", "psnr": "PSNR", "lpips": "LPIPS", "ssim_garment": "SSIM, garment", "psnr_garment": "PSNR, garment",
    "lpips_garment": "LPIPS, garment", "print_correlation": "print correlation",
}  # fmt: skip
BASELINES = {"pose_image": "*baseline:* the pose image as it is", "paste": "*baseline:* the dress pasted"}
PICTURE_BYTES = 300_000
# Of two numbers the first is the better one where the talk's claim holds.
BACKWARD = (
    ("mIoU of the final map, of the coarse map with its holes wrong", "backward.final_miou", "backward.coarse_miou"),
    ("mIoU of the final map, of the coarse map with its holes filled", "backward.final_miou", "backward.filled_miou"),
    ("mIoU of the final map, of LatentPriorCNN's before any step", "backward.final_miou", "backward.expected_miou"),
    ("Err before, after the iterations", "backward.first_error", "backward.last_error"),
)
MEASURES = {
    "SSIM, garment": "try_on.ARM.ssim_garment",
    "PSNR, garment": "try_on.ARM.psnr_garment",
    "LPIPS, garment (less is better)": "try_on.ARM.lpips_garment",
    "print correlation": "try_on.ARM.print_correlation",
    "SSIM, garment, the true body's layout": "paired.ARM.ssim_garment",
    "PSNR, garment, the true body's layout": "paired.ARM.psnr_garment",
    "LPIPS, garment, the true body's layout (less is better)": "paired.ARM.lpips_garment",
    "print correlation, the true body's layout": "paired.ARM.print_correlation",
} | {f"critic fooling rate, {level[:-1]} s": f"critic.ARM.fooling_{level}" for level in LEVELS}


def table(titles: list[str], rows: list[list[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(name: str, value: float) -> str:
    if ".fooling_" in name:
        return f"{value:.1%}"
    return f"{value:.2f}" if "psnr" in name else f"{value:.4f}"


def rate(results: dict, name: str) -> str:
    """A rate with its 95% interval, in percent."""
    value, low, high = (100 * results[key] for key in (name, f"{name}.low", f"{name}.high"))
    return f"{value:.1f} ({low:.1f} to {high:.1f})"


def arms_table(results: dict, group: str) -> str:
    there = {score: title for score, title in SCORES.items() if f"{group}.none.{score}" in results}
    rows = [
        [{**dict.fromkeys(ARM_NAMES), **BASELINES}[name] or name]
        + [number(score, results[f"{group}.{name}.{score}"]) for score in there]
        for name in (*ARM_NAMES, *BASELINES)
        if f"{group}.{name}.ssim" in results
    ]
    return table(["arm", *there.values()], rows)


def systems_table(results: dict) -> str:
    """Every system of the suite `clothflow` on the same people, with 95% intervals."""
    names = {"full": "ClothFlow"} | {f"lab126_{arm}": f"lab126, `{arm}`" for arm in ARM_NAMES}
    names |= {"finet": "FiNet's transfer, tops and bottoms alone; knows the true pose"}
    scores = [score for score in SCORES if f"clothflow.full.{score}" in results]
    rows = []
    for name, title in names.items():
        if f"clothflow.{name}.ssim" in results:
            each = [[results[f"clothflow.{name}.{score}{end}"] for end in ("", ".low", ".high")] for score in scores]
            digits = [1 if "psnr" in score else 3 for score in scores]
            values = ("{:.{d}f} ({:.{d}f} to {:.{d}f})".format(*v, d=d) for v, d in zip(each, digits, strict=True))
            rows.append([title, *values])
    return table(["system", *(SCORES[score] for score in scores)], rows)


def critic_table(results: dict, what: str) -> str:
    seconds = [f"{level[:-1]} s" for level in LEVELS]
    rows = [
        [arm, *(rate(results, f"critic.{arm}.{what}_{level}") for level in LEVELS), *(f"{v:.1f}" for v in TALK[arm])]
        for arm in ARM_NAMES
    ]
    if what == "fooling":
        real = (rate(results, f"critic.real_accuracy_{level}") for level in LEVELS)
        rows.append(["*real frames taken for real*", *real, *[""] * len(LEVELS)])
    return table(["arm", *(f"critic, {s}" for s in seconds), *(f"the talk's people, {s}" for s in seconds)], rows)


def backward_table(results: dict) -> str:
    rows = [
        [label, *(number(name, results[name]) for name in names), verdict(results, *names)]
        for label, *names in BACKWARD
    ]
    return table(["", "the one", "the other", "speaks"], rows)


def claims_table(results: dict) -> str:
    """What speaks for and against ReMap and joint training: pairs of arms, the first to be the better one."""
    pairs = ("joint", "none"), ("post", "none"), ("joint", "post"), ("joint", "pre")
    rows = []
    for label, name in MEASURES.items():
        if name.replace("ARM", "joint") not in results:
            continue
        rows.append([label])
        for pair in pairs:
            names = [name.replace("ARM", arm) for arm in pair]
            values = " and ".join(number(name, results[name]) for name in names)
            rows[-1].append(f"{values}: {verdict(results, *names)}")
    return table(["", *(f"{one} above {other}" for one, other in pairs)], rows)


def verdict(results: dict, one: str, other: str) -> str:
    """For or against `one` being better; undecided where a 95% interval of the difference spans 0."""
    difference = (results[one] - results[other]) * (-1 if "lpips" in one else 1)
    group, arm, score = one.partition(".")[0], other.split(".")[1], one.rpartition(".")[2]
    name = f"critic.joint_minus_{arm}_{score[-2:]}" if group == "critic" else f"{group}.joint_minus_{arm}.{score}"
    if ".joint." in one and f"{name}.low" in results and results[f"{name}.low"] <= 0 <= results[f"{name}.high"]:
        return "undecided"
    return "for" if difference > 0 else "against" if difference < 0 else "neither"


def differences_table(results: dict) -> str:
    """`joint` minus the other arms with 95% intervals, of all suites that have them."""
    others = [arm for arm in ARM_NAMES if arm != "joint"]
    wheres = {"try_on": "", "paired": ", the true body's layout"}
    kinds = [
        (f"{name}{where}", f"{group}.joint_minus_ARM.{score}", 1)
        for group, where in wheres.items()
        for score, name in SCORES.items()
    ]
    kinds += [
        (f"critic fooling rate, {level[:-1]} s, percentage points", f"critic.joint_minus_ARM_{level}", 100)
        for level in LEVELS
    ]
    rows = []
    for label, name, scale in kinds:
        names = [name.replace("ARM", arm) for arm in others]
        if all(f"{name}.low" in results for name in names):
            digits = 2 if "psnr" in name or scale > 1 else 4
            values = [[scale * results[f"{name}{end}"] for end in ("", ".low", ".high")] for name in names]
            rows.append([label, *("{:+.{d}f} ({:+.{d}f} to {:+.{d}f})".format(*v, d=digits) for v in values)])
    return table(["", *(f"joint minus {arm}" for arm in others)], rows)


def fill(page: str, tables: dict[str, str]) -> str:
    """The page with new tables between their marks. Raises ValueError where a mark is missing."""
    for name, text in tables.items():
        marks = f"<!-- {name} -->", f"<!-- end of {name} -->"
        page, times = re.subn(f"(?s){marks[0]}.*?{marks[1]}", lambda _, t=text, m=marks: f"{m[0]}\n{t}\n{m[1]}", page)
        if times != 1:
            raise ValueError(f"the page has the marks of {name} {times} times")
    return page


def write_picture(source: Path, folder: Path) -> None:
    """A sheet as JPEG, smaller until it is below PICTURE_BYTES."""
    image = cv2.imread(str(source))
    for width in range(min(1600, image.shape[1]), 400, -100):
        size = width, round(image.shape[0] * width / image.shape[1])
        data = cv2.imencode(
            ".jpg", cv2.resize(image, size, interpolation=cv2.INTER_AREA), (cv2.IMWRITE_JPEG_QUALITY, 88)
        )[1]
        if data.nbytes < PICTURE_BYTES:
            (folder / f"{source.stem}.jpg").write_bytes(data.tobytes())
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalogue", type=Path, help="results.json of --suite=catalogue")
    parser.add_argument("--critic", type=Path, help="results.json of --suite=critic; wants that of --catalogue too")
    parser.add_argument("--systems", type=Path, help="results.json of --suite=clothflow --system=all")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "results.md")
    parser.add_argument("--pictures", default="", help="sheets (PNG) that go to docs/images, separated by commas")
    arguments = parser.parse_args()
    if arguments.critic and not arguments.catalogue:
        parser.error("--critic wants --catalogue beside it")
    read = lambda path: json.loads(path.read_text(encoding="utf-8"))  # noqa: E731
    tables = {"systems": systems_table(read(arguments.systems))} if arguments.systems else {}
    if arguments.catalogue:
        results = read(arguments.catalogue) | (read(arguments.critic) if arguments.critic else {})
        tables |= {group: arms_table(results, group) for group in ("try_on", "paired")}
        tables |= {"backward": backward_table(results), "claims": claims_table(results)}
        if any("joint_minus" in name for name in results):
            tables["differences"] = differences_table(results)
        if arguments.critic:
            tables |= {what: critic_table(results, what) for what in ("fooling", "preferred")}
    files.write_text(arguments.page, fill(arguments.page.read_text(encoding="utf-8"), tables))
    for picture in filter(None, arguments.pictures.split(",")):
        write_picture(Path(picture), ROOT / "docs" / "images")


if __name__ == "__main__":
    main()
