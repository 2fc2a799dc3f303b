"""How bare limbs and clothes are lit, and how wide limbs are: python benchmarks/limb_shading.py --dataset=people.npz

From photographed people whose labels and joints are known (a file of `data/build.py pictures --kind=people`, without
the photos that choose or score). Limbs and hands count where their hue is the face's. The light is found without what
is looked at (`compositing.lighting`), and ShadingCNN's word on it is compared with the part's own light and shade: mean
absolute errors of the logarithm of brightness, of limbs and of clothes, by how much of it counts
(`lighting.CHOSEN.cloth`, `bare_limbs.CHOSEN.light`). Prints, too, how much brighter limbs are than the face in the same
light, by colour, and how much redder in the shade (`compositing/bare_limbs.py`), and how wide (`layout/limbs.py`).
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vton_jax.compositing import drawn_hands, drawn_legs, lighting
from vton_jax.compositing.bare_limbs import DARK, LUMA
from vton_jax.core import framing, segmentation
from vton_jax.core.segmentation import ID
from vton_jax.core.types import Layout
from vton_jax.inputs import pictures
from vton_jax.layout import limbs
from vton_jax.systems.relighting import Relighting

SIZE = (256, 192)  # as ShadingCNN sees people
ROWS = 8  # of a table
FEWEST_FACE, FEWEST_ROWS, FEWEST_CLOTH, FEWEST_HAND, FEWEST_LIMB, FEWEST_BARE = 70, 8, 400, 25, 40, 100
COVERED = 60  # pixels of both arms above the wrists: with fewer, sleeves are long
HUE, LIGHTNESS = 12, 25  # CIELAB units about the face's
PARTS = (0.0, 0.5, 0.7, 1.0, 1.5, 2.0)  # of what is said
USUAL = 0.5  # of the logarithm about a limb's median: what is farther off is a shadow or no skin
PRINTED = 0.6  # standard deviation of the logarithm: what varies more has a print
CLOTH = tuple(ID[name] for name in ("upper-clothes", "skirt", "pants", "dress"))


def lab(colour: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.float32(colour)[None, None], cv2.COLOR_RGB2LAB)[0, 0]


class Person:
    """A photo at `SIZE`, and how it is lit."""

    def __init__(self, one: dict, network: Relighting):
        self.image = framing.resize(one["image"] / np.float32(255), SIZE)
        self.labels = cv2.resize(one["segmentation"], SIZE[::-1], interpolation=cv2.INTER_NEAREST)
        self.own, self.seen = one, one["seen"]
        self.points = np.float32(one["keypoints"] * (SIZE[0] / one["image"].shape[0]))
        self.shading = network.shading(Layout(self.labels[None], self.points[None], self.seen[None]))[0]

    def lit_without(self, label: int) -> np.ndarray:
        """Logarithm of how bright white is, [H, W], as screens show it, in the light of all parts but one."""
        rest = np.where(self.labels == label, 0, self.labels).astype(np.uint8)
        light = lighting.light_of(self.image, rest, self.shading, np.ones(SIZE, bool))
        return np.log(lighting.brightness(self.shading, light, self.labels)) / lighting.GAMMA

    def errors(self, inside: np.ndarray, said: np.ndarray, beside: np.ndarray | float = 0.0) -> list[float]:
        """Of a part, by `PARTS`: mean absolute differences of logarithms, each about its median.

        Args: beside: what is said, too, and counts whole.
        """
        true = np.log(self.image[inside] @ LUMA + DARK) - (beside[inside] if np.ndim(beside) else beside)
        true, said = true - np.median(true), said[inside] - np.median(said[inside])
        return [float(np.abs(true - part * said).mean()) for part in PARTS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", required=True)
    options = parser.parse_args()
    found = errors, halves, shifts, slopes, alike = *(defaultdict(list) for _ in range(4)), []
    hues, hands, beside = [], [], []
    people, network = pictures.read(options.dataset), Relighting()
    for number in range(len(people["image"])):
        one = Person({name: of[number] for name, of in people.items()}, network)
        for label in CLOTH:
            inside = cv2.erode(np.uint8(one.labels == label), np.ones((3, 3), np.uint8)) > 0
            if inside.sum() >= FEWEST_CLOTH and np.log(one.image[inside] @ LUMA + DARK).std() < PRINTED:
                errors["cloth"].append(one.errors(inside, one.lit_without(label)))
        face = one.labels == ID["face"]
        if face.sum() >= FEWEST_FACE:
            add_limbs(one, face, found)
            add_hands(one, face, hues, hands)
            add_beside(one, face, beside)
    for kind, every in errors.items():
        said = ", ".join(f"{part:g}: {error:.4f}" for part, error in zip(PARTS, np.mean(every, 0), strict=True))
        print(f"{kind}: {len(every)}, error by how much of the light counts: {said}")
    for kind, every in halves.items():
        half = np.array(every).reshape(len(every), ROWS, -1)
        print(f"{kind}: the face's logarithm plus", np.round(np.mean(shifts[kind], 0), 3).tolist())
        print("  colours change by", np.round(np.median(slopes[kind], 0), 2).tolist(), "where brightness does by 1")
        print("  half a width, median", np.round(np.nanmedian(half, (0, 2)), 4).tolist())
        print("  three of five are narrower than", np.round(np.nanpercentile(half, 60, (0, 2)), 4).tolist())

    near = np.percentile(hues, (50, 75, 90)).round(1).tolist()
    print(f"hands: {len(hues)}; half, three of four, nine of ten have hues nearer to the face's than {near}")
    print(f"  at long sleeves: {len(hands)}; the face's logarithm plus", np.mean(hands, 0).round(3).tolist())

    print(f"legs' outlines: {len(alike)}, IoU of drawn ones and of usual widths", np.mean(alike, 0).round(3).tolist())
    by_face, by_arms = (np.stack(side) - np.mean(side, 0) for side in zip(*beside, strict=True))
    missed = [float(np.abs(by).mean().round(3)) for by in (by_face, by_arms, (by_face + by_arms) / 2)]
    print(f"legs beside faces, arms, and the mean of both: {len(beside)}, missed by", missed)


def add_beside(one: Person, face: np.ndarray, beside: list) -> None:
    """Adds how much brighter bare legs are than the face, and than arms."""
    arms, legs = (np.isin(one.labels, of) for of in (segmentation.ARMS, segmentation.LEGS))
    if arms.sum() < FEWEST_BARE or legs.sum() < FEWEST_BARE:
        return
    middle = [lab(np.median(one.image[of], 0)) for of in (face, arms, legs)]
    if np.abs(middle[2] - middle[0])[0] > LIGHTNESS or max(np.abs(of - middle[0])[1:].max() for of in middle) > HUE:
        return
    lit = one.lit_without(0)
    beside.append((brighter(one, legs, face, lit), brighter(one, legs, arms, lit)))


def add_hands(one: Person, face: np.ndarray, hues: list, hands: list) -> None:
    """Adds how far the hues of hands are from the face's, and how much brighter they are at long sleeves."""
    (body,) = limbs.bodies_of((Layout(None, one.points, one.seen),), SIZE)
    arms = np.isin(one.labels, segmentation.ARMS)
    for hand in filter(None, (drawn_hands.drawn_hand(body, side, SIZE) for side in ("right", "left"))):
        inside = (one.labels == hand.label) & hand.around
        if inside.sum() < FEWEST_HAND:
            continue
        apart = np.abs(lab(np.median(one.image[inside], 0)) - lab(np.median(one.image[face], 0)))
        hues.append(apart[1:].max())
        if apart[0] <= LIGHTNESS and hues[-1] <= HUE and (arms & ~hand.around).sum() < COVERED:
            hands.append(brighter(one, inside, face, one.lit_without(hand.label)))


