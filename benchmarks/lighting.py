"""How well cloth is shaded in a photo's light: python benchmarks/lighting.py [--count=60] [--weights=DIR] [--json]

People of the catalogue's validation split, each in one light and two poses. The light is found in the first picture
(`compositing.lighting`), and what ShadingCNN then says of cloth in the second is compared with the truth: the standard
deviation of the difference of the logarithms of linear brightness, where each picture's mean counts for nothing. The
settings of `lighting.CHOSEN` come from here. Then try-ons of garments that lay flat, of the same split, by the arm
`post` into true layouts: mean absolute error and SSIM of the garment as its own picture lights it (`even`), and `lit`.
Ends with one JSON line when given --json.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.catalogue import cases, characters, examples, people, pictures, scenes, styles, textures, views
from vton_jax.compositing import lighting
from vton_jax.core import segmentation
from vton_jax.core.framing import to_float
from vton_jax.core.types import Garment, Layout, User
from vton_jax.evaluate import metrics
from vton_jax.evaluate.scores import at
from vton_jax.systems.lab126.painter import Painter
from vton_jax.systems.reader import Reader
from vton_jax.systems.relighting import Relighting, relit

SIZE = (256, 192)
CLOTH = tuple(segmentation.ID[name] for name in ("upper-clothes", "skirt", "pants", "dress"))
WEIGHTS = (0.0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)


@dataclasses.dataclass(frozen=True)
class Look:
    """A picture, and the truth about it."""

    image: np.ndarray
    layout: Layout
    shading: np.ndarray  # [H/2, W/2, 5]
    bright: np.ndarray  # [H/2, W/2], linear, of a white surface in this light


def look(generator: np.random.Generator, person: people.Person, skins: dict, light: pictures.Light) -> Look:
    eye = scenes.sample_camera(generator, SIZE, person.height, cases.WHOLE)
    view = views.view_of(person, examples.sample_pose(generator), eye, SIZE)
    picture = pictures.shade(view, skins, light, scenes.sample_ground(generator, eye, SIZE))
    white = {name: np.ones((1, 1, 3), np.float32) for name in skins}
    lit = (pictures.shade(view, white, light, np.zeros((*SIZE, 3), np.float32)) ** 2.2).mean(-1)
    points, visible = view.keypoints()
    joints = np.where(visible[:, None], points, 0).astype(np.float32)
    half = lambda a: cv2.resize(a, (SIZE[1] // 2, SIZE[0] // 2), interpolation=cv2.INTER_AREA)  # noqa: E731
    fields = np.moveaxis(pictures.shading(view), -1, 0)
    layout = Layout(view.segmentation, joints, np.asarray(visible, bool))
    return Look(scenes.finish(generator, picture), layout, np.stack([half(one) for one in fields], -1), half(lit))


def draw(number: int) -> tuple[Look, Look]:
    generator = np.random.default_rng([number, 99])
    who, style = characters.character(number, "validation"), styles.sample(generator)
    worn = people.sample_worn(generator, who.identity.gender, style)
    person = people.dress(who.identity, [*worn, *who.hair])
    skins = textures.sample_textures(generator, who.looks, person.layers, style, 0.5)
    light = scenes.sample_light(generator)
    return look(generator, person, skins, light), look(generator, person, skins, light)


def error(pairs, shadings, weight: float | None) -> float:
    """The mean error. Args: shadings: of each pair. weight: of the usual light; None: no light is looked for."""
    shown, found = np.ones(SIZE, bool), []
    chosen = dataclasses.replace(lighting.CHOSEN, usual_weight=weight or 0.0)
    for (first, second), (one, two) in zip(pairs, shadings, strict=True):
        light = np.float32(chosen.usual)
        if weight is not None:
            light = lighting.light_of(first.image, first.layout.segmentation, one, shown, chosen)
        inside = np.isin(second.layout.segmentation[::2, ::2], CLOTH) & (second.bright > 0.02)
        inside = cv2.erode(np.uint8(inside), np.ones((3, 3), np.uint8)) > 0
        if inside.sum() > 100:
            found.append(np.std(np.log(np.maximum(two @ light, 1e-3))[inside] - np.log(second.bright[inside])))
    return float(np.mean(found))


def try_ons(count: int, network: Relighting) -> dict[str, float]:
    """Errors of garments that lay flat, `even` and `lit`."""
    drawn = cases.draw_cases(count, split="validation")
    flat = np.flatnonzero(drawn["flat"])
    drawn = {name: of[flat] for name, of in drawn.items() if np.ndim(of)}
    reader = Reader()
    painter = Painter("post", reader.size)
    users, outputs = (reader.pictures.layouts(drawn[f"{name}_image"]) for name in ("input", "output"))
    donors = Layout(*(drawn[f"donor_{part}"] for part in ("segmentation", "keypoints", "visible")))
    garments = Garment(to_float(drawn["dress_image"]), donors, drawn["garment_type"], drawn["flat"])
    images, truth = to_float(drawn["input_image"]), to_float(drawn["output_image"])
    targets = outputs.replace(segmentation=drawn["output_segmentation"])
    painted = painter.dress(User(images, users, None, None), garments, targets)
    found = {"even": [], "lit": []}
    for index, image in enumerate(images):
        user = User(image, at(users, index), None, np.ones(image.shape[:2], bool))
        one, pose, garment = (at(of, slice(index, index + 1)) for of in (painted, targets, garments))
        lit = relit(one, (garment,), network.lit(user, pose)[1])
        kind = segmentation.GARMENT_TYPES[int(drawn["garment_type"][index])]
        there = segmentation.region(drawn["output_segmentation"][index], segmentation.TARGET_LABELS[kind])
        for name, result in (("even", one), ("lit", lit)):
            picture = np.asarray(result.image[0])
            error = np.abs(picture - truth[index])[there].mean()
            found[name].append((error, float(metrics.ssim(picture, truth[index], there))))
    means = {name: np.mean(values, 0) for name, values in found.items()}
    apart = np.subtract(found["lit"], found["even"])
    better, alike = np.mean(apart[:, 0] < 0), np.mean(apart[:, 1] > 0)
    print(f"{len(apart)} try-ons; lit, {better:.0%} have a smaller error, {alike:.0%} a larger SSIM")
    keys = ("l1", "ssim")
    return {f"try_on.{name}.{key}": float(v) for name, mean in means.items() for key, v in zip(keys, mean, strict=True)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=60, help="people")
    parser.add_argument("--cases", type=int, default=96, help="try-ons drawn, of which those of flat garments count")
    parser.add_argument("--weights", help="folder of ShadingCNN's weights; default: the released ones")
    parser.add_argument("--json", action="store_true", help="end with a JSON line")
    options = parser.parse_args()
    pairs, network = [draw(number) for number in range(options.count)], Relighting(options.weights)
    even = [tuple(np.ones_like(one.shading) for one in pair) for pair in pairs]
    said = [tuple(network.shading(_alone(one.layout))[0] for one in pair) for pair in pairs]
    true = [tuple(one.shading for one in pair) for pair in pairs]
    found = {"even": error(pairs, even, None)}
    for name, shadings in (("network", said), ("truth", true)):
        found[f"{name}.usual_light"] = error(pairs, shadings, None)
        found |= {f"{name}.light_of_photo.{weight:g}": error(pairs, shadings, weight) for weight in WEIGHTS}
    found |= try_ons(options.cases, network)
    for name, value in found.items():
        print(f"{name:34} {value:.4f}")
    if options.json:
        print(json.dumps(found))


def _alone(layout: Layout) -> Layout:
    return Layout(layout.segmentation[None], layout.keypoints[None], layout.visible[None])


if __name__ == "__main__":
    main()
