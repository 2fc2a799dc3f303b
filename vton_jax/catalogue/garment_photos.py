"""Fits garments by rule to flat photos of real ones: the cut that the photo shows, and a spline onto the photo.

Conventions: see garment_outlines.py. A spline leads from flat coordinates (`flat_layout`) to pixels of the photo. All
lengths are compared in widths of the garment, as photos have no scale.
"""

import dataclasses
import functools

import cv2
import numpy as np

from vton_jax.catalogue import flat_layout
from vton_jax.catalogue.garment_outlines import Outline, find_outline, garment_mask, resampled
from vton_jax.catalogue.garments import Cut
from vton_jax.catalogue.splines import ThinPlate

# Shapes that a type of photo may have, and the lower part's kind.
SHAPES = {
    "t-shirt": ("sleeved",), "longsleeve": ("sleeved",), "shirt": ("sleeved",), "outwear": ("sleeved",),
    "dress": ("sleeved", "sleeveless"), "skirt": ("skirt",), "pants": ("trousers",), "shorts": ("trousers",),
}  # fmt: skip
_EASE = {"top": 1.25, "trousers": 1.3, "skirt": 1.25}  # of flat cloth's width, over the neutral body's outline
_LONGER = {"top": 1.16}  # below the armpits, where cloth hangs round the whole trunk
_RISE = 0.95  # of trousers, over their width: a crotch that seems lower is where the legs no longer touch
_CREW = 0.42  # depth of a crew neck, over its width: what is taken where no neckline is seen
_COLLARED = ("shirt", "outwear")  # types whose collars stand above the neckline
_TURN = 0.75  # radians that a sleeve may be turned
# Where the middle of what is surely garment lies, and half its height, in heights of the photo; trousers: above where
# the legs part. Elsewhere: in the middle.
_SURELY = {"pants": (0.22, 0.06), "shorts": (0.36, 0.06)}
_STEP = 0.1  # of control points
_COLLARS = np.linspace(0.1, 0.95, 41)  # depths of necklines that are tried, in widths of the neck


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """What a good fit is, (bad, good) of each measure.

    Chosen by eye on sheets of 160 photos of garments_cc0/train with each fit's score and worst measure; at 0.3 about
    five in six of the fits that are kept were good enough to be worn.
    """

    area: tuple[float, float] = (0.08, 0.16)  # of the photo: smaller ones are pieces of garments, and have few pixels
    inside: tuple[float, float] = (0.90, 0.985)  # of the contour that is not the photo's border: cropped garments
    contrast: tuple[float, float] = (0.45, 0.85)  # of the contour with an edge of 5 CIE Lab: leaks have none
    mirrored: tuple[float, float] = (0.80, 0.93)  # overlap with its mirror image: crumpled or turned garments, shadows
    overlap: tuple[float, float] = (0.90, 0.96)  # of mask and mapped cut: corners at wrong places
    sides: tuple[float, float] = (0.5, 0.75)  # shorter over longer of the arcs that come in pairs: crooked landmarks
    rough: tuple[float, float] = (1.35, 1.12)  # contour's length over the mapped cut's: fringes, folded cloth
    area_change: tuple[float, float] = (0.02, 0.25)  # least over middle area of the spline: below 0 it folds
    stretch: tuple[float, float] = (8.0, 3.5)  # 95% of the spline's longest over shortest stretch
    misfit: tuple[float, float] = (0.9, 0.3)  # of proportions that no cut has, over the garment's width
    least: float = 0.3  # score from which on a fit is kept


THRESHOLDS = Thresholds()


@dataclasses.dataclass(frozen=True)
class Fit:
    """A photo's garment."""

    mask: np.ndarray  # uint8 [H, W]
    contour: np.ndarray  # [n, 2], of the mask
    outline: Outline  # its neckline is the front's, which lies within the mask
    cuts: tuple[Cut | None, Cut | None]  # of the top and the lower part
    arms: tuple[float, float]  # how far the photo's left and right sleeve are turned, see `flat_layout.layout`
    points: np.ndarray  # [n, 2], flat coordinates, and
    pixels: np.ndarray  # [n, 2], to which the spline leads them
    measures: dict[str, float]  # of `Thresholds`

    @property
    def score(self) -> float:
        """0 bad to 1 good: the product of all measures' ones."""
        return float(np.prod([_grade(name, value) for name, value in self.measures.items()]))

    @property
    def worst(self) -> str:
        return min(self.measures, key=lambda name: _grade(name, self.measures[name]))


def _grade(name: str, value: float) -> float:
    bad, good = getattr(THRESHOLDS, name)
    return float(np.clip((value - bad) / (good - bad), 0, 1))


