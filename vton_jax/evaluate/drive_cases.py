"""The cases of the suite `drive`: drawn people who move, clips of real people, and who judges heads.

Conventions: a case is {'frames' uint8 [T, S, S, 3], 'angles' float32 [T, 3] where they are known, 'name'}; it fills its
frames, as `systems.first_order.cropping` would crop them. The first frame is the source, the others drive.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vton_jax.core.errors import WrongOption
from vton_jax.core.framing import to_float
from vton_jax.evaluate import metrics
from vton_jax.inputs import clips
from vton_jax.media import progress, video_files, visualize
from vton_jax.reading.person_crop import crop_to
from vton_jax.systems.first_order import cropping, motion
from vton_jax.systems.first_order.system import FirstOrderDriver

LEAST_TURN = np.radians(20)  # of heads, from the first frame
_MOST_LOOKED_AT = 6  # scenes for each case that is wanted
_RIDGE = 1e-2
_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm")


def draw(region: str, count: int, num_frames: int, size: int, split: str = "test") -> list[dict]:
    """People of a split whom no file shows; heads that turn by more than 20 degrees."""
    from vton_jax.catalogue import moving

    found, times = [], np.arange(num_frames) / moving.FRAME_RATE * 3
    for number in progress.each(range(_MOST_LOOKED_AT * count), "clip"):
        scene = clips.score_scene(number, region, split, (size, size))
        if region == "face":
            turns = np.array([scene.moves.angles(time)[0] for time in times])
            if np.abs(turns - turns[0]).max() < LEAST_TURN:
                continue
        clip = moving.draw_clip(scene, times)
        found.append({"frames": clip["frames"], "angles": clip["angles"], "name": f"{region}-{number}"})
        if len(found) == count:
            break
    return found


def read_folder(folder: str, region: str, num_frames: int, size: int, reader) -> list[dict]:
    """The clips of a folder, each cropped to the region of whom it shows. Raises: WrongOption where there are none."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise WrongOption("data", folder, "holds no clips (.mp4 and the like).")
    found = []
    for path in progress.each(paths, "clip"):
        frames, _ = video_files.read_video(path, num_frames, 1280, "even", strict=False)
        left, top, side = cropping.find_in_clip(reader, frames, region)
        cut = [crop_to(frame, (left, top, left + side, top + side), (size, size))[0] for frame in frames]
        found.append({"frames": np.stack(cut), "name": path.name})
    return found


def driven(driver: FirstOrderDriver, source: np.ndarray, driving: np.ndarray, region: str) -> np.ndarray:
    """A source [S, S, 3] as driving frames [T, S, S, 3] move, both whole crops; the first frame is the reference."""
    whole = (0, 0, len(source))
    one = driver.source_of(source, whole, region)
    motions = driver.motions(driving, region, (0, 0, driving.shape[1]))
    first = {name: array[0] for name, array in motions.items()}
    reference, scale = (None, 1.0)
    if driver.mode == "relative":
        reference, scale = first, motion.scale_between(driver.own_motion(one), first)
    found = []
    for index in range(len(driving)):
        wanted = driver.wanted(one, {name: array[index] for name, array in motions.items()}, reference, scale)
        found.append(driver.render(one, wanted))
    return np.stack(found)


def reenact(driver: FirstOrderDriver, case: dict, region: str, distances, reader) -> tuple[dict, np.ndarray]:
    """Somebody driven by their own clip: scores, means over the frames after the first, and what was made of them.

    'ssim', 'l1', 'first_frame_ssim' (of the first frame unchanged); 'keypoint_distance' in parts of the frame's side
    and 'missing_keypoints', by the reader's joints, where there is one; LPIPS where there are weights.
    """
    truth = case["frames"][1:]
    made = driven(driver, case["frames"][0], case["frames"], region)[1:]
    images, wanted = to_float(made), to_float(truth)
    still = np.broadcast_to(to_float(case["frames"][:1]), wanted.shape)
    scores = {
        "ssim": metrics.ssim(images, wanted).mean(),
        "l1": np.abs(images - wanted).mean(),
        "first_frame_ssim": metrics.ssim(still, wanted).mean(),
    }
    scores |= {name: values.mean() for name, values in distances(images, wanted).items()}
    if reader is not None:
        scores |= _joints(reader, made, truth)
    return {name: float(value) for name, value in scores.items()}, made