def brighter(one: Person, inside: np.ndarray, face: np.ndarray, lit: np.ndarray) -> np.ndarray:
    """By how much a part's logarithm of colour [3] is above the face's in the same light."""
    own, theirs = (np.median(np.log(one.image[of] + DARK) - lit[of][:, None], 0) for of in (inside, face))
    return own - theirs


def add_limbs(one: Person, face: np.ndarray, found: tuple[dict, dict, dict, dict, list]) -> None:
    """Adds what a person's limbs show to (errors, halves, shifts, slopes), lists by kind, and how alike legs are."""
    errors, halves, shifts, slopes, alike = found
    (body,) = limbs.bodies_of((Layout(None, one.own["keypoints"], one.seen),), one.own["segmentation"].shape)
    for label, limb in limbs.limbs_of(one.own["segmentation"], body).items():
        _, kind, _, joints = next(chain for chain in limbs.CHAINS if chain[2] == label)
        inside = one.labels == label
        apart = np.abs(lab(np.median(one.image[inside], 0)) - lab(np.median(one.image[face], 0)))
        rows = limb.seen.sum()
        if not one.seen[joints].all() or rows < FEWEST_ROWS or apart[0] > LIGHTNESS or apart[1:].max() > HUE:
            continue
        lit = one.lit_without(label)
        errors[kind].append(one.errors(inside, lit))
        if kind == "leg":
            add_drawn(one, label, lit, errors, alike)
        halves[kind].append(np.where(limb.seen, limb.half / body.height, np.nan))
        colours, light = np.log(one.image[inside] + DARK), np.log(one.image[inside] @ LUMA + DARK)
        colours, light = colours - np.median(colours, 0), light - np.median(light)
        near = np.abs(light) < USUAL
        slopes[kind].append((colours * light[:, None])[near].sum(0) / max(float((light[near] ** 2).sum()), 1e-6))
        shifts[kind].append(brighter(one, inside, face, lit))


def add_drawn(one: Person, label: int, lit: np.ndarray, errors: dict, alike: list) -> None:
    """Adds how much of a drawn leg's light and shade its photo has, beside the light's word, and how alike outlines
    are: those of a drawn leg, and those of one that is everywhere as wide as legs usually are."""
    (body,) = limbs.bodies_of((Layout(None, one.points, one.seen),), SIZE)
    if (limb := limbs.limbs_of(one.labels, body).get(label)) is None:
        return
    there, mask, detail = drawn_legs.drawn_leg(limb, body, label, SIZE)
    own = one.labels == label
    if (own & mask).sum() < FEWEST_LIMB:
        return
    for much in (0.5, 1.0, 1.5):
        said = one.errors(own & mask, detail, much * lit)
        errors[f"leg, {much:g} of the light beside parts of what is drawn"].append(said)
    y, x = np.nonzero(there)
    down, across = limbs.along(np.stack([x, y], -1).astype(np.float32), limb.joints)
    tube = np.zeros(SIZE, bool)
    rows = (np.arange(ROWS) + 0.5) / ROWS * 2
    tube[y, x] = np.abs(across) < np.interp(down, rows, limbs.USUAL_HALF["leg"]) * float(body.height)
    own = own & there
    alike.append([(own & one).sum() / (own | one).sum() for one in (mask, tube)])


if __name__ == "__main__":
    main()
