"""How good the annotators are: python benchmarks/annotators.py --clips=DIR --faces=DIR --mannequins=20 ...

--clips: clips NAME.mp4 beside NAME_dwpose.npz (`body` [T, 18, 2] in shares of the frame, `valid` [T, 18]); prints the
distance of the found joints from the given ones in % of the person's height. --faces: photos and labels.csv
(file,group); prints pairwise precision and recall of the people found. --mannequins: the same for two videos each of so
many mannequins, which go through the whole annotation. --pose_model, --face_detector and --face_model are those of
data/build.py; the appearance embedder needs a parse, so --faces without --face_model takes the photos for people.
"""

import csv
import sys
import tempfile
from pathlib import Path

import numpy as np
from absl import flags

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from data.raw import annotate, people  # noqa: E402
from vton_jax import flag_utils, keypoints, media  # noqa: E402
from vton_jax.annotators.choice import Choice  # noqa: E402
from vton_jax.mannequin import catalogue  # noqa: E402

FLAGS = flags.FLAGS
flags.DEFINE_string("clips", None, "Folder of clips with their poses.")
flags.DEFINE_string("faces", None, "Folder of face photos with labels.csv.")
flags.DEFINE_integer("mannequins", 0, "Mannequins to tell apart.")
flags.DEFINE_integer("every", 6, "Of the clips, every so many frames.")
flag_utils.define_settings(Choice)


def pose_error(annotators) -> None:
    for clip in sorted(Path(FLAGS.clips).glob("*.mp4")):
        frames = media.read_video(clip)[0][:: FLAGS.every]
        with np.load(clip.with_name(f"{clip.stem}_dwpose.npz")) as file:
            # Shares of the frame: 0 is the left edge of the first pixel.
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
        photo = media.read_photo(Path(FLAGS.faces) / row["file"])
        labels = None if FLAGS.face_model else annotators.parser.parse(photo[None])[0][0]
        found = annotators.faces.faces(photo, labels)
        if found:
            embeddings.append(found[0].embedding)
            truth.append(row["group"])
    scores(annotators.faces, embeddings, truth, len(rows) - len(truth))


def mannequins(annotators) -> None:
    embeddings, truth, total = [], [], 0
    with tempfile.TemporaryDirectory() as folder:
        list(catalogue.write(folder, FLAGS.mannequins, 2, catalogue.Settings(seed=33, seconds=4, frame_rate=3)))
        for path in sorted((Path(folder) / "videos").glob("*.mp4")):
            unit = annotate.annotate_video(path, path.name, annotators, annotate.Settings(frames_per_shot=6))
            total += 1
            for shot in unit.shots:
                if len(shot.embedding):
                    embeddings.append(shot.embedding)
                    truth.append(path.stem.rsplit("_", 1)[0])
    scores(annotators.faces, embeddings, truth, total - len(truth))


def main() -> None:
    annotators = flag_utils.build_settings(Choice).load()
    if FLAGS.clips:
        pose_error(annotators)
    if FLAGS.faces:
        face_photos(annotators)
    if FLAGS.mannequins:
        mannequins(annotators)


if __name__ == "__main__":
    flag_utils.run(main)
