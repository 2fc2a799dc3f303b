"""The suite `ubc`: real clips, of which the first frame is dressed in the others' poses.

Alphabet: of each clip the user is the first frame, the donor another one (worn), the poses are the rest; the truth of a
pose is its own frame. Pictures are at the networks' size. Only layouts, keypoints and the latents they are decoded from
leave a pose frame. What the names mean: docs/evaluation.md.
"""

import dataclasses
import html
import math
from pathlib import Path

import numpy as np

from vton_jax.compositing import kept_parts, temporal_filters
from vton_jax.core import framing, keypoints, segmentation
from vton_jax.core.errors import UserError
from vton_jax.evaluate import mannequin_suite, metrics, perceptual
from vton_jax.inputs import splits
from vton_jax.media import video_files, visualize
from vton_jax.models import weights
from vton_jax.reading import digest_of
from vton_jax.reading.photo_parser import PhotoParser
from vton_jax.systems.lab126 import try_on

SCORES = ("ssim", "psnr", "ssim_garment", "psnr_garment", "lpips_surrogate")
_SHOWN = 5  # frames of each clip on the sheet


@dataclasses.dataclass
class Clip:
    """One real clip and which of its frames are what."""

    name: str
    frames: np.ndarray  # uint8 [T, H, W, 3] of the networks' size
    donor: int  # the frame that donates
    poses: np.ndarray  # int [N], the frames that are posed after and scored
    run: np.ndarray  # int [M], consecutive frames, on which flicker is measured
    true_keypoints: np.ndarray | None = None  # float [T, 18, 2], DWPose's, in pixels of `frames`
    true_visible: np.ndarray | None = None  # bool [T, 18]


def read_clips(folder: str, size: tuple[int, int], stride: int, run: int) -> list[Clip]:
    """The clips DIR/*.mp4, each with NAME_dwpose.npz where it is there.

    The donor is the frame a quarter into the clip; every `stride`-th frame is a pose, but for user and donor; the run
    of `run` frames lies amid the clip. Raises: UserError where there is no clip, or none of three frames.
    """
    paths = sorted(Path(folder).glob("*.mp4")) if Path(folder).is_dir() else []
    if not paths:
        raise UserError(f"--data={folder} is no folder of clips: it should hold NAME.mp4 (and NAME_dwpose.npz).")
    clips = []
    for path in paths:
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
        clips.append(clip)
    return clips


def _read_dwpose(path: Path, places: list[framing.Placement]) -> tuple[np.ndarray, np.ndarray]:
    """DWPose's body in pixels of the fitted frames: `body` [T, 18, 2] in shares of the frame, `valid` [T, 18]."""
    try:
        with np.load(path) as file:
            body, valid = file["body"], file["valid"].astype(bool)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} cannot be read as DWPose's keypoints ({error}).") from None
    if body.shape != (len(places), 18, 2) or valid.shape != body.shape[:2]:
        raise UserError(f"{path} holds {body.shape} keypoints for a clip of {len(places)} frames.")
    extent = np.array(places[0].source_size[::-1], np.float32)
    return np.stack([place.points(p * extent - 0.5) for place, p in zip(places, body, strict=True)]), valid


def keypoint_errors(xy, visible, true_xy, true_visible) -> np.ndarray:
    """Distances of the joints that both show, as shares of the person's true height; all frames [T, 18] together."""
    height = keypoints.person_height(true_xy, true_visible)
    distance = np.linalg.norm(xy - true_xy, axis=-1) / height[:, None]
    return distance[np.asarray(visible, bool) & true_visible]


class Reenactment:
    """The first frame's person, dressed by the donor frame, in the poses of the frames `indices`, arm by arm.

    The target layouts are the same in every arm, and made once.
    """

    def __init__(self, system: try_on.TryOn, clip: Clip, indices: np.ndarray, background: str):
        self.image = framing.to_float(clip.frames[0])
        self.user, z_user = system.read_user(clip.frames[0])
        self.donor = system.read_donor(clip.frames[clip.donor], flat=False)
        self.poses, z_pose = system.read_poses(clip.frames[indices])
        labels = np.asarray(self.user.segmentation)
        self.behind = kept_parts.backdrop(self.image, labels) if background == "inpaint" else None
        self.targets = list(system.targets(self.user, z_user, self.donor, self.poses, z_pose))

    def pictures(self, system: try_on.TryOn) -> np.ndarray:
        """The arm's results, float [N, H, W, 3]."""
        finals = np.stack([target.final for target in self.targets])
        painted = system.paint(self.image, self.user, self.donor, finals, self.poses, self.behind)
        return np.stack([dressed.image for dressed in painted])


