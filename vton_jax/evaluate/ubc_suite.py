"""The suite `ubc`: real clips, of which the first frame is dressed in the others' poses (`reenactment.py`).

What the names of the results mean: docs/evaluation.md. Imports no JAX.
"""

import collections
import dataclasses
import html
import math

import numpy as np

from vton_jax.core.options import option
from vton_jax.evaluate import protocol, report
from vton_jax.inputs import splits
from vton_jax.systems.options import ARM_NAMES

SCORES = ("ssim", "psnr", "ssim_garment", "psnr_garment", "lpips", "lpips_vgg")


class UbcSuite(protocol.Suite):
    """No weight has seen the clips."""

    name = "ubc"

    @dataclasses.dataclass(frozen=True)
    class Options(protocol.WholeSystemOptions):
        data: str | None = option(None, "The folder of clips NAME.mp4, with NAME_dwpose.npz where there is one.")
        stride: int = option(8, "Every so many frames is scored; 1 for all.", lower_bound=1)
        num_clip_frames: int = option(24, "Frames of the runs for flicker (0: none).", lower_bound=0)

    def __init__(self, options, arms: tuple[str, ...] = ARM_NAMES):
        protocol.require_data(type(self), options, "of clips")
        super().__init__(options)
        self.arms = arms
        self.curves: dict[str, dict[str, list]] = {}  # clip, line: [(frame, SSIM), ...]

    def run(self):
        from vton_jax.evaluate import dressing, perceptual, reenactment
        from vton_jax.media import visualize

        options = self.options
        compared = dressing.open_systems(options, self.arms)
        distances = perceptual.open_distances(options.perceptual)
        clips = reenactment.read_clips(options.data, compared.size, options.stride, options.num_clip_frames)
        parser = dressing.open_parser(options)
        found, rows, errors, seen = collections.defaultdict(list), [], [], []
        for clip in clips:
            report.say(f"{clip.name}: {len(clip.poses)} poses")
            spread = reenactment.reenact(compared, clip, clip.poses, options.background)
            rows += reenactment.sheet_rows(clip, spread)
            for values, part in zip((errors, seen), reenactment.pose_errors(clip, spread.poses), strict=True):
                values.append(part)
            if options.num_clip_frames > 1:
                report.say(f"{clip.name}: {len(clip.run)} consecutive frames")
                run = reenactment.reenact(compared, clip, clip.run, options.background)
                for name, value in reenactment.run_scores(clip, run).items():
                    found[f"ubc.{name}"].append(value)
            first = np.broadcast_to(clip.floats(0), (len(clip.poses), *clip.frames.shape[1:]))
            garment, self.curves[clip.name] = reenactment.garment_regions(clip, parser), {}
            for name, images in {"first_frame": first, **spread.images}.items():
                values = reenactment.spread_scores(clip, images, garment, distances)
                for score, value in values.items():
                    found[f"ubc.{name}.{score}"].extend(value)
                line = list(zip(clip.poses.tolist(), values["ssim"].tolist(), strict=True))
                self.curves[clip.name][name] = line
        titles = ["user", "donor", "pose and truth", "coarse", "final", *compared.names]
        self.pictures["Results, five frames of each clip"] = visualize.contact_sheet(rows, column_titles=titles)
        self._state_protocol(clips, compared, parser.name, distances.protocol)
        yield "num_clips", len(clips)
        yield "num_frames", sum(len(clip.poses) for clip in clips)
        yield from ((name, float(np.nanmean(values))) for name, values in found.items())
        if any(map(len, seen)):
            yield "ubc.keypoint_error", float(np.median(np.concatenate(errors)))
            yield "ubc.keypoints_found", float(np.mean(np.concatenate(seen)))

    def _state_protocol(self, clips: list, compared, parser: str, distances: dict[str, str]) -> None:
        from vton_jax.evaluate import dressing

        options, (height, width) = self.options, compared.size
        examples = (f"{clip.name}:{i}" for clip in clips for i in (0, clip.donor, *clip.poses))
        self.texts["protocol"] = {
            "suite": "ubc",
            "split_hash": splits.split_hash(examples),
            "size": f"{height}x{width}, padded with the frame's own edge; SSIM with an 11-tap Gaussian over all pixels",
            "frames": f"every {options.stride}th; user: the first, donor: the one a quarter into the clip; "
            "the rest are poses",
            "flicker": f"{options.num_clip_frames} consecutive frames amid each clip, after motion compensation "
            "(DIS flow)",
            "garment_region": f"ReaderCNN's garments in the true frame ({parser})",
            **distances,
            "keypoints": "median distance to DWPose where both see the joint, in heights of the person",
        }
        self.texts["about"] = dressing.about(options) | {"clips": ", ".join(clip.name for clip in clips)}

    def sections(self, results):
        lines = [*ARM_NAMES, self.options.system, "first_frame"]
        parts = ["<p>Real clips; no weight has seen them.</p>"]
        parts.append(report.score_table(results, "ubc", lines, {score: score for score in SCORES}))
        curves = [f"<h3>{html.escape(name)}</h3>{curve_svg(lines)}" for name, lines in self.curves.items()]
        return [*parts, "<h2>SSIM of each frame</h2>", *curves]


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