def _length(line: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


def _apart(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.linalg.norm(one - two))


def _middle(outline: Outline, *names: str) -> np.ndarray:
    return np.mean([outline.corner(name) for name in names], axis=0)


def _proportions(outline: Outline, kind: str) -> dict[str, float]:
    """Lengths of a garment over its width, and its sleeves' directions in radians, 0 level and above 0 downwards."""
    corner, middle = outline.corner, functools.partial(_middle, outline)
    if kind == "skirt":
        width = _apart(corner("right-waist"), corner("left-waist"))
        return {
            "width": width,
            "length": _apart(middle("right-waist", "left-waist"), middle("right-hem", "left-hem")) / width,
            "hem": _apart(corner("right-hem"), corner("left-hem")) / width,
        }
    if kind == "trousers":
        x = outline.polygon[np.abs(outline.polygon[:, 1] - corner("crotch")[1] + 2) < 3, 0]
        width = float(np.ptp(x)) if len(x) else 1e-6
        hems = middle("right-hem-outer", "right-hem-inner", "left-hem-outer", "left-hem-inner")
        waist = middle("right-waist", "left-waist")
        return {
            "width": width,
            "length": (hems[1] - waist[1]) / width,
            "rise": (corner("crotch")[1] - waist[1]) / width,
        }
    armpits, hems = middle("right-armpit", "left-armpit"), middle("right-hem", "left-hem")
    width = _apart(corner("right-armpit"), corner("left-armpit"))
    neck = outline.arc("right-neck")
    chord = np.linspace(neck[0], neck[-1], len(neck))
    found = {
        "width": width,
        "length": (hems[1] - armpits[1]) / width,
        "neck": _apart(neck[0], neck[-1]) / width,
        "depth": float((neck - chord)[:, 1].max()) / width,
        "hem": _apart(corner("right-hem"), corner("left-hem")) / width,
    }
    for side, sign in (("left", 1), ("right", -1)) if outline.shape == "sleeved" else ():
        along = middle(f"{side}-cuff-under", f"{side}-cuff-over") - corner(f"{side}-neck")
        found[f"{side}-sleeve"] = float(np.linalg.norm(along)) / width
        found[f"{side}-down"] = float(np.arctan2(along[1], sign * along[0]))
    return found


@functools.lru_cache(maxsize=4096)
def cut_outline(shape: str, cuts: tuple[Cut | None, Cut | None], arms: tuple[float, float]) -> Outline:
    """The outline of a cut that lies flat, in decimetres with y downwards; what corners of it correspond to a photo's.

    Raises: ValueError where the cut has no such corners.
    """
    mask, origin = flat_layout.outline_mask(cuts, arms)
    found = find_outline(mask, shape)
    return Outline(shape, tuple(arc / flat_layout.PIXELS + origin * [1, -1] for arc in found.arcs))


def _start(kind: str, shape: str) -> tuple[Cut | None, Cut | None]:
    top = Cut("top", sleeve=0.8 if shape == "sleeved" else 0.0, hem=-0.05, neck_depth=0.2, neck_width=0.8)
    return {
        "top": (top, None),
        "dress": (dataclasses.replace(top, hem=0.18), Cut("dress", leg=0.9, waist=0.3)),
        "trousers": (None, Cut("trousers", waist=0.28)),
        "skirt": (None, Cut("skirt", leg=0.9, waist=0.3)),
    }[kind]


def _rounded(value: float, low: float, high: float) -> float:
    return round(float(np.clip(value, low, high)), 3)


def _read_cut(kind: str, photo: Outline) -> tuple[tuple[Cut | None, Cut | None], tuple[float, float], float]:
    """(cuts, arms, misfit) of a photo's outline: numbers are mended until the cut's proportions are the photo's."""
    cuts, arms = _start(kind, photo.shape), (0.0, 0.0)
    lies = {"dress": "top"}.get(kind, kind)
    wanted = _proportions(photo, lies)
    lengths = ("length", "neck", "depth", "rise", "left-sleeve", "right-sleeve")
    wanted |= {name: wanted[name] * _EASE[lies] for name in lengths if name in wanted}
    wanted["length"] *= _LONGER.get(lies, 1.0)
    for _ in range(3):
        made = _proportions(cut_outline(photo.shape, cuts, arms), lies)
        # How many decimetres of the body longer than the cut the photo's garment is.
        longer = {name: (wanted[name] - made[name]) * made["width"] for name in made if name in wanted}
        top, lower = cuts
        if lies == "top":
            sleeve = {}
            if photo.shape == "sleeved":
                sleeve["sleeve"] = _rounded(
                    top.sleeve + (longer["left-sleeve"] + longer["right-sleeve"]) / 2 / 2.27, 0.45, 1.95
                )
                arms = tuple(
                    _rounded(arm + made[f"{side}-down"] - wanted[f"{side}-down"], -_TURN, _TURN)
                    for side, arm in zip(("left", "right"), arms, strict=True)
                )
            hem = _rounded(top.hem - longer["length"] / 5.4, -0.15, 0.12) if kind == "top" else top.hem
            top = dataclasses.replace(
                top, hem=hem, neck_depth=_rounded(top.neck_depth + longer["depth"], -0.12, 0.9),
                neck_width=_rounded(top.neck_width + longer["neck"] / 2, 0.56, 1.1), **sleeve,
            )  # fmt: skip
        if kind in ("dress", "skirt"):
            lower = dataclasses.replace(lower, leg=_rounded(lower.leg + longer["length"] / 4.1, 0.45, 1.8))
        elif kind == "trousers":
            lower = dataclasses.replace(lower, leg=_rounded(lower.leg + longer["length"] / 4.0, 0.3, 1.97))
        cuts = top, lower
    if kind in ("dress", "skirt"):  # the skirt hangs as wide as the photo's
        flare = (wanted["hem"] / made["hem"] - 1) / max(cuts[1].leg, 0.5) * 0.7
        cuts = cuts[0], dataclasses.replace(cuts[1], flare=_rounded(flare, 0.0, 0.3))
    made = _proportions(cut_outline(photo.shape, cuts, arms), lies)
    lengths = {"left-sleeve", "right-sleeve", "length"} & set(made)
    misfit = max(abs(wanted[name] - made[name]) / max(1.0, made[name]) for name in lengths)
    misfit += max(0.0, wanted.get("rise", 0.0) / _EASE["trousers"] - _RISE)
    return cuts, arms, misfit


def _with_collar(image: np.ndarray, outline: Outline) -> Outline:
    """The outline with the front's neckline: what a mask shows of a neck ends at the back's, which lies behind.

    It is looked for as the curve between the neck's corners, round or pointed, across which colours change most.
    """
    arc = resampled(outline.arc("right-neck"), 41)
    first, last = arc[0], arc[-1]
    width = _apart(first, last)
    u = np.linspace(-1, 1, 41)
    chord = first + (last - first) * ((u + 1) / 2)[:, None]
    dip = arc[:, 1] - chord[:, 1]
    lab = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 1.0).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    edge = np.linalg.norm(lab[2:] - lab[:-2], axis=-1)
    edge = cv2.GaussianBlur(np.pad(edge, ((1, 1), (0, 0))), (0, 0), 0.7)
    best = 0.0, max(_CREW, dip.max() / width + 0.04), 0.7
    usual = np.median(edge[int(first[1]) : int(first[1] + width), int(first[0]) : int(last[0]) + 1]) + 2.0
    for depth in _COLLARS[_COLLARS * width > dip.max() + 2]:
        for shape, power in ((1 - u**2, 0.7), (1 - np.abs(u), 1.0)):
            rows = chord[:, 1] + depth * width * shape**power
            inner = slice(5, -5)
            values = cv2.remap(
                edge, chord[inner, :1].astype(np.float32), rows[inner, None].astype(np.float32), cv2.INTER_LINEAR
            )
            strength = float(np.median(values)) / usual * np.exp(-(((depth - _CREW) / 0.3) ** 2))
            if strength > max(best[0], 1.5):
                best = strength, depth, (shape, power)
    _, depth, form = best
    bow = (1 - u**2) ** 0.7 if isinstance(form, float) else form[0] ** form[1]
    line = np.stack([arc[:, 0], np.maximum(arc[:, 1], chord[:, 1] + depth * width * bow)], 1)
    arcs = list(outline.arcs)
    arcs[_index_of_neck(outline)] = line
    return dataclasses.replace(outline, arcs=tuple(arcs))


