"""How good the annotators are: python benchmarks/annotators.py --clips=DIR --faces=DIR --people=20 ...

--clips: clips NAME.mp4 beside NAME_dwpose.npz (`body` [T, 18, 2] in fractions of the frame, `valid` [T, 18]); prints
the distance of the found joints from the given ones in % of the person's height. --faces: photos and labels.csv
(file,group); prints pairwise precision and recall of the people found. --people: the same for two videos each of so
many drawn people, which go through the whole annotation. --parsed: how right the labels are, on so many drawn people,
on Clothing Co-Parsing's validation photos (--ccp) and, without a truth, on --clips. --garments: how often two people's
clothes look alike by their colours, of --ccp. --pose_model, --face_detector and --face_model are those of
data/build.py; the appearance embedder needs a parse, so --faces without --face_model takes the photos for people.
"""

import csv
import itertools
import sys
import tempfile
from pathlib import Path

import numpy as np
from absl import flags

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from data.raw import annotate, outfits, people
from vton_jax.catalogue import motion, videos
from vton_jax.command_line import flag_utils
from vton_jax.core import framing, keypoints, label_tables, segmentation
from vton_jax.evaluate import metrics
from vton_jax.inputs import ccp
from vton_jax.media import photo_files, video_files
from vton_jax.reading.choice import Choice

FLAGS = flags.FLAGS
flags.DEFINE_string("clips", None, "Folder of clips with their poses.")
flags.DEFINE_string("faces", None, "Folder of face photos with labels.csv.")
flags.DEFINE_integer("people", 0, "Drawn people to tell apart.")
flags.DEFINE_integer("parsed", 0, "Drawn people whose labels are read.")
flags.DEFINE_bool("garments", False, "How often two people's clothes look alike, with --ccp.")
flags.DEFINE_string("ccp", None, "Folder of Clothing Co-Parsing.")
flags.DEFINE_integer("every", 6, "Of the clips, every so many frames.")
flag_utils.define_settings(Choice)
_SIZE = (256, 192)


def pose_error(annotators) -> None:
    for clip in sorted(Path(FLAGS.clips).glob("*.mp4")):
        frames = video_files.read_video(clip)[0][:: FLAGS.every]
        with np.load(clip.with_name(f"{clip.stem}_dwpose.npz")) as file:
            # Fractions of the frame: 0 is the left edge of the first pixel.
            truth = file["body"][:: FLAGS.every] * [frames.shape[2], frames.shape[1]] - 0.5
            valid = file["valid"][:: FLAGS.every]
        points, confidence = annotators.pose.estimate(frames)
        seen = valid & (confidence >= annotators.pose.threshold)
        apart = np.linalg.norm(points - truth, axis=-1) / keypoints.person_height(truth, valid)[:, None] * 100
        middle, most = np.percentile(apart[seen], [50, 90])
        found = 100 * seen.sum() / valid.sum()
        print(f"{clip.name}: median {middle:.2f}%, 90th percentile {most:.2f}% of the person's height; {found:.1f}% of "
              f"the joints found; {annotators.pose.name}")  # fmt: skip


def scores(embedder, embeddings: list, truth: list, missed: int) -> None:
    found = people.cluster(np.array(embeddings), embedder.threshold)
    precision, recall = people.pairwise(found, truth)
    print(f"{len(truth)} of {len(set(truth))} people, {missed} without a face: {len(set(found))} clusters, pairwise "
          f"precision {precision:.3f}, recall {recall:.3f}; {embedder.name}")  # fmt: skip


