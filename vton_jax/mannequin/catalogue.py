"""A catalogue of videos with their truth, as if a shop had handed it over.

Conventions: a person has one look and one scene (one photo session) and several videos, each in another outfit:
consecutive outfits differ in the upper garment, in the lower one, or in everything but the shoes. Below the folder:

    videos/PERSON_K.mp4      H.264
    truth/PERSON_K.npz       segmentation uint8 [T, H, W]; keypoints float32 [T, 18, 2]; visible bool [T, 18]; times
                             float32 [T] in seconds; person, outfit_id; upper, lower, dress: the garments' ids, '' where
                             there is none; identity/..., outfit/..., motion/..., scene/...: the parameters, from which
                             every frame and every exact flow can be computed again (`load_truth`, `exact_flow`)
    garments/GARMENT.png     the garment alone, laid flat on white; GARMENT_mask.png (255: garment); GARMENT.json
                             (landmarks `[x, y]` in pixels)
    catalogue.csv            video, person, outfit, garments
    catalogue.json           the settings

A garment's id is a digest of its parameters, so that two garments with one id are the same and a split by garments can
be proven. The same settings give the same bytes. A video is finished when it exists: a stopped run goes on.
"""

import csv
import dataclasses
import functools
import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.core import files, segmentation
from vton_jax.core.errors import UserError
from vton_jax.mannequin import body, motion, people, render
from vton_jax.media import photo_files, video_files

# Live training and evaluation fold 0, 1 and 2 into the seed (`sampler.SPLITS`): the catalogue's people are others.
_CATALOGUE = 3
_SMALLEST = 32
# What the next outfit changes: upper, lower, everything.
_CHANGES = (0.4, 0.3, 0.3)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the bytes of a catalogue depend on, beside the number of people and videos."""

    seed: int = 0
    seconds: float = 4.0
    frame_rate: float = 15.0
    size: tuple[int, int] = render.SIZE
    samples: int = 1

    @property
    def num_frames(self) -> int:
        return max(round(self.seconds * self.frame_rate), 1)


@dataclasses.dataclass(frozen=True)
class Video:
    """One video to come: who, in what, doing what, where. The parameters are pytrees of `people` and `motion`."""

    name: str
    person: str
    index: int
    identity: people.Identity
    outfit: people.Outfit
    moves: motion.Motion
    scene: people.Scene
    garments: dict[str, str]  # 'upper', 'lower', 'dress' -> id, '' where there is none


# --- who wears what --------------------------------------------------------------------------------------------------


@jax.jit
def _sample_person(key: jax.Array):
    keys = jax.random.split(key, 3)
    return people.sample_identity(keys[0]), people.sample_scene(keys[1]), people.sample_outfit(keys[2])


@jax.jit
def _next_outfit(key: jax.Array, worn: people.Outfit) -> people.Outfit:
    """Another outfit, which differs from `worn` in the upper garment, the lower one, or both."""
    keys = jax.random.split(key, 3)
    other, change = people.sample_outfit(keys[0]), people.Draws(keys[1], 1).index(3, _CHANGES)
    # A dress replaces everything: where one piece is to change, the donor wears two.
    top = people.sample_garment(keys[2], where="upper")
    whole = (change == 2) | (worn.dress > 0.5)
    pick = lambda a, b: jnp.where(whole | (other.dress < 0.5), a, b)  # noqa: E731
    other = other.replace(upper=jax.tree.map(pick, other.upper, top), dress=jnp.where(whole, other.dress, 0.0))
    return people.exchange(worn, other, change)


@functools.partial(jax.jit, static_argnums=1)
def _sample_motion(key: jax.Array, seconds: float) -> motion.Motion:
    return motion.sample_motion(key, seconds)


def _digest(*trees) -> str:
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(trees):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()[:12]


def garments_of(outfit: people.Outfit) -> dict[str, str]:
    """The ids of what is worn: {'upper': id, 'lower': id, 'dress': id}, '' where there is none."""
    if float(outfit.dress) > 0.5:
        return {"upper": "", "lower": "", "dress": f"dress-{_digest(outfit.upper)}"}
    kind = "skirt" if float(outfit.skirt) > 0.5 else "trousers"
    return {"upper": f"upper-{_digest(outfit.upper)}", "lower": f"{kind}-{_digest(outfit.lower)}", "dress": ""}


def plan_person(settings: Settings, index: int, num_videos: int) -> list[Video]:
    """The videos of one person. They depend on seed and index alone; more videos leave the first as they are."""
    root = jax.random.fold_in(jax.random.fold_in(jax.random.PRNGKey(settings.seed), _CATALOGUE), index)
    keys = jax.random.split(root, 3)
    identity, scene, outfit = jax.device_get(_sample_person(keys[0]))
    person = f"s{settings.seed}-p{index:04d}"
    videos = []
    for k in range(num_videos):
        if k:
            outfit = jax.device_get(_next_outfit(jax.random.fold_in(keys[1], k), outfit))
        moves = jax.device_get(_sample_motion(jax.random.fold_in(keys[2], k), settings.seconds))
        videos.append(Video(f"{person}_{k}", person, k, identity, outfit, moves, scene, garments_of(outfit)))
    return videos


# --- rendering -------------------------------------------------------------------------------------------------------


def _culled() -> bool:
    return jax.default_backend() == "cpu"


def _uint8(image: jax.Array) -> jax.Array:
    return jnp.round(image * 255).astype(jnp.uint8)


@functools.partial(jax.jit, static_argnames=("size", "samples"))
def render_walk(identity, outfit, moves, scene, times: jax.Array, *, size: tuple[int, int], samples: int = 1):
    """All frames of a video in one program.

    Returns images uint8 [T, H, W, 3], segmentation uint8 [T, H, W], keypoints float32 [T, 18, 2] and visible [T, 18].
    """

    def frame(time):
        pose = motion.pose_at(moves, time)
        shot = render.render(identity, outfit, pose, scene, size=size, samples=samples, culled=_culled())
        return _uint8(shot.image), shot.segmentation, shot.keypoints, shot.visible

    return jax.lax.map(frame, times, batch_size=None if _culled() else 16)


@functools.partial(jax.jit, static_argnames="size")
def _flat(identity, outfit, lower: jax.Array, *, size: tuple[int, int]):
    flat = render.render_flat(
        identity, outfit, motion.flat_pose(), people.even_scene(), lower=lower, size=size, culled=_culled()
    )
    return _uint8(flat.frame.image), flat.frame.segmentation, flat.landmarks, flat.present


# --- files -----------------------------------------------------------------------------------------------------------


def _flatten(name: str, tree) -> dict[str, np.ndarray]:
    """{'name/field/...': array} for every number of a pytree."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {f"{name}/{jax.tree_util.keystr(path, simple=True, separator='/')}": np.asarray(a) for path, a in leaves}


