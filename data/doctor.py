"""Looks at a dataset's folder and says in plain words what is missing, misnamed or mismatched, and how to mend it.

Conventions: see `data.field`. A `Finding` either keeps examples from being made (`serious`) or makes them poorer.
"""

import dataclasses
import difflib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data import field
from vton_jax.core.errors import UserError

_SAMPLE = 200  # pairs a split whose files are opened, evenly spaced
_NAMED = 3  # names a finding lists


@dataclasses.dataclass(frozen=True)
class Finding:
    """One sentence on what is wrong, one on the mend."""

    text: str
    mend: str
    serious: bool = True

    def __str__(self) -> str:
        return f"{'PROBLEM' if self.serious else 'note'}: {self.text}\n    {self.mend}"


def examine(make, folder: str | Path) -> tuple[list[Finding], dict[str, int]]:
    """What is wrong with a folder, and how many pairs of each split can be read.

    Args: make: folder -> `field.Source`. Nothing is raised for a folder that is wrong: that is what the findings say.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        return [Finding(f"there is no folder {folder}.", "Give --source=DIR, where the dataset lies.")], {}
    source = make(folder)
    findings = list(_missing_lists(source))
    try:
        splits = source.pairs()
    except UserError as error:
        return [*_elsewhere(make, folder), Finding(str(error), _misnamed_mend(source)), *findings], {}
    counts = {}
    for split, pairs in splits.items():
        ready = [pair for pair in pairs if source.complete(split, pair)]
        counts[split] = len(ready)
        findings += _missing_files(source, split, pairs)
        findings += _unreadable(source, split, ready)
        whole = source.EXPECTED.get(split, 0)
        if 0 < len(pairs) < whole:
            findings.append(Finding(f"{split} has {len(pairs)} pairs, the whole dataset {whole}.",
                                    "That is a part of it, which can be used as it is.", serious=False))  # fmt: skip
    findings += _in_two_splits(splits)
    return findings, counts


def _elsewhere(make, folder: Path) -> Iterator[Finding]:
    """The dataset one or two folders below."""
    for below in sorted(path for path in (*folder.glob("*"), *folder.glob("*/*")) if path.is_dir()):
        try:
            if make(below).pairs():
                yield Finding(f"the dataset lies deeper, in {below}.", f"Give --source={below}.")
                return
        except UserError:
            continue


def _missing_lists(source: field.Source) -> Iterator[Finding]:
    """Lists that are not there; where one of the same kind is, a note is enough."""
    there = [name for name in source.LISTS if (source.folder / name).is_file()]
    for name in source.LISTS:
        if there and name not in there and "resize" not in name:
            place = source.folder / name
            beside = [path.name for path in place.parent.glob("*")] if place.parent.is_dir() else []
            close = difflib.get_close_matches(place.name, set(beside) - {Path(n).name for n in there}, n=1, cutoff=0.8)
            mend = f"Rename {close[0]} to {place.name}." if close else f"Without it that list's split is not made; " \
                   f"{source.LIST_MEND}."  # fmt: skip
            yield Finding(f"{place} is missing.", mend, serious=bool(close))


def _misnamed_mend(source: field.Source) -> str:
    """What lies in the folder instead."""
    in_split = {p.split("/")[1] for files in source.FILES for p in files.patterns if p.startswith("{split}/")}
    there = sorted(path.name + "/" * path.is_dir() for path in source.folder.iterdir())
    if len(in_split & {name.rstrip("/") for name in there}) > 1:
        return f"It seems to be one split alone: move its folders into {source.folder / 'train'} or .../test, and " \
               "write the list of its pairs beside them, one `person garment` a line."  # fmt: skip
    return f"In {source.folder} there is: {', '.join(there[:8]) or 'nothing'}{' ...' if len(there) > 8 else ''}."


def _missing_files(source: field.Source, split: str, pairs: list[field.Pair]) -> Iterator[Finding]:
    """Kinds of files that pairs lack, each kind once."""
    for files in source.FILES:
        missing, wanted = {}, 0
        for pair in pairs:
            for name in (pair.person, pair.source) if files.of == "person" else (pair.garment,):
                if name:
                    wanted += 1
                    if source.path(files.what, split, pair, name) is None:
                        missing[name] = pair
        if not missing or not files.patterns:
            if missing:
                yield Finding(f"{split}: {len(missing)} clips' frames are missing ({_some(missing)}).",
                              "Copy the clips, or take them off the list.")  # fmt: skip
            continue
        photo = files.what.endswith("photo")
        places = [_place(p, split, pair) for pair in [next(iter(missing.values()))] for p in files.patterns]
        if len(missing) == wanted:
            text = f"{split}: no {files.what} is there."
        else:
            text = f"{split}: the {files.what} of {len(missing)} of {wanted} is missing ({_some(missing)})."
        yield Finding(text, _mend(source, places, next(iter(missing)), photo), photo)


def _place(pattern: str, split: str, pair: field.Pair) -> str:
    return pattern.format(split=split.split("_")[0], folder=pair.folder, name="{name}")


def _some(names) -> str:
    names = list(names)
    return ", ".join(names[:_NAMED]) + (" ..." if len(names) > _NAMED else "")


def _mend(source: field.Source, places: list[str], name: str, photo: bool) -> str:
    """How missing files of one kind are mended: a folder or files of nearly that name, or where they belong."""
    for place in places:
        wanted = source.folder / place.format(name=name)
        if not wanted.parent.is_dir():
            kept = {Path(p).parent.name for files in source.FILES for p in files.patterns}
            around = wanted.parent.parent.iterdir() if wanted.parent.parent.is_dir() else ()
            beside = [path.name for path in around if path.is_dir() and path.name not in kept]
            simple = {folder.lower().replace("_", "-").rstrip("s"): folder for folder in beside}
            close = difflib.get_close_matches(wanted.parent.name.lower().replace("_", "-").rstrip("s"), simple, n=1,
                                              cutoff=0.75)  # fmt: skip
            if close:
                return f"Rename {wanted.parent.parent / simple[close[0]]} to {wanted.parent.name}."
            continue
        similar = sorted(path.name for path in wanted.parent.glob(f"{name}*"))
        if similar:
            return f"{wanted.parent} has {similar[0]} where {wanted.name} is expected; rename or convert such files."
    in_use = [place for place in places if (source.folder / place).parent.is_dir()] or places[:1]
    listed = " or ".join(str(source.folder / place.format(name="NAME")) for place in in_use)
    left = "such pairs are left out" if photo else "examples without it say so (see docs/datasets.md)"
    return f"It belongs in {listed}; {left}."


def _unreadable(source: field.Source, split: str, pairs: list[field.Pair]) -> Iterator[Finding]:
    """What does not belong together in the files of a sample of pairs: each kind of mistake once, and how often."""
    mistakes, outside = {}, []
    places = np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), _SAMPLE)).round().astype(int))
    for index in tqdm(places, desc=f"opening {split}", leave=False, disable=None):
        pair = pairs[index]
        try:
            person = source.person(split, pair, pair.person)
            if pair.garment:
                source.garment(split, pair)
        except UserError as error:
            text = str(error)
            mistakes.setdefault(_kind(text), []).append(text)
            continue
        height, width = person.picture.size
        inside = ((person.points >= -1) & (person.points <= (width, height))).all(-1)
        if (person.visible & ~inside).sum() > 2:
            outside.append(pair.person)
    for texts in mistakes.values():
        often = f" ({len(texts)} such in {len(places)} opened)" if len(texts) > 1 else ""
        yield Finding(f"{split}: {texts[0]}{often}",
                      "Until then no dataset can be made of it; or take the pair off the list.")  # fmt: skip
    if outside:
        shown = f"{len(outside)} of {len(places)} ({_some(outside)})"
        yield Finding(f"{split}: keypoints lie outside of the photo in {shown}.",
                      "Photos and keypoints are of different sizes: get both from one release.")  # fmt: skip


def _kind(text: str) -> str:
    """A sentence without its first word (a path) and numbers: what two mistakes of one kind share."""
    return "".join(c for c in text.partition(" ")[2] if not c.isdigit())[:60]


def _in_two_splits(splits: dict[str, list[field.Pair]]) -> Iterator[Finding]:
    names = {split: {pair.person for pair in pairs} for split, pairs in splits.items()}
    if shared := sorted(names.get("train", set()) & names.get("test", set())):
        yield Finding(f"{len(shared)} people are in train and in test ({_some(shared)}).",
                      "Two lists were mixed up; copy both from the dataset's archive. "
                      "python data/build.py check --data_dir=DIR finds such in what is prepared.")  # fmt: skip


def report(name: str, findings: list[Finding], counts: dict[str, int]) -> str:
    """The findings as text for people, the serious ones first."""
    lines = [str(finding) for finding in sorted(findings, key=lambda finding: not finding.serious)]
    if counts:
        lines.append(f"{name}: " + ", ".join(f"{count} {split}" for split, count in counts.items()) + " can be read.")
    if not any(finding.serious for finding in findings):
        lines.append("Nothing keeps it from being prepared.")
    return "\n".join(lines)