def face_photos(annotators) -> None:
    with (Path(FLAGS.faces) / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    embeddings, truth = [], []
    for row in rows:
        photo = photo_files.read_photo(Path(FLAGS.faces) / row["file"])
        labels = None if FLAGS.face_model else annotators.parser.parse(photo[None])[0][0]
        found = annotators.faces.faces(photo, labels)
        if found:
            embeddings.append(found[0].embedding)
            truth.append(row["group"])
    scores(annotators.faces, embeddings, truth, len(rows) - len(truth))


def drawn_people(annotators) -> None:
    embeddings, truth, total = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        list(videos.write(folder, FLAGS.people, 2, videos.Settings(seed=33, seconds=4, frame_rate=3)))
        for path in sorted((Path(folder) / "videos").glob("*.mp4")):
            unit = annotate.annotate_video(path, path.name, annotators, annotate.Settings(frames_per_shot=6))
            total += 1
            for shot in unit.shots:
                if len(shot.embedding):
                    embeddings.append(shot.embedding)
                    truth.append(path.stem.rsplit("_", 1)[0])
    scores(annotators.faces, embeddings, truth, total - len(truth))


_TIMES = (0.3, 1.4, 2.5, 3.6)


def _rendered(video: videos.Video) -> tuple[np.ndarray, np.ndarray]:
    """Four frames of a video to come, and their true labels."""
    shots = [video.place.shot(video.person, video.skins, motion.pose_at(video.moves, time)) for time in _TIMES]
    return np.stack([shot.image for shot in shots]), np.stack([shot.view.segmentation for shot in shots])


def _parsed_examples():
    """(kind, table of merged classes, [(frames, merged truth or None)])."""
    settings = videos.Settings(seed=61, seconds=4)
    rendered = (_rendered(next(videos.plan_person(settings, index, 1))) for index in range(FLAGS.parsed))
    yield "drawn people", label_tables.MERGED_FROM_LABEL, ((f, label_tables.merged(labels)) for f, labels in rendered)
    if FLAGS.ccp:
        photos = (ccp.read(FLAGS.ccp, number) for number in ccp.numbers(FLAGS.ccp) if ccp.is_validation(number))
        fitted = (
            (framing.fit(photo, _SIZE)[0], framing.fit(ids, _SIZE, fill=0, nearest=True)[0]) for photo, ids in photos
        )
        examples = ((photo[None], label_tables.CCP_MERGED_FROM_CCP[ids][None]) for photo, ids in fitted)
        yield "street photos", label_tables.CCP_MERGED_FROM_LABEL, examples
    if FLAGS.clips:
        clips = (video_files.read_video(clip, 4, select="even")[0] for clip in sorted(Path(FLAGS.clips).glob("*.mp4")))
        fitted = (np.stack([framing.fit(frame, _SIZE)[0] for frame in frames]) for frames in clips)
        yield "clips", label_tables.MERGED_FROM_LABEL, ((frames, None) for frames in fitted)


def labels(parser) -> None:
    for kind, table, examples in _parsed_examples():
        certain, matrix = [], np.zeros((int(table.max()) + 1,) * 2, np.int64)
        for frames, truth in examples:
            read, certainty = parser.parse(frames)
            certain.append(float(certainty.mean()))
            if truth is not None:
                matrix = matrix + metrics.confusion(table[read], truth, len(matrix))
        score = f"{metrics.miou_from_confusion(matrix)[0]:.3f}" if matrix.any() else "no truth"
        print(f"{len(certain)} {kind}: certainty {min(certain):.3f} to {max(certain):.3f}; mIoU: {score}; "
              f"{parser.name}")  # fmt: skip


def garments() -> None:
    described = []
    for number in ccp.numbers(FLAGS.ccp)[::5]:
        photo, ids = ccp.read(FLAGS.ccp, number)
        labels = label_tables.LABEL_FROM_CCP[ids]
        labels = np.where(labels == segmentation.UNKNOWN, segmentation.ID["face"], labels)  # skin and shoes
        described.append(outfits.describe(photo[None], labels[None]))
    for piece, colours in zip(outfits.PIECES, np.stack(described, 1), strict=True):
        pairs = list(itertools.combinations(colours[colours.any(1)], 2))
        alike = np.mean([outfits.distance(one, two) < outfits.SAME for one, two in pairs])
        print(f"street photos, {piece}: {100 * alike:.1f}% of {len(pairs)} pairs look alike")


def main() -> None:
    annotators = flag_utils.build_settings(Choice).load()
    if FLAGS.parsed:
        labels(annotators.parser)
    if FLAGS.garments:
        garments()
    if FLAGS.clips and not FLAGS.parsed:
        pose_error(annotators)
    if FLAGS.faces:
        face_photos(annotators)
    if FLAGS.people:
        drawn_people(annotators)


if __name__ == "__main__":
    flag_utils.run(main)
