"""What an evaluation leaves: results.json, report.html, sheets; the table on the terminal, and comparisons.

`results` are {name: number}; a `suite` has run. Imports no JAX.
"""

import base64
import html
import json
import math
import sys
from pathlib import Path

import numpy as np

from vton_jax.core import files
from vton_jax.core.errors import UserError, WrongOption
from vton_jax.evaluate.protocol import Suite


def say(text: str) -> None:
    """A line on stderr."""
    print(text, file=sys.stderr, flush=True)


# ------------------------------------------------------------------------------------------------------------ the files


def read(path: str | Path) -> dict:
    """The content of an earlier results.json. Raises: WrongOption."""
    try:
        earlier = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(earlier, dict):
            raise ValueError("no object")
    except (OSError, ValueError) as error:
        raise WrongOption("compare", path, f"is no results.json that can be read ({error}).") from None
    return earlier


def make_folder(path: str | Path) -> Path:
    """Creates a folder for the files. Raises: WrongOption."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongOption("output", path, f"cannot be written to: {error.strerror}.") from None
    return Path(path)


def write(folder: Path, suite: Suite, results: dict[str, float]) -> dict:
    """Writes results.json, report.html and the sheets; returns what results.json holds, NaN as None."""
    from vton_jax.media import photo_files  # here: names and options need no OpenCV

    kept: dict = {name: None if not math.isfinite(value) else value for name, value in results.items()}
    for group in ("protocol", "about"):
        kept |= {f"{suite.name}.{group}.{name}": text for name, text in suite.texts.get(group, {}).items()}
    files.write_text(folder / "results.json", json.dumps(kept, indent=1) + "\n")
    files.write_text(folder / "report.html", page(suite, results))
    for title, picture in suite.pictures.items():
        photo_files.write_image(folder / (title.lower().replace(",", "").replace(" ", "_") + ".png"), picture)
    return kept


# ------------------------------------------------------------------------------------------------------------- the page


def page(suite: Suite, results: dict[str, float]) -> str:
    """One HTML text that holds its pictures: what was compared, the suite's own sections, all numbers, the sheets."""
    head = f"<!doctype html><meta charset=utf-8><title>vton_jax: {suite.name} suite</title>"
    style = "<style>body{font:15px sans-serif;margin:2em}td,th{padding:.15em .8em;text-align:left}img{max-width:100%}"
    texts = html_table([], [line for group in suite.texts.values() for line in group.items()])
    numbers = html_table([], [[name, f"{value:.4f}"] for name, value in results.items()])
    parts = [head, style + "</style>", f"<h1>{suite.name} suite</h1>", texts, *suite.sections(results)]
    parts += ["<h2>All numbers</h2>" + numbers, *(html_picture(*one) for one in suite.pictures.items())]
    return "\n".join(parts)


def html_table(titles: list, rows: list) -> str:
    cells = lambda kind, row: "<tr>" + "".join(f"<{kind}>{html.escape(str(cell))}" for cell in row) + "</tr>"  # noqa: E731
    return f"<table>{cells('th', titles) if titles else ''}{''.join(cells('td', row) for row in rows)}</table>"


def html_picture(title: str, picture: np.ndarray) -> str:
    """A picture uint8 [H, W, 3] below its title."""
    import cv2

    data = base64.b64encode(cv2.imencode(".png", picture[..., ::-1])[1]).decode()
    return f"<h2>{html.escape(title)}</h2><img src='data:image/png;base64,{data}'>"


def score_table(results: dict[str, float], name: str, rows: list[str], scores: dict[str, str]) -> str:
    """The numbers `name.ROW.SCORE` side by side.

    Args: rows, scores (to their titles): those without numbers are left out. Returns: HTML, "" where no row is left.
    """
    there = [row for row in rows if f"{name}.{row}.{next(iter(scores))}" in results]
    scores = {score: title for score, title in scores.items() if any(f"{name}.{r}.{score}" in results for r in there)}
    cells = [[row, *(f"{results[f'{name}.{row}.{score}']:.4f}" for score in scores)] for row in there]
    return html_table(["arm", *scores.values()], cells) if cells else ""


# --------------------------------------------------------------------------------------------------------- the terminal


def table(results: dict[str, float]) -> str:
    """A line a number."""
    width = max(map(len, results))
    return "\n".join(f"{name:<{width}}  {value:.4f}" for name, value in results.items())


def summary(suite: Suite, results: dict[str, float]) -> str:
    """All numbers and texts."""
    lines = [f"{name}: {text}" for group in suite.texts.values() for name, text in group.items()]
    return "\n".join([table(results), *lines])


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