def _joints(reader, made: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    (points, sure), (true, truly) = reader.estimate(made), reader.estimate(truth)
    shown = truly > 0.5
    both = shown & (sure > 0.5)
    apart = np.linalg.norm(points - true, axis=-1) / made.shape[1]
    distance = float(apart[both].mean()) if both.any() else float("nan")
    return {"keypoint_distance": distance, "missing_keypoints": float(1 - both.sum() / max(shown.sum(), 1))}


# ------------------------------------------------------------------------------------------------------ judges of heads


@dataclasses.dataclass(frozen=True)
class HeadJudge:
    """Pose and proportions of heads, from the points and frames that FirstOrder's detector finds in them.

    Fitted to drawn heads of the train split, whose pose is known. Proportions are how the points lie, whatever their
    place and size, beyond what the pose says; the identity distance is that of two clips' mean proportions.
    """

    pose: np.ndarray  # [F, 3]
    shape: np.ndarray  # [G, 2 K]

    def angles(self, motions: dict) -> np.ndarray:
        """Yaw, pitch and roll [T, 3] in radians."""
        return _features(motions) @ self.pose

    def proportions(self, motions: dict) -> np.ndarray:
        """The mean [2 K] over a clip."""
        return (_shapes(motions) - _of_pose(self.angles(motions)) @ self.shape).mean(0)


def _features(motions: dict) -> np.ndarray:
    count = len(motions["points"])
    parts = [motions[name].reshape(count, -1) for name in ("points", "jacobians")]
    return np.concatenate([*parts, np.ones((count, 1))], 1)


def _shapes(motions: dict) -> np.ndarray:
    shapes = [motion.shape_of(points) for points in motions["points"]]
    return np.stack(shapes).reshape(len(shapes), -1)


def _of_pose(angles: np.ndarray) -> np.ndarray:
    return np.concatenate([np.ones((len(angles), 1)), np.sin(angles), np.cos(angles)], 1)


def _ridge(inputs: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    square = inputs.T @ inputs + _RIDGE * np.eye(inputs.shape[1])
    return np.linalg.solve(square, inputs.T @ outputs)


def fit_judge(motions: Sequence[dict], angles: Sequence[np.ndarray]) -> HeadJudge:
    """A judge from clips' motions [T, ...] and angles [T, 3]."""
    features, known = np.concatenate([_features(one) for one in motions]), np.concatenate(angles)
    shapes = np.concatenate([_shapes(one) for one in motions])
    return HeadJudge(_ridge(features, known), _ridge(_of_pose(known), shapes))


def exchange(
    drivers: dict[str, FirstOrderDriver], judge: HeadJudge, cases: list[dict]
) -> tuple[dict[str, np.ndarray], list[list[np.ndarray]]]:
    """Everybody driven by the next one: {'MODE.identity', 'MODE.pose' in degrees} of each case, and rows of a sheet."""
    found: dict[str, list[float]] = {}
    rows = []
    for index, case in enumerate(cases):
        other = cases[(index + 1) % len(cases)]
        rows.append([case["frames"][0], other["frames"][-1]])
        for mode, driver in drivers.items():
            made = driven(driver, case["frames"][0], other["frames"], "face")
            whole = (0, 0, made.shape[1])
            motions, own = (driver.motions(frames, "face", whole) for frames in (made, case["frames"]))
            apart = np.linalg.norm(judge.proportions(motions) - judge.proportions(own))
            turned = np.abs(judge.angles(motions) - other["angles"]).mean()
            found.setdefault(f"{mode}.identity", []).append(float(apart))
            found.setdefault(f"{mode}.pose", []).append(float(np.degrees(turned)))
            rows[-1].append(made[-1])
    return {name: np.array(values) for name, values in found.items()}, rows


def sheet(rows: list[list[np.ndarray]], titles: list[str]) -> np.ndarray:
    return visualize.contact_sheet(rows, column_titles=titles)
