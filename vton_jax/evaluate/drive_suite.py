"""The suite `drive`: pictures brought to life, beside their truth.

Drawn people of the catalogue's test split, on varied grounds, driven by their own clips and by each other; with --data
clips of real people, by their own. What the names of the results mean: docs/evaluation.md. Imports no JAX.
"""

import dataclasses

import numpy as np

from vton_jax.core.options import option
from vton_jax.evaluate import protocol, report
from vton_jax.inputs import splits

_JUDGE_CLIPS = 40  # of the train split, from which the judge of heads learns
_REGIONS = {"both": ("face", "body")}
_SHOWN = 6


class DriveSuite(protocol.Suite):
    """How near a driven picture comes to the truth, and what each mode keeps."""

    name = "drive"

    @dataclasses.dataclass(frozen=True)
    class Options(protocol.PerceptualOptions):
        data: str | None = option(None, "Folder of clips of real people, also driven by their own first frame.")
        weights: str | None = option(None, "Folder of other weights than the released ones.")
        region: str = option("face", "face, body, or both.")
        num_cases: int = option(20, "People of each region.", lower_bound=2)
        num_frames: int = option(8, "Frames of each clip.", lower_bound=2)

    def __init__(self, options):
        from vton_jax.core.errors import WrongOption

        if options.region not in ("face", "body", "both"):
            raise WrongOption("region", options.region, "is none of face, body, both.")
        super().__init__(options)

    def run(self):
        from vton_jax.evaluate import drive_cases, perceptual
        from vton_jax.reading.picture_reader import PictureReader
        from vton_jax.systems.first_order.system import MOTIONS, FirstOrderDriver

        options, reader = self.options, PictureReader()
        distances = perceptual.open_distances(options.perceptual)
        drivers = {mode: FirstOrderDriver(options.weights, mode=mode, paste_back=False, reader=reader)
                   for mode in MOTIONS}  # fmt: skip
        names = []
        for region in _REGIONS.get(options.region, (options.region,)):
            cases = drive_cases.draw(region, options.num_cases, options.num_frames, 256)
            names += [case["name"] for case in cases]
            yield f"drive.{region}.num_cases", float(len(cases))
            yield from self._reenacted(f"drive.{region}", drivers["absolute"], (cases, region), distances, reader)
            if region == "face":
                yield from self._modes(drivers, cases)
        if options.data:
            region = "body" if options.region == "body" else "face"
            cases = drive_cases.read_folder(options.data, region, options.num_frames, 256, reader)
            names += [case["name"] for case in cases]
            about = f"drive.data.{region}"
            yield from self._reenacted(about, drivers["absolute"], (cases, region), distances, reader)
        self.texts["protocol"] = {
            "suite": "drive: the first frame of a clip driven by the others, absolute, at 256x256",
            "split_hash": splits.split_hash(names),
            "people": f"catalogue, test split, {options.num_frames} frames 0.3 s apart, drawn grounds; heads that turn "
            "by more than 20 degrees",
            "keypoints": "of ReaderCNN; distances in parts of the frame's side",
            "identity, pose": "by a linear judge of the detector's own points and frames, fitted to drawn heads of the "
            "train split: the distance of mean proportions beyond the pose, and the error of yaw, pitch and roll",
            "intervals": "95%, bootstrap over people",
            **distances.protocol,
        }
        self.texts["about"] = {"weights": options.weights or "released", "data": options.data or "none"}

    def _reenacted(self, about: str, driver, cases_of_region, distances, reader):
        from vton_jax.evaluate import drive_cases

        (cases, region), found, rows = cases_of_region, {}, []
        for case in cases:
            scores, made = drive_cases.reenact(driver, case, region, distances, reader)
            for name, value in scores.items():
                found.setdefault(name, []).append(value)
            rows.append([case["frames"][0], case["frames"][-1], made[-1]])
        for name, values in found.items():
            yield from _with_interval(f"{about}.{name}", values)
        gain = np.array(found["ssim"]) - found["first_frame_ssim"]
        yield from _with_interval(f"{about}.ssim_gain", gain)
        self.pictures[about] = drive_cases.sheet(rows[:_SHOWN], ["source", "truth", "driven"])

    def _modes(self, drivers: dict, cases: list[dict]):
        from vton_jax.evaluate import drive_cases

        taught = drive_cases.draw("face", _JUDGE_CLIPS, self.options.num_frames, 128, "train")
        driver = drivers["absolute"]
        motions = [driver.motions(one["frames"], "face", (0, 0, 128)) for one in taught]
        judge = drive_cases.fit_judge(motions, [one["angles"] for one in taught])
        whole = (0, 0, cases[0]["frames"].shape[1])
        errors = [np.abs(judge.angles(driver.motions(case["frames"], "face", whole)) - case["angles"]).mean()
                  for case in cases]  # fmt: skip
        yield from _with_interval("drive.judge.pose_error", np.degrees(errors))
        found, rows = drive_cases.exchange(drivers, judge, cases)
        for name, values in found.items():
            yield from _with_interval(f"drive.{name}", values)
        identity, pose = ({mode: found[f"{mode}.{name}"].mean() for mode in drivers} for name in ("identity", "pose"))
        yield "drive.identity_ratio", float(identity["relative"] / identity["absolute"])
        yield "drive.pose_ratio", float(pose["absolute"] / pose["relative"])
        self.pictures["Driven by another"] = drive_cases.sheet(rows[:_SHOWN], ["source", "driving", *drivers])

    def sections(self, results):
        names = [name for name in results if name.startswith("drive.") and not name.endswith((".low", ".high"))]
        rows = [[name, f"{results[name]:.3f}"] for name in names]
        return ["<h2>Pictures brought to life</h2>", report.html_table(["", "mean"], rows)]


def _with_interval(name: str, values):
    from vton_jax.evaluate import metrics

    yield from zip((name, f"{name}.low", f"{name}.high"), metrics.bootstrap_interval(np.asarray(values)), strict=True)
