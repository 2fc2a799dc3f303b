"""Solvers of the backward procedure beside a PyTorch twin: python benchmarks/inversion.py --data=CCP [--json]

Needs the extra `bench`. Cases: unseen people of the catalogue (split test), and photos of Clothing Co-Parsing whose
numbers end in 3, each dressed in the next one's clothes. Every solver begins at the same latents (LatentPriorCNN's
expectation), and so does the twin: the same decoder and loss in PyTorch with Adam, eager or under torch.compile,
whichever is faster here. Losses of both libraries are compared at the start. Each case is searched alone, as a clip's
first frame is.

The goal of a case is the twin's loss after 500 steps, or what lies within half a percent of it. Reported:

    solvers: medians over the cases of gradients and seconds to the goal (NaN: not reached), and of the loss's excess
        over the goal after some gradients
    first_frame_speedup: the twin's seconds to the goal over those of the default solver, the median of the cases
    clip_speedup: the same for frames of the packaged sample's pose clip: the twin begins at the expectation, as for any
        picture; the default solver at the frame before, as in a clip
    curves (with --curves=FILE.csv): every solver's loss after every gradient, with the seconds since the start
"""

import argparse
import csv
import itertools
import json
import os
import platform
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.nn import functional

from benchmarks import torch_networks
from vton_jax.catalogue import examples
from vton_jax.core import framing
from vton_jax.core.errors import UserError
from vton_jax.inputs import ccp
from vton_jax.layout import inversion, solvers
from vton_jax.media import progress
from vton_jax.systems import job
from vton_jax.systems.lab126 import target_layouts
from vton_jax.systems.lab126.system import Lab126

TWIN_STEPS = 500
NEAR = 1.005  # of the twin's last loss
SHOWN = (1, 5, 10, 20, 40, 60)  # gradients whose excess is shown
DEFAULT = "gauss_newton"


# ------------------------------------------------------------------------------------------------------------ the cases


def catalogue_pictures(count: int, size: tuple[int, int]):
    """(user, garment, pose) of unseen people: every second garment lies flat, where it can."""
    for number in range(count):
        drawn = examples.draw(number * examples.EXAMPLES_OF_ONE, "test", size, pose_picture=True)
        flat = number % 2 == 1 and drawn["flat_segmentation"].any()
        yield drawn["input_image"], drawn["flat_image" if flat else "worn_image"], drawn["pose_image"]


def photo_pictures(folder: str, count: int, size: tuple[int, int]):
    """(user, garment, pose) of CCP's photos that end in 3: each person in the next one's clothes, where they stand."""
    numbers = [number for number in ccp.numbers(folder) if ccp.is_validation(number)][: count + 1]
    photos = [framing.fit(ccp.read(folder, number)[0], size)[0] for number in numbers]
    for photo, other in itertools.pairwise(photos):
        yield photo, other, photo


def targets_of(system: Lab126, pictures) -> list[dict]:
    """What the backward procedure aims at, a dict of arrays with the leading axis 1 for each case that can be read."""
    found = []
    for user, garment, pose in pictures:
        try:
            who, worn = system.read_user(user), system.read_garment(garment)
            poses = system.read_poses(pose[None])
        except UserError:
            continue
        found.append(_target(system, who, worn, poses))
    return found


def _target(system: Lab126, user, garment, poses) -> dict:
    coarse, _ = system.layouts.coarse(user.layout, garment, poses.layout)
    return system.layouts.target_of(coarse, poses, user.latent[None])


def clip_targets(system: Lab126, count: int) -> tuple[list[dict], np.ndarray]:
    """Targets of consecutive frames of the packaged sample, and the latents [T, N] of its pose images."""
    reading = job.TryOnJob(num_frames=count, remap="none").read()
    targets, poses = [], reading.poses
    for index in range(len(poses.latent)):
        one = jax.tree.map(lambda a, i=index: a[i : i + 1], poses)
        targets.append(_target(system, reading.user, reading.shown_garment, one))
    return targets, poses.latent


# ----------------------------------------------------------------------------------------------------------- the search