def _unflatten(name: str, like, values) -> object:
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    names = [f"{name}/{jax.tree_util.keystr(path, simple=True, separator='/')}" for path, _ in leaves]
    return jax.tree.unflatten(structure, [values[n] for n in names])


@functools.cache
def _shapes(seconds: float) -> dict:
    """The structure of the parameters that a truth file keeps."""
    key = jax.ShapeDtypeStruct((2,), jnp.uint32)
    identity, scene, outfit = jax.eval_shape(_sample_person, key)
    moves = jax.eval_shape(lambda k: motion.sample_motion(k, seconds), key)
    return {"identity": identity, "outfit": outfit, "motion": moves, "scene": scene}


def load_truth(path: str | os.PathLike) -> dict:
    """Reads a truth file: the arrays and texts of the module's docstring, and 'identity', 'outfit', 'motion', 'scene'.

    Raises UserError for a file that is missing, damaged or no truth file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            values = {name: file[name] for name in file.files}
        truth = {name: value for name, value in values.items() if "/" not in name}
        texts = [name for name, value in truth.items() if value.dtype.kind == "U"]
        truth |= {name: str(truth[name]) for name in texts}
        return truth | {name: _unflatten(name, like, values) for name, like in _shapes(1.0).items()}
    except FileNotFoundError:
        raise UserError(f"There is no truth file {path}.") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged or no truth file of a catalogue ({error}); write it again.") from None


@functools.partial(jax.jit, static_argnames="size")
def _flow(identity, outfit, moves, scene, times, *, size):
    def surface(time):
        pose = motion.pose_at(moves, time)
        return render.render(identity, outfit, pose, scene, size=size, culled=_culled()).surface

    surfaces = jax.lax.map(surface, times)
    one, two = (jax.tree.map(lambda a, i=i: a[i], surfaces) for i in (0, 1))
    return render.flow_between(one, two, size)


def exact_flow(truth: dict, source: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """The exact backward flow [H, W, 2] between two frames of a video, and its visibility [H, W].

    Args: `truth` from `load_truth`; `source` and `target`, frame numbers. Warping the source shows the target.
    """
    times = jnp.asarray(truth["times"])[jnp.array([source, target])]
    parameters = (truth[name] for name in ("identity", "outfit", "motion", "scene"))
    flow, visible = _flow(*parameters, times, size=truth["segmentation"].shape[1:])
    return np.asarray(flow), np.asarray(visible)


def _write_garments(folder: Path, video: Video, size: tuple[int, int]) -> None:
    for worn, name in video.garments.items():
        done = folder / f"{name}.json"
        if not name or done.exists():
            continue
        image, labels, landmarks, present = map(
            np.asarray, _flat(video.identity, video.outfit, jnp.asarray(worn == "lower"), size=size)
        )
        photo_files.write_image(folder / f"{name}.png", image)
        mask = segmentation.region(labels, segmentation.GARMENTS)
        photo_files.write_image(folder / f"{name}_mask.png", np.where(mask, 255, 0).astype(np.uint8))
        points = {n: [round(float(v), 3) for v in landmarks[i]] for i, n in enumerate(body.LANDMARKS) if present[i]}
        about = {"garment": name, "worn": worn, "size": list(size), "landmarks": points}
        files.write_text(done, json.dumps(about, indent=1) + "\n")


def _write_video(folder: Path, video: Video, settings: Settings) -> None:
    times = (np.arange(settings.num_frames) / settings.frame_rate).astype(np.float32)
    parameters = (video.identity, video.outfit, video.moves, video.scene)
    images, labels, points, visible = map(
        np.asarray, render_walk(*parameters, times, size=settings.size, samples=settings.samples)
    )
    _write_garments(folder / "garments", video, settings.size)
    names = ("identity", "outfit", "motion", "scene")
    numbers = {k: v for name, tree in zip(names, parameters, strict=True) for k, v in _flatten(name, tree).items()}
    truth = folder / "truth" / f"{video.name}.npz"
    with files.replacing(truth) as temporary, files.writing(truth):
        np.savez_compressed(
            temporary, segmentation=labels, keypoints=points, visible=visible, times=times,
            person=np.array(video.person), outfit_id=np.array(f"{video.person}-o{video.index}"),
            **{worn: np.array(name) for worn, name in video.garments.items()}, **numbers,
        )  # fmt: skip
    # The video comes last: where it exists, all of it does.
    video_files.write_video(folder / "videos" / f"{video.name}.mp4", images, settings.frame_rate)


def _prepare(folder: Path, settings: Settings) -> None:
    """Creates the folders, proves that they can be written to, and that no other catalogue lies there."""
    try:
        for name in ("videos", "truth", "garments"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder / name):
                pass
    except OSError as error:
        raise UserError(f"The folder {folder} cannot be written to ({error.strerror}); choose another.") from None
    # 4 and 4.0 frames a second are the same catalogue.
    plain = {name: float(v) if isinstance(v, int) else v for name, v in dataclasses.asdict(settings).items()}
    about = json.dumps(plain, indent=1) + "\n"
    path = folder / "catalogue.json"
    if path.exists() and path.read_text() != about:
        raise UserError(f"{folder} holds a catalogue with other settings (see {path}); choose another folder.")
    files.write_text(path, about)


def _write_table(folder: Path) -> None:
    """catalogue.csv of all finished videos."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("video", "person", "outfit", "garments"))
    for path in sorted((folder / "videos").glob("*.mp4")):
        with np.load(folder / "truth" / f"{path.stem}.npz", allow_pickle=False) as truth:
            worn = [str(truth[name]) for name in ("upper", "lower", "dress")]
            table.writerow((path.name, truth["person"], truth["outfit_id"], " ".join(filter(None, worn))))
    files.write_text(folder / "catalogue.csv", text.getvalue())


