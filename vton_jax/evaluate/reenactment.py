"""Real clips, of which the first frame is dressed in the others' poses: what the suite `ubc` reads and measures.

Conventions: of each clip the user is the first frame, the garment is worn in another one, the poses are the rest; the
truth of a pose is its own frame. Pictures are at the networks' size. Only layouts, keypoints and the latents they are
decoded from leave a pose frame.
"""

import dataclasses
from pathlib import Path

import numpy as np

from vton_jax.compositing import backdrops, temporal_filters
from vton_jax.core import framing, keypoints, listings, segmentation
from vton_jax.core.errors import NoPersonFound, UserError, WrongOption
from vton_jax.core.framing import to_float
from vton_jax.core.types import Pose, Target
from vton_jax.evaluate import metrics, scores
from vton_jax.evaluate.dressing import Compared
from vton_jax.media import video_files, visualize

_SHOWN = 5  # frames of each clip on the sheet


@dataclasses.dataclass
class Clip:
    """One real clip and which of its frames are what."""

    name: str
    frames: np.ndarray  # uint8 [T, H, W, 3] of the networks' size
    donor: int  # the frame in which the garment is worn
    poses: np.ndarray  # int [N], the frames that are posed after and scored
    run: np.ndarray  # int [M], consecutive frames, on which flicker is measured
    true_keypoints: np.ndarray | None = None  # float [T, 18, 2], DWPose's, in pixels of `frames`
    true_visible: np.ndarray | None = None  # bool [T, 18]

    def floats(self, indices) -> np.ndarray:
        """Frames as floats in [0, 1]."""
        return to_float(self.frames[indices])


@dataclasses.dataclass
class Reenactment:
    """A clip's first person in the poses of some of its frames [N], by every system."""

    images: dict[str, np.ndarray]  # float [N, H, W, 3]
    targets: list[Target]
    poses: Pose


# ------------------------------------------------------------------------------------------------------- reading clips


def read_clips(folder: str, size: tuple[int, int], stride: int, run: int) -> list[Clip]:
    """Reads the clips `FOLDER/*.mp4`, each with NAME_dwpose.npz where it is there.

    Args: stride: every so many frames is a pose, but for user and garment, which is a quarter into the clip. run: how
    many frames amid the clip are its run. Returns: the clips by their names. Raises: UserError where there is none, or
    one of too few frames.
    """
    paths = listings.files_in(folder, "*.mp4")
    if not paths:
        raise WrongOption("data", folder, "is no folder of clips: it should hold NAME.mp4 (and NAME_dwpose.npz).")
    return [_read_clip(path, size, stride, run) for path in paths]