def _index_of_neck(outline: Outline) -> int:
    return 4 if outline.shape == "sleeved" else 2


def filled(polygon: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The inside of a polygon [n, 2], uint8 [H, W]."""
    mask = np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.round(polygon * 16).astype(np.int32)], 1, shift=4)
    return mask


def _iou(one: np.ndarray, two: np.ndarray) -> float:
    return float((one & two).sum() / max((one | two).sum(), 1))


def _mirrored(mask: np.ndarray) -> float:
    """How much of a mask lies on its mirror image, mirrored at the column that suits best."""
    columns = np.flatnonzero(mask.any(0))
    middle = (columns[0] + columns[-1]) / 2
    best, width = 0.0, mask.shape[1]
    for axis in middle + np.linspace(-0.06, 0.06, 7) * len(columns):
        matrix = np.float32([[-1, 0, 2 * axis], [0, 1, 0]])
        best = max(best, _iou(mask, cv2.warpAffine(mask, matrix, (width, mask.shape[0]), flags=cv2.INTER_NEAREST)))
    return best


def edge_contrast(image: np.ndarray, contour: np.ndarray) -> tuple[float, float]:
    """(fraction of a contour's points across which the colour changes by 5 CIE Lab, and of those not at the border)."""
    height, width = image.shape[:2]
    lab = cv2.cvtColor(cv2.GaussianBlur(image, (0, 0), 1).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    along = np.roll(contour, -2, 0) - np.roll(contour, 2, 0)
    normal = np.stack([along[:, 1], -along[:, 0]], 1) / np.maximum(np.linalg.norm(along, axis=1), 1e-9)[:, None]
    sides = [
        cv2.remap(lab, *np.moveaxis((contour + k * normal).astype(np.float32), 1, 0)[:, :, None], cv2.INTER_LINEAR,
                  borderMode=cv2.BORDER_REPLICATE)[:, 0]
        for k in (-3.5, 3.5)
    ]  # fmt: skip
    inside = (contour > 6).all(1) & (contour < [width - 7, height - 7]).all(1)
    return float((np.linalg.norm(sides[0] - sides[1], axis=1) > 5)[inside].mean()), float(inside.mean())


def _pairs(outline: Outline) -> float:
    """The least of shorter over longer among arcs that come in pairs."""
    pairs = {
        "sleeved": ((0, 8), (2, 6), (1, 7), (3, 5), (9, 11)), "sleeveless": ((0, 4), (5, 7)),
        "trousers": ((1, 6), (3, 4)), "skirt": ((1, 3),),
    }[outline.shape]  # fmt: skip
    lengths = np.array([_length(arc) for arc in outline.arcs])
    lengths += 0.05 * lengths.sum()  # cuffs are short, and their corners vague
    return float(min(min(lengths[a], lengths[b]) / max(lengths[a], lengths[b]) for a, b in pairs))


def _strains(spline: ThinPlate, fit_mask: np.ndarray, origin: np.ndarray) -> tuple[float, float]:
    """(least over middle area, 95% of longest over shortest stretch) of a spline where a cut's mask is."""
    row, column = np.nonzero(fit_mask[::6, ::6])
    places = np.stack([column, -row], 1) * 6 / flat_layout.PIXELS + origin
    h = 0.02
    x, y = (spline(places + d) - spline(places - d) for d in (np.array([h, 0]), np.array([0, h])))
    jacobian = np.stack([x, -y], -1) / (2 * h)
    area = np.linalg.det(jacobian)
    singular = np.linalg.svd(jacobian, compute_uv=False)
    return float(np.percentile(area, 1) / np.median(area)), float(
        np.percentile(singular[:, 0] / np.maximum(singular[:, 1], 1e-9), 95)
    )


def kind_of(photo_type: str) -> str:
    """The kind of garment by rule of a type of photo."""
    return {"dress": "dress", "skirt": "skirt", "pants": "trousers", "shorts": "trousers"}.get(photo_type, "top")


def _fit_shape(image: np.ndarray, mask: np.ndarray, photo_type: str, shape: str) -> Fit:
    kind = kind_of(photo_type)
    outline = find_outline(mask, shape)
    contour = outline.polygon
    if kind in ("top", "dress") and photo_type not in _COLLARED:
        outline = _with_collar(image, outline)
    cuts, arms, misfit = _read_cut(kind, outline)
    cut = cut_outline(shape, cuts, arms)
    points, pixels = cut.control_points(_STEP) * [1, -1], outline.control_points(_STEP)
    spline = ThinPlate.fit(points, pixels)
    flat_mask, origin = flat_layout.outline_mask(cuts, arms)
    area_change, stretch = _strains(spline, flat_mask, origin)
    mapped = spline(cut.polygon * [1, -1])
    clear, inside = edge_contrast(image, contour)
    measures = {
        "area": float(mask.mean()), "inside": inside, "contrast": clear, "mirrored": _mirrored(mask),
        "overlap": _iou(filled(mapped, mask.shape), filled(outline.polygon, mask.shape)),
        "sides": _pairs(outline), "rough": _length(outline.polygon) / _length(mapped), "area_change": area_change,
        "stretch": stretch, "misfit": misfit,
    }  # fmt: skip
    return Fit(mask, contour, outline, cuts, arms, points, pixels, measures)


def fit(image: np.ndarray, photo_type: str) -> Fit:
    """The garment of a flat photo uint8 RGB [H, W, 3]. Args: photo_type: a key of SHAPES.

    Raises: ValueError where no outline of that type is found; a bad fit has a low `score`.
    """
    found, why = [], ValueError("no garment is found")
    for near in (16.0, 8.0):
        mask = garment_mask(image, *_SURELY.get(photo_type, (0.5, 0.11)), near)
        for shape in SHAPES[photo_type]:
            try:
                found.append(_fit_shape(image, mask, photo_type, shape))
            except (ValueError, np.linalg.LinAlgError) as error:
                why = ValueError(str(error))
        if found and max(one.score for one in found) >= THRESHOLDS.least:
            break
    if not found:
        raise why
    return max(found, key=lambda one: one.score)