class Search:
    """A solver of ours on one case at a time."""

    def __init__(self, system: Lab126, name: str):
        layouts = target_layouts.TargetLayouts(system.reader, solver=name)
        self.steps, self.solver = layouts.steps

    def run(self, target: dict, z: jax.Array, count: int) -> tuple[np.ndarray, np.ndarray, jax.Array]:
        """The lowest loss after each gradient [count], the seconds until then, and the best latents."""
        state = inversion.start(jnp.array(z), self.solver.optimizer)
        losses, seconds, started = [], [], time.perf_counter()
        for _ in range(count):
            state, _ = self.steps(state, target)
            losses.append(float(state.best_loss[0]))
            seconds.append(time.perf_counter() - started)
        return np.array(losses), np.array(seconds), state.best_z


class Twin:
    """The decoder, the loss and Adam in PyTorch."""

    def __init__(self, system: Lab126, compile_: bool):
        network, params = system.reader.multi_path, system.reader.multi_path_params
        self.decoder = torch_networks.Decoder(network.size, network.latent_size).to(memory_format=torch.channels_last)
        torch_networks.load_flax(self.decoder, params["params"]["decoder"])
        self.decoder.requires_grad_(False)
        centre, factor = (torch.tensor(np.array(a)) for a in system.reader.whiten.args)
        self.whiten = lambda z: (z - centre) @ factor
        self.loss = torch.compile(self._loss) if compile_ else self._loss

    def _loss(self, z, target):
        x = torch_networks.inner(self.decoder.Dense_0(z).reshape(-1, *self.decoder.small, 64))
        x = self.decoder.ResidualBlock_0(self.decoder.ConvBlock_0(x))
        x = self.decoder.ResidualBlock_1(self.decoder.ConvBlock_1(torch_networks.upsample(x)))
        logits, pose = self.decoder.segmentation_path(x), self.decoder.pose_path(x)
        maps = target["segmentation"]
        loss = -(maps * functional.log_softmax(logits, -1)).sum() / maps.sum().clamp(min=1e-6)
        away = (pose - target["pose"]) ** 2 * (1 + 30 * target["pose"]) * target["visible"][:, None, None, :]
        prior = ((self.whiten(z) - target["mean"]) / target["scale"]) ** 2
        return loss + target_layouts.POSE_WEIGHT * away.mean() + target_layouts.PRIOR_WEIGHT * prior.mean()

    def run(self, target: dict, z: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """The lowest loss after each step [count], and the seconds until then."""
        target = {name: torch.tensor(np.array(value)) for name, value in target.items()}
        z = torch.tensor(np.array(z), requires_grad=True)
        optimizer = torch.optim.Adam([z], lr=0.1, betas=(0.8, 0.95))
        losses, seconds, started = [], [], time.perf_counter()
        for _ in range(count):
            optimizer.zero_grad()
            loss = self.loss(z, target)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            seconds.append(time.perf_counter() - started)
        return np.minimum.accumulate(losses), np.array(seconds)


def faster_twin(system: Lab126, target: dict, z: np.ndarray) -> tuple[str, Twin]:
    """The twin, eager or compiled: whichever takes less for ten steps, compiling not counted."""
    took, losses = {}, {}
    for name, compile_ in (("eager", False), ("torch.compile", True)):
        try:
            twin = Twin(system, compile_)
            twin.run(target, z, 3)
            losses[name], seconds = twin.run(target, z, 10)
            took[name] = seconds[-1], twin
        except Exception as error:  # no compiler, for one: torch raises many kinds
            print(f"{name}: {type(error).__name__}; left out", file=sys.stderr)
    # Compiled, torch 2.13.0 on a CPU searched along a wrong gradient: the loss hardly fell.
    if "torch.compile" in took and not np.allclose(losses["torch.compile"], losses["eager"], rtol=1e-2):
        print("torch.compile: its losses are not those of eager steps; left out", file=sys.stderr)
        del took["torch.compile"]
    name = min(took, key=lambda key: took[key][0])
    return name, took[name][1]


# ---------------------------------------------------------------------------------------------------------- the report


def seconds_to(goal: float, losses: np.ndarray, seconds: np.ndarray) -> tuple[float, float]:
    """(gradients, seconds) until a loss is at most `goal`; NaN where it never is."""
    reached = np.flatnonzero(losses <= goal)
    return (int(reached[0]) + 1, float(seconds[reached[0]])) if len(reached) else (np.nan, np.nan)


def first_frames(searches: dict, twin: Twin, targets: list[dict], colour) -> tuple[dict, list[tuple]]:
    """The solvers' and the twin's numbers over cases, and all curves as rows of a table."""
    found, rows = {name: [] for name in (*searches, "twin")}, []
    for case, target in enumerate(progress.each(targets, "case")):
        z = colour(target["mean"])
        curves = {"twin": twin.run(target, z, TWIN_STEPS)}
        curves |= {name: search.run(target, z, 2 * max(SHOWN))[:2] for name, search in searches.items()}
        first = {name: curve[0][0] for name, curve in curves.items()}
        if not np.allclose(list(first.values()), first["twin"], rtol=2e-3):
            raise SystemExit(f"The losses at the start differ: {first}")
        goal = NEAR * curves["twin"][0][-1]
        for name, (losses, seconds) in curves.items():
            excess = [losses[n - 1] / curves["twin"][0][-1] - 1 for n in SHOWN]
            found[name].append((*seconds_to(goal, losses, seconds), *excess))
            rows += [(case, name, n + 1, s, loss) for n, (s, loss) in enumerate(zip(seconds, losses, strict=True))]
    return {name: np.array(each, float) for name, each in found.items()}, rows


def clip_seconds(search: Search, twin: Twin, clip: tuple[list[dict], np.ndarray], colour) -> np.ndarray:
    """[T - 1, 2]: the twin's seconds to its goal, and ours from the frame before, of each frame but the first."""
    targets, latents = clip
    z = search.run(targets[0], colour(targets[0]["mean"]), search.solver.first_iterations)[2]
    found = []
    for index, target in enumerate(targets[1:], 1):
        theirs = twin.run(target, colour(target["mean"]), TWIN_STEPS)
        goal = NEAR * theirs[0][-1]
        losses, seconds, best = search.run(target, z + latents[index] - latents[index - 1], 2 * max(SHOWN))
        found.append((seconds_to(goal, *theirs)[1], seconds_to(goal, losses, seconds)[1]))
        z = best
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of Clothing Co-Parsing (default: people of the catalogue alone)")
    parser.add_argument("--cases", type=int, default=6, help="of each kind")
    parser.add_argument("--frames", type=int, default=6, help="of the clip")
    parser.add_argument("--curves", help="file for all curves, CSV")
    parser.add_argument("--json", action="store_true", help="end with one JSON line")
    options = parser.parse_args()
    system = Lab126("none")
    colour = system.reader.colour
    pictures = {"catalogue": catalogue_pictures(options.cases, system.size)}
    if options.data:
        pictures["photos"] = photo_pictures(options.data, options.cases, system.size)
    targets = {kind: targets_of(system, shown) for kind, shown in pictures.items()}
    every = [target for kind in targets.values() for target in kind]
    searches = {name: Search(system, name) for name in solvers.NAMES}
    for search in searches.values():
        search.run(every[0], colour(every[0]["mean"]), 2)  # compile
    how, twin = faster_twin(system, every[0], colour(every[0]["mean"]))
    found, rows = first_frames(searches, twin, every, colour)
    clip = clip_seconds(searches[DEFAULT], twin, clip_targets(system, options.frames), colour)
    if options.curves:
        with open(options.curves, "w", newline="") as file:
            csv.writer(file).writerows([("case", "solver", "gradients", "seconds", "loss"), *rows])
    ratio = found["twin"][:, 1] / found[DEFAULT][:, 1]
    result = {
        "cases": {kind: len(of) for kind, of in targets.items()},
        "twin": how,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "solvers": {
            name: {
                "reached": int(np.isfinite(of[:, 0]).sum()),
                "gradients": float(np.nanmedian(of[:, 0])),
                "seconds": round(float(np.nanmedian(of[:, 1])), 4),
                "excess": {n: round(float(np.median(of[:, 2 + i])), 4) for i, n in enumerate(SHOWN)},
            }
            for name, of in found.items()
        },
        "first_frame_speedup": round(float(np.nanmedian(ratio)), 2),
        "clip_speedup": round(float(np.nanmedian(clip[:, 0] / clip[:, 1])), 2),
    }
    print(json.dumps(result) if options.json else json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