def _read_clip(path: Path, size: tuple[int, int], stride: int, run: int) -> Clip:
    fitted, places = zip(*(framing.fit(frame, size) for frame in video_files.iterate_video(path)), strict=True)
    frames = np.stack(fitted)
    donor = len(frames) // 4
    poses = np.array([i for i in range(stride, len(frames), stride) if i != donor])
    if donor == 0 or not len(poses):
        raise UserError(f"{path} has {len(frames)} frames, too few for a user, a donor and poses at this stride.")
    middle = max(1, (len(frames) - run) // 2)
    clip = Clip(path.stem, frames, donor, poses, np.arange(middle, min(middle + run, len(frames))))
    annotated = path.with_name(f"{path.stem}_dwpose.npz")
    if annotated.exists():
        clip.true_keypoints, clip.true_visible = _read_dwpose(annotated, places)
    return clip


def _read_dwpose(path: Path, places: list[framing.Placement]) -> tuple[np.ndarray, np.ndarray]:
    """DWPose's body in pixels of the fitted frames; the file has `body` [T, 18, 2], frame-relative, `valid` [T, 18]."""
    try:
        with np.load(path) as file:
            body, valid = file["body"], file["valid"].astype(bool)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read as DWPose's keypoints ({error}).") from None
    if body.shape != (len(places), 18, 2) or valid.shape != body.shape[:2]:
        raise UserError(f"{path} holds {body.shape} keypoints for a clip of {len(places)} frames.")
    extent = np.array(places[0].source_size[::-1], np.float32)
    return np.stack([place.points(p * extent - 0.5) for place, p in zip(places, body, strict=True)]), valid


# ------------------------------------------------------------------------------------------------- dressing and scoring


def reenact(compared: Compared, clip: Clip, indices: np.ndarray, background: str) -> Reenactment:
    """Dresses the first frame's person in the clothes of the garment's frame.

    Args: indices: of the frames that are posed after. background: `inpaint` or `network`. Returns: what became of it.
    """
    system = compared.first
    user = system.read_user(clip.frames[0])
    garment = system.read_garment(clip.frames[clip.donor], flat=False)
    poses = system.read_poses(clip.frames[indices])
    if poses.usable is not None and not all(poses.usable):
        raise NoPersonFound(f"frame {indices[np.argmin(poses.usable)]} of the clip {clip.name}")
    if background == "inpaint":
        user = user.replace(backdrop=backdrops.backdrop(user.image, np.asarray(user.layout.segmentation)))
    images, targets = compared.dress(user, garment, poses)
    return Reenactment(images, targets, poses)


def spread_scores(clip: Clip, images: np.ndarray, garment: np.ndarray, distances) -> dict[str, np.ndarray]:
    """Compares pictures of a clip's poses [N] with their frames.

    Args: garment: its regions bool [N, H, W]. distances: `perceptual.Distances`. Returns: scores by name, [N] each.
    """
    truth = clip.floats(clip.poses)
    return scores.frame_scores(images, truth, garment) | distances(images, truth)


def run_scores(clip: Clip, run: Reenactment) -> dict[str, float]:
    """Flicker and SSIM of every system on consecutive frames, unfiltered and filtered, and the truth's flicker."""
    truth, found = clip.floats(clip.run), {}
    for name, moving in run.images.items():
        for suffix, frames in {"": moving, ".filtered": temporal_filters.apply("motion", moving)}.items():
            found[f"{name}{suffix}.flicker"] = temporal_filters.flicker(frames)
            found[f"{name}{suffix}.run_ssim"] = metrics.ssim(frames, truth).mean()
    return found | {"truth.flicker": temporal_filters.flicker(truth)}


def keypoint_errors(xy, visible, true_xy, true_visible) -> np.ndarray:
    """How far joints [T, 18, 2] lie from the true ones.

    Args: visible, true_visible: bool [T, 18]. Returns: distances over the person's true height, of all joints that both
    show, in all frames together.
    """
    height = keypoints.person_height(true_xy, true_visible)
    distance = np.linalg.norm(xy - true_xy, axis=-1) / height[:, None]
    return distance[np.asarray(visible, bool) & true_visible]


def pose_errors(clip: Clip, poses: Pose) -> tuple[np.ndarray, np.ndarray]:
    """(`keypoint_errors` of the poses, which of DWPose's joints are seen); both empty without DWPose's joints."""
    if clip.true_keypoints is None:
        return np.zeros(0, np.float32), np.zeros(0, bool)
    true_xy, true_visible = clip.true_keypoints[clip.poses], clip.true_visible[clip.poses]
    errors = keypoint_errors(poses.layout.keypoints, poses.layout.visible, true_xy, true_visible)
    return errors, np.asarray(poses.layout.visible)[true_visible]


def garment_regions(clip: Clip, parser) -> np.ndarray:
    """What a `reading.Parser` takes for garments in the true frames of the poses, bool [N, H, W]."""
    return segmentation.region(parser.parse(clip.frames[clip.poses])[0], segmentation.GARMENTS)


def sheet_rows(clip: Clip, spread: Reenactment) -> list[list[np.ndarray]]:
    """Five poses: user, garment, truth, coarse and final layout, every system."""
    rows, colour = [], visualize.colour_segmentation
    for i in np.unique(np.linspace(0, len(clip.poses) - 1, _SHOWN).round().astype(int)):
        target, truth = spread.targets[i], clip.floats(clip.poses[i])
        rows.append([clip.frames[0], clip.frames[clip.donor], truth, colour(target.coarse), colour(target.final)])
        rows[-1] += [images[i] for images in spread.images.values()]
    return rows