def write(folder: str | os.PathLike, num_people: int, videos_per_person: int, settings: Settings) -> Iterator[str]:
    """Checks and prepares the folder; the iterator writes a catalogue and yields the name of each finished video.

    Videos that exist are not written again. Raises UserError, before the iterator runs, for a folder that cannot be
    written to or holds another catalogue, and for numbers that make no catalogue.
    """
    for value, what in ((num_people, "person"), (videos_per_person, "video a person"), (settings.samples, "sample")):
        if value < 1:
            raise UserError(f"A catalogue needs at least one {what}; {value} were asked for.")
    if settings.seconds <= 0 or settings.frame_rate <= 0:
        raise UserError("A catalogue needs a length in seconds and a frame rate above 0.")
    if min(settings.size) < _SMALLEST:
        raise UserError(
            f"Frames of {settings.size[0]}x{settings.size[1]} show nobody; {_SMALLEST} pixels are the least."
        )
    folder = Path(folder).expanduser()
    _prepare(folder, settings)

    def write_all():
        for index in range(num_people):
            for video in plan_person(settings, index, videos_per_person):
                finished = [folder / "videos" / f"{video.name}.mp4", folder / "truth" / f"{video.name}.npz"]
                if not all(path.exists() for path in finished):
                    _write_video(folder, video, settings)
                yield video.name
        _write_table(folder)

    return write_all()