def evaluate_ubc(
    folder: str,
    stride: int = 8,
    run: int = 24,
    weights_folder: str | None = None,
    arms: tuple[str, ...] = try_on.ARMS,
    background: str = "inpaint",
    reader: str = "photo",
) -> tuple[dict, dict, dict, dict]:
    """Returns (results, pictures, protocol, curves): name to number, to uint8 sheet, to text; and per-frame scores.

    Args: folder: of clips. stride: every so many frames is a pose. run: consecutive frames for flicker (0: none).
    reader: what labels people, one of `try_on.PARSERS`. `curves` is {clip: {line: [(frame, SSIM), ...]}}.
    """
    systems = {arm: try_on.TryOn(arm, weights_folder, reader) for arm in arms}
    size = systems[arms[0]].size
    clips = read_clips(folder, size, stride, run)
    parser = PhotoParser(weights.path_of("parser_cnn", weights_folder))
    distance = perceptual.Surrogate(parser)
    scores: dict[str, list] = {}
    curves, rows, errors, found = {}, [], [], []
    for clip in clips:
        truth = framing.to_float(clip.frames[clip.poses])
        garment = segmentation.region(parser.parse(clip.frames[clip.poses])[0], segmentation.GARMENTS)
        mannequin_suite.say(f"{clip.name}: target layouts of {len(clip.poses)} poses")
        spread = Reenactment(systems[arms[0]], clip, clip.poses, background)
        following = Reenactment(systems[arms[0]], clip, clip.run, background) if run > 1 else None
        if clip.true_keypoints is not None:
            poses = spread.poses
            true_xy, true_visible = clip.true_keypoints[clip.poses], clip.true_visible[clip.poses]
            errors.append(keypoint_errors(poses.keypoints, poses.visible, true_xy, true_visible))
            found.append(np.asarray(poses.visible)[true_visible])
        images = {"first_frame": np.broadcast_to(framing.to_float(clip.frames[0]), truth.shape)}
        for arm, system in systems.items():
            mannequin_suite.say(f"{clip.name}: the arm {arm}")
            images[arm] = spread.pictures(system)
            if following:
                moving = following.pictures(system)
                running = framing.to_float(clip.frames[clip.run])
                for name, frames in {"": moving, ".filtered": temporal_filters.apply("motion", moving)}.items():
                    scores.setdefault(f"ubc.{arm}{name}.flicker", []).append(temporal_filters.flicker(frames))
                    scores.setdefault(f"ubc.{arm}{name}.run_ssim", []).append(metrics.ssim(frames, running).mean())
        if following:
            scores.setdefault("ubc.truth.flicker", []).append(temporal_filters.flicker(running))
        curves[clip.name] = {}
        for name, pictures in images.items():
            values = frame_scores(pictures, truth, garment) | {"lpips_surrogate": distance(pictures, truth)}
            for score, value in values.items():
                scores.setdefault(f"ubc.{name}.{score}", []).extend(value)
            curves[clip.name][name] = list(zip(clip.poses.tolist(), values["ssim"].tolist(), strict=True))
        for i in np.unique(np.linspace(0, len(clip.poses) - 1, _SHOWN).round().astype(int)):
            colour = visualize.colour_segmentation
            target = spread.targets[i]
            rows.append([clip.frames[0], clip.frames[clip.donor], truth[i], colour(target.coarse)])
            rows[-1] += [colour(target.final), *(images[arm][i] for arm in arms)]
    results = {"num_clips": len(clips), "num_frames": sum(len(clip.poses) for clip in clips)}
    results |= {name: float(np.nanmean(values)) for name, values in scores.items()}
    if errors:
        results["ubc.keypoint_error"] = float(np.median(np.concatenate(errors)))
        results["ubc.keypoints_found"] = float(np.mean(np.concatenate(found)))
    titles = ["user", "donor", "pose and truth", "coarse", "final", *arms]
    protocol = {
        "suite": "ubc",
        "split_hash": splits.split_hash(f"{clip.name}:{i}" for clip in clips for i in (0, clip.donor, *clip.poses)),
        "size": f"{size[0]}x{size[1]}, padded with the frame's own edge; SSIM with an 11-tap Gaussian over all pixels",
        "frames": f"every {stride}th; user: the first, donor: the one a quarter into the clip; the rest are poses",
        "flicker": f"{run} consecutive frames amid each clip, after motion compensation (DIS flow)",
        "garment_region": f"ParserCNN's garments in the true frame ({parser.name})",
        "lpips_surrogate": distance.name,
        "keypoints": "median distance to DWPose where both see the joint, in heights of the person",
    }
    about = {
        "background": background,
        "reader": reader,
        "multi_path": digest_of(weights.path_of("multi_path_cnn", weights_folder)),
        "clips": ", ".join(c.name for c in clips),
    }
    sheet = {"Results, five frames of each clip": visualize.contact_sheet(rows, column_titles=titles)}
    return results, sheet, {"protocol": protocol, "about": about}, curves


