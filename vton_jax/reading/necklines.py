"""Where the inside of the back shows in the collar of a garment laid flat: nobody wears that on the chest.

Below the middle of the shoulders an edge is looked for that runs from one side of the neck to the other: the path, in
polar coordinates, along which colours change most (dynamic programming, as in "Seam Carving", S. Avidan and A. Shamir,
SIGGRAPH 2007).

Conventions: NumPy; pictures are uint8 [H, W, 3], masks bool [H, W]; lengths are fractions of the distance between the
shoulders.
"""

import dataclasses

import cv2
import numpy as np


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """By eye on 38 tops and dresses of the CC0 validation split and 38 of its training split. Of the first, the inside
    of the back shows in about 20: 11 are found, of the others three lose a part of their collar.
    """

    inner: float = 0.12  # how far from the neck's middle an edge is looked for,
    outer: float = 0.45  # up to here
    above: float = 0.02  # of the mask's upper edge: the neck's middle
    beside: float = 0.12  # of the neck's middle, where the upper edge is looked for
    narrow: int = 20  # pixels: less between the shoulders shows no collar
    blur: float = 0.7  # pixels: sigma of the colours
    rays: int = 48
    level: int = 2  # rays that are left out at either side: they would run along the upper edge
    steps: int = 40  # of a ray
    bend: int = 2  # steps that an edge may move from ray to ray
    straight: float = 1.5  # CIELAB units that each of these costs
    strongest: float = 25.0  # CIELAB units: what is sharper counts no more
    # An edge is one where colours change so many times more than in the garment around, to which a floor is added.
    # A deep one could as well be a print's.
    apart: float = 2.0
    apart_deep: float = 3.0
    deep: float = 0.28
    floor: float = 1.5
    band: int = 3  # steps, of the narrowest neckband
    neckband: float = 0.05
    as_clear: float = 0.4  # as its outer edge: from here on its inner one counts


CHOSEN = Thresholds()


def opening(picture: np.ndarray, mask: np.ndarray, shoulders: np.ndarray) -> np.ndarray:
    """What of a garment's mask shows the inside of its back, bool [H, W]; nothing where no edge is clear.

    Args: shoulders: [2, 2], the wearer's, (x, y).
    """
    nothing, width = np.zeros_like(mask), abs(float(shoulders[0, 0] - shoulders[1, 0]))
    middle = float(shoulders[:, 0].mean())
    columns = np.arange(mask.shape[1])
    columns = columns[(np.abs(columns - middle) < CHOSEN.beside * width) & mask.any(0)]
    if width < CHOSEN.narrow or not len(columns):
        return nothing
    centre = np.float32([middle, np.median(mask[:, columns].argmax(0)) - CHOSEN.above * width])
    angles = np.pi * (np.arange(CHOSEN.rays) + CHOSEN.level) / (CHOSEN.rays + 2 * CHOSEN.level - 1)
    radii = np.linspace(CHOSEN.inner, CHOSEN.outer, CHOSEN.steps) * width
    rays = np.stack([np.cos(angles), np.sin(angles)], -1)
    places = np.float32(centre + radii[:, None] * rays[:, None])
    lab = cv2.GaussianBlur(cv2.cvtColor(np.float32(picture) / 255, cv2.COLOR_RGB2LAB), (0, 0), CHOSEN.blur)
    read = lambda of: cv2.remap(of, *np.moveaxis(places, -1, 0), cv2.INTER_LINEAR)  # noqa: E731
    colours, inside = read(lab), read(np.float32(mask)) > 0.5
    change = np.zeros(inside.shape, np.float32)
    change[:, 1:-1] = np.linalg.norm(colours[:, 2:] - colours[:, :-2], axis=-1)
    change = np.minimum(change, CHOSEN.strongest) * inside
    if not inside.any():
        return nothing
    path = np.arange(CHOSEN.rays), _path(change)
    # A neckband stays. Of its two edges the inner one may not be seen: then one of the usual width is left.
    within = np.where(np.arange(CHOSEN.steps) < path[1][:, None] - CHOSEN.band, change, 0)
    nearer = path[0], _path(within)
    both = np.median(within[nearer]) > CHOSEN.as_clear * np.median(change[path])
    path = nearer if both else path
    apart = np.median(change[path]) / (np.median(change[inside]) + CHOSEN.floor)
    deep = np.median(radii[path[1]]) > CHOSEN.deep * width
    if apart < (CHOSEN.apart_deep if deep else CHOSEN.apart):
        return nothing
    edge = places[path] - np.float32(0 if both else CHOSEN.neckband * width) * np.float32(rays)
    top = np.float32([[edge[-1, 0], 0], [edge[0, 0], 0]])
    found = cv2.fillPoly(np.zeros(mask.shape, np.uint8), [np.int32(np.rint(np.concatenate([edge, top])))], 1)
    return (found > 0) & mask


def _path(gain: np.ndarray) -> np.ndarray:
    """The columns [N] of rows [N, M] that gain most in all, where every step aside costs."""
    best, came = gain[0].copy(), np.zeros(gain.shape, int)
    for row in range(1, len(gain)):
        wide = np.pad(best, CHOSEN.bend, constant_values=-np.inf)
        asides = range(-CHOSEN.bend, CHOSEN.bend + 1)
        options = np.stack([
            wide[CHOSEN.bend + aside : CHOSEN.bend + aside + gain.shape[1]] - CHOSEN.straight * abs(aside)
            for aside in asides
        ])  # fmt: skip
        chosen = options.argmax(0)
        came[row] = np.arange(gain.shape[1]) + chosen - CHOSEN.bend
        best = options.max(0) + gain[row]
    path = [int(best.argmax())]
    for row in range(len(gain) - 1, 0, -1):
        path.append(int(came[row, path[-1]]))
    return np.array(path[::-1])
