"""From finished units to people with their videos, and what became of every video and frame."""

import csv
import dataclasses
import io
from pathlib import Path

import numpy as np

from data.pose_and_dress import selection
from data.raw import annotate, engine, outfits, people, units
from vton_jax.core.errors import UserError
from vton_jax.reading.choice import Choice


@dataclasses.dataclass
class Raw:
    """The raw videos of a build. `rejected`: (video, frame or None, reason); `found_by`: how people were told apart."""

    videos: list[selection.Video]
    rejected: list[tuple[str, int | None, str]]
    found_by: str
    faces: dict[str, int]  # shot -> frames with a face
    total: int = 0
    splits: dict[str, str] = dataclasses.field(default_factory=dict)  # shot -> split
    samples: dict[str, int] = dataclasses.field(default_factory=dict)  # shot -> samples it is part of

    def note_use(self, splits, dropped, samples) -> None:
        """Adds what the samples left out."""
        self.splits = {video.name: split for split, part in splits.items() for video in part}
        for sample in (sample for part in samples.values() for sample in part):
            for video in (sample.input_video, sample.donor_video):
                self.samples[video.name] = self.samples.get(video.name, 0) + 1
        people_files = {}
        for video in self.videos:
            people_files.setdefault(video.person, {})[video.file] = video.garments
        for video in self.videos:
            if self.samples.get(video.name):
                continue
            others = [worn for file, worn in people_files[video.person].items() if file != video.file]
            if video.name in dropped:
                reason = "a garment of it is in another split"
            elif not others:
                reason = "no other video shows this person"
            elif all(worn == video.garments for worn in others):
                reason = "this person wears the same in every other video"
            else:
                reason = "too few poses that differ clearly, or the garment is hardly seen"
            self.rejected.append((video.name, None, f"not used: {reason}"))
        self.rejected.sort(key=lambda row: (row[0], -1 if row[1] is None else row[1], row[2]))

    def most_frequent_reason(self) -> str:
        """A sentence on why raw videos were rejected, '' where none was."""
        reasons = [reason for _, frame, reason in self.rejected if frame is None and not reason.startswith("used")]
        if not reasons:
            return ""
        most = max(sorted(set(reasons)), key=reasons.count)
        return f"Of its {self.total} raw videos it says most often: {most.removeprefix('not used: ')}."

    def write_reports(self, folder: Path) -> None:
        """rejected.csv, people.csv and report.html into the dataset's folder."""
        from data.raw import report

        write_rejected(folder, self.rejected)
        _write_table(
            folder / "people.csv", ("video", "person", "split", "garments", "frames_with_a_face", "samples"),
            [
                (v.name, v.person, self.splits.get(v.name, ""), " ".join(filter(None, v.garments)),
                 self.faces[v.name], self.samples.get(v.name, 0))
                for v in self.videos
            ],
        )  # fmt: skip
        (folder / "report.html").write_text(report.page(self))


def write_rejected(folder: Path, rejected: list[tuple[str, int | None, str]]) -> None:
    """rejected.csv from (video, frame or None, reason)."""
    rows = [(video, "" if frame is None else frame, reason) for video, frame, reason in rejected]
    _write_table(folder / "rejected.csv", ("video", "frame", "reason"), rows)


def _write_table(path: Path, head: tuple[str, ...], rows: list[tuple]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerows([head, *rows])
    path.write_text(text.getvalue())


def gather(
    source: selection.Source,
    contents: dict[Path, str],
    made_by: str,
    choice: Choice,
    settings: annotate.Settings,
    *,
    execution: engine.Execution,
) -> Raw:
    """Annotates the raw videos of a source, as far as that is not done, and finds out who is in them."""
    names = sorted(source.raw)
    listed = people.read_people(source.people_file) if source.people_file else None
    if listed and (unknown := sorted(set(listed) - set(names) - {Path(n).name for n in names})):
        raise UserError(f"{source.people_file} names {unknown[0]!r}, which is no raw video of {source.folder}.")
    rejected, first, todo = [], {}, []
    for name in names:
        content = contents[source.raw[name]]
        if content in first:
            rejected.append((name, None, f"the same file as {first[content]}"))
        else:
            first[content] = name
            todo.append(name)
    paths = [source.raw[name] for name in todo]
    work_dir = Path(execution.work_dir or Path(source.folder).with_name(f"{source.folder.name}_work"))
    jobs = engine.jobs(todo, paths, [contents[path] for path in paths], made_by, work_dir)
    engine.run(jobs, choice, settings, execution)
    shots = []  # (unit's path, index, shot), without pixels
    for job in jobs:
        unit = units.read(Path(job.unit), pixels=False)
        rejected += [(unit.name, frame, reason) for frame, reason in unit.rejected_frames]
        if unit.rejected:
            rejected.append((unit.name, None, unit.rejected))
        if unit.problem:
            rejected.append((unit.name, None, f"used as far as it goes: {unit.problem.replace(job.path, job.name)}"))
        shots += [(Path(job.unit), index, shot, unit.name) for index, shot in enumerate(unit.shots)]
    kept, who, found_by = _identify(shots, listed, choice, rejected)
    told = people.read_garments(source.people_file) if source.people_file else {}
    worn_by_list = {
        shot.name: told.get(file, told.get(Path(file).name))
        for _, _, shot, file in kept
        if file in told or Path(file).name in told
    }
    described = {}
    for (_, _, shot, _), person in zip(kept, who, strict=True):
        described.setdefault(person, []).append(shot)
    garments = {}
    for person, mine in described.items():
        ids = outfits.garment_ids(person, [shot.outfit for shot in mine])
        ids = [worn_by_list.get(shot.name, worn) for shot, worn in zip(mine, ids, strict=True)]
        garments |= {shot.name: worn for shot, worn in zip(mine, ids, strict=True)}
    videos = [
        selection.Video(
            shot.name, person, garments[shot.name], np.zeros((0, 0, 0), np.uint8), shot.keypoints, shot.visible, path,
            shot.numbers, index,
        )
        for (path, index, shot, _), person in zip(kept, who, strict=True)
    ]  # fmt: skip
    return Raw(videos, rejected, found_by, {shot.name: shot.faces for _, _, shot, _ in kept}, len(names))


def _identify(shots, listed, choice: Choice, rejected: list):
    """(shots whose person is known, their people, how that was found)."""
    if listed:
        known = [listed.get(file, listed.get(Path(file).name)) for _, _, _, file in shots]
        found_by = "people.csv"
        rejected += [
            (shot.name, None, "not used: people.csv does not name it")
            for (_, _, shot, _), person in zip(shots, known, strict=True) if person is None
        ]  # fmt: skip
        kept = [(entry, person) for entry, person in zip(shots, known, strict=True) if person is not None]
        return [entry for entry, _ in kept], [person for _, person in kept], found_by
    embedder = choice.load().faces
    kept = [entry for entry in shots if len(entry[2].embedding)]
    rejected += [
        (shot.name, None, "not used: no face was found that would tell who it is")
        for _, _, shot, _ in shots if not len(shot.embedding)
    ]  # fmt: skip
    clusters = people.cluster(np.array([shot.embedding for _, _, shot, _ in kept]), embedder.threshold)
    who = people.names_of(list(clusters), [shot.name for _, _, shot, _ in kept])
    return kept, who, f"clusters of {embedder.name}, average linkage cut at {embedder.threshold:g}"