def frame_scores(images: np.ndarray, truth: np.ndarray, garment: np.ndarray) -> dict[str, np.ndarray]:
    """SSIM and PSNR of each frame [T], over the picture and over the garment's region [T, H, W]."""
    return {
        "ssim": metrics.ssim(images, truth),
        "psnr": metrics.psnr(images, truth),
        "ssim_garment": metrics.ssim(images, truth, garment),
        "psnr_garment": metrics.psnr(images, truth, garment),
    }


def curve_svg(curves: dict[str, list], size: tuple[int, int] = (220, 760)) -> str:
    """Lines over the frame number as one SVG, a colour each; the axis spans the values shown."""
    height, width = size
    points = [point for line in curves.values() for point in line]
    frames, values = zip(*points, strict=True)
    low, high = min(values), max(values)
    x = lambda frame: 40 + (width - 50) * (frame - min(frames)) / max(1, max(frames) - min(frames))  # noqa: E731
    y = lambda value: height - 20 - (height - 40) * (value - low) / max(high - low, 1e-6)  # noqa: E731
    parts = [f"<svg width={width} height={height} style='background:#fafafa;font:12px sans-serif'>"]
    parts += [f"<text x=2 y={y(value) + 4:.0f}>{value:.3f}</text>" for value in (low, high)]
    parts += [f"<text x={x(frame):.0f} y={height - 4}>{frame}</text>" for frame in (min(frames), max(frames))]
    for index, (name, line) in enumerate(curves.items()):
        colour = f"hsl({index * 360 // len(curves)},70%,42%)"
        places = " ".join(f"{x(frame):.1f},{y(value):.1f}" for frame, value in line if math.isfinite(value))
        parts.append(f"<polyline points='{places}' fill=none stroke='{colour}' stroke-width=2 />")
        parts.append(f"<text x={50 + 110 * index} y=14 fill='{colour}'>{html.escape(name)}</text>")
    return "".join(parts) + "</svg>"


def write_report(path: Path, results: dict, pictures: dict, texts: dict, curves: dict) -> None:
    """One page: protocol, the arms side by side, every number, SSIM over the frames of each clip, the sheet."""
    arms = [name for name in (*try_on.ARMS, "first_frame") if f"ubc.{name}.ssim" in results]
    rows = [[arm, *(f"{results[f'ubc.{arm}.{score}']:.4f}" for score in SCORES)] for arm in arms]
    parts = ["<p>Real clips; no weight has seen them.</p>"]
    parts += [mannequin_suite.html_table([], [row for group in texts.values() for row in group.items()])]
    parts += [mannequin_suite.html_table(["arm", *SCORES], rows), "<h2>SSIM of each frame</h2>"]
    parts += [f"<h3>{html.escape(name)}</h3>{curve_svg(lines)}" for name, lines in curves.items()]
    numbers = [[name, f"{value:.4f}"] for name, value in results.items()]
    mannequin_suite.write_page(path, "ubc suite", [*parts, mannequin_suite.html_table([], numbers)], pictures)
