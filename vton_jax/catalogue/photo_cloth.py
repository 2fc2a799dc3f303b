"""Photos of real garments as cloth of garments by rule.

The front of a worn garment shows the photo along the spline that `garment_photos.fit` found; its back is plain cloth of
the photo's own fabric: bands go on round it, patterns all over are continued, prints are not.

Conventions: a texture is the photo beside the back's picture, both in the photo's pixels, float32 RGB [h, 2 w, 3] in
[0, 1]; a folder of garments holds NAME.jpg of each and `index.npz`, what `packed` gives.
"""

import dataclasses
import functools
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from vton_jax.catalogue import assets, flat_layout, garments
from vton_jax.catalogue.garment_outlines import CORNERS
from vton_jax.catalogue.garments import Cut, Garment
from vton_jax.catalogue.splines import ThinPlate

FOLDER = assets.FOLDER / "garments"
INDEX = "index.npz"
_FROM_PHOTO = ("sleeve", "hem", "neck_depth", "neck_width")  # of a top; its looseness is not seen
_LEAST_NECK = 0.68  # half of it: in narrower ones cloth climbs up the neck
_NEAR = 0.4  # along a limb: how far a photo's sleeve or leg may be from the one that was drawn
_SEAM = 1.5  # pixels within which the photo goes over into the back's cloth
_KEPT = 320  # garments in memory, 0.3 MiB each: all of a split
_LINE = 16  # parts of a pixel in which masks are stored


@dataclasses.dataclass(frozen=True, eq=False)
class PhotoCloth:
    """A garment of a photo."""

    name: str
    photo_type: str  # the folder of the photo
    split: str  # `train`, `validation` or `test`
    shape: str  # see `garment_outlines.CORNERS`
    cuts: tuple[Cut | None, Cut | None]  # the photo's, of the top and the lower part
    arms: tuple[float, float]  # see `flat_layout.layout`
    picture: np.ndarray  # uint8 RGB [h, w, 3], what is not garment is filled with its colours
    polygon: np.ndarray  # float64 [n, 2], the garment's contour in pixels
    corners: np.ndarray  # float64 [C, 2], of `CORNERS[shape]` in pixels
    points: np.ndarray  # float64 [m, 2], flat coordinates that the spline leads to
    pixels: np.ndarray  # float64 [m, 2]
    score: float
    source: str  # file name of the photo

    @property
    def landmarks(self) -> dict[str, np.ndarray]:
        """The contour's corners [2] by their names, in pixels."""
        return dict(zip(CORNERS[self.shape], self.corners, strict=True))

    @functools.cached_property
    def spline(self) -> ThinPlate:
        """From flat coordinates to pixels of the photo."""
        return ThinPlate.fit(self.points, self.pixels)

    @property
    def alpha(self) -> np.ndarray:
        """How much of each pixel the garment covers, float32 [h, w]."""
        return coverage(self.polygon, self.picture.shape[:2])

    @functools.cached_property
    def _inside(self) -> np.ndarray:
        """Which pixels the garment covers by more than half, bool [h, w]."""
        return self.alpha > 0.5

    @property
    def back(self) -> np.ndarray:
        """The back's picture, as seen through the front: float32 [h, w, 3]."""
        return _fabric(self)

    @functools.cached_property
    def texture(self) -> np.ndarray:
        """The photo, with the back's cloth beyond its contour, beside the back's picture: uint8, as it is kept."""
        part, back = np.clip(cv2.GaussianBlur(self.alpha, (0, 0), _SEAM) * 2 - 0.6, 0, 1)[..., None], self.back
        front = part * (self.picture.astype(np.float32) / 255) + (1 - part) * back
        return np.round(255 * np.concatenate([front, back], 1)).astype(np.uint8)

    def uv(self, garment: Garment) -> np.ndarray:
        """See `garments.Cloth`."""
        return _coordinates(self, dataclasses.replace(garment, covered_above=np.inf))

    def pixel(self, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The photo's pixels [N, 2] at texture coordinates [N, 2], and which of them lie on the garment's front [N]."""
        height, width = self.picture.shape[:2]
        found = (uv - [0, 1]) * [2 * width, -height] - 0.5
        column, row = np.clip(np.rint(found).astype(int), 0, [width - 1, height - 1]).T
        return found, (found[:, 0] < width - 0.5) & self._inside[row, column]

    def on(self, top: Cut, lower: Cut) -> tuple[Cut, Cut]:
        """Cuts of which those of its own kind have its numbers and its cloth; the rest is as given."""
        own_top, own_lower = self.cuts
        if own_top is not None:
            taken = {name: getattr(own_top, name) for name in _FROM_PHOTO}
            taken["neck_width"] = max(taken["neck_width"], _LEAST_NECK)
            top = dataclasses.replace(top, **taken, cloth=self)
        if own_lower is not None:
            flare = lower.flare if own_lower.kind == "trousers" else own_lower.flare
            lower = dataclasses.replace(
                lower, kind=own_lower.kind, leg=own_lower.leg, waist=own_lower.waist, flare=flare, cloth=self
            )
        return top, lower


@functools.lru_cache(maxsize=8)  # an example's
def _coordinates(cloth: PhotoCloth, garment: Garment) -> np.ndarray:
    """Coordinates [3 T, 2] in a cloth's texture, of triangles that show something; nobody may write to them."""
    height, width = cloth.picture.shape[:2]
    laid = flat_layout.layout(garment.cut.kind, cloth.arms)
    front = flat_layout.front_triangles(garment, laid)
    shown = assets.any_corner(garment.keep > 0, garment.triangles)
    found = np.zeros((len(front), 3, 2))
    for side, flat, first in ((front, laid.front, 0), (~front, laid.back, width)):
        here = np.flatnonzero(side & shown)
        corners, met = garment.triangles[here], np.zeros(len(flat), bool)
        met[corners] = True
        used = np.flatnonzero(met)
        places = np.clip(cloth.spline(flat[used]), 0, [width - 1, height - 1]) + [first, 0]
        uv = np.zeros_like(flat)
        uv[used] = (places + 0.5) / [2 * width, height] * [1, -1] + [0, 1]
        found[here] = uv[corners]
    found = found.reshape(-1, 2)
    found.flags.writeable = False
    return found


def coverage(polygon: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """How much of each pixel lies in a polygon [n, 2], float32 [h, w]."""
    fine = np.zeros((4 * size[0], 4 * size[1]), np.uint8)
    cv2.fillPoly(fine, [np.round((polygon * 4 + 1.5) * 16).astype(np.int32)], 255, shift=4)
    return cv2.resize(fine, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255


# The back.


@dataclasses.dataclass(frozen=True)
class Fabrics:
    """How the back's cloth is told from the photo. Chosen by eye on garments_cc0/train."""

    banded: float = 0.55  # of the colours' spread is left within rows: below, bands go round the body
    even: float = 0.5  # the least over the middle contrast of a garment's cells: above, its pattern is all over
    fine: float = 0.036  # contrast of cells with a fine pattern; folds have less
    coarse: float = 0.085  # and of those with a coarse one
    noise: float = 0.012
    folds: float = 0.03


FABRICS = Fabrics()


def _parts(cloth: PhotoCloth) -> list[tuple[np.ndarray, np.ndarray]]:
    """(mask bool [h, w], distance along it [h, w] in pixels) of trunk and sleeves; a later one lies over the former."""
    height, width = cloth.picture.shape[:2]
    row, column = np.mgrid[:height, :width].astype(np.float32)
    parts = [(np.ones((height, width), bool), row)]
    if cloth.shape == "sleeved":
        at = cloth.landmarks
        for side in ("right", "left"):
            names = [f"{side}-{name}" for name in ("armpit", "cuff-under", "cuff-over", "shoulder")]
            armpit, under, over, shoulder = (at[name] for name in names)
            first, last = (armpit + shoulder) / 2, (under + over) / 2
            axis = (last - first) / max(np.linalg.norm(last - first), 1.0)
            along = (column - first[0]) * axis[0] + (row - first[1]) * axis[1]
            seam = armpit - shoulder
            beyond = (column - shoulder[0]) * seam[1] - (row - shoulder[1]) * seam[0]
            outside = np.sign((last[0] - shoulder[0]) * seam[1] - (last[1] - shoulder[1]) * seam[0])
            level = row < max(armpit[1], under[1], over[1]) + 0.05 * height
            own = (beyond * outside > 0) & level & ((column < width / 2) == (side == "right"))
            parts.append((own, along))
    return parts


def _fabric(cloth: PhotoCloth) -> np.ndarray:
    picture, inner = cloth.picture.astype(np.float32) / 255, cloth.alpha > 0.99
    inner = cv2.erode(inner.astype(np.uint8), np.ones((5, 5))) > 0
    generator = np.random.default_rng(zlib.crc32(cloth.name.encode()))
    found, banded = np.empty_like(picture), False
    for mask, along in _parts(cloth):
        own = mask & inner
        own = own if own.sum() >= 50 else inner
        found[mask], banded_part = _bands(picture[own], along[own], along[mask])
        banded = banded or banded_part
    tiled = None if banded else _all_over(picture, inner)
    if tiled is not None:
        return tiled
    found = cv2.GaussianBlur(found, (0, 0), 0.8)
    height, width = found.shape[:2]
    grain = generator.standard_normal((height, width)).astype(np.float32)
    folds = cv2.GaussianBlur(generator.standard_normal((height, width)).astype(np.float32), (0, 0), 9)
    shade = 1 + FABRICS.noise * grain + FABRICS.folds * folds / folds.std()
    return np.clip(found * shade[..., None], 0, 1)


def _bands(colours: np.ndarray, along: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, bool]:
    """(colours [n, 3] wanted at distances [n] along a part of cloth whose pixels have colours [m, 3] at others [m],
    whether there are bands)."""
    middle = np.median(colours, axis=0)
    bins = np.round(along / 1.5).astype(int)
    first, count = bins.min(), np.ptp(bins) + 1
    counts = np.bincount(bins - first, minlength=count)
    # The medians of all bins at once: sorted within each, as bins lie two apart and colours within one.
    apart = 2.0 * (bins - first)
    ordered = [np.sort(apart + colours[:, axis]) for axis in range(3)]
    begin = np.cumsum(counts) - counts
    profile, last = np.empty((count, 3), np.float32), middle
    for index in range(count):
        if counts[index] > 8:
            low, high = begin[index] + (counts[index] - 1) // 2, begin[index] + counts[index] // 2
            pair = np.array([(values[low], values[high]) for values in ordered]) - 2.0 * index
            last = pair.astype(np.float32).mean(1)
        profile[index] = last
    left = np.abs(colours - profile[bins - first]).sum(1)
    spread = np.abs(colours - middle).sum(1)
    if np.percentile(left, 75) > FABRICS.banded * np.percentile(spread, 75):
        return np.broadcast_to(middle, (len(wanted), 3)), False
    place = np.clip(wanted / 1.5 - first, 0, count - 1)
    return np.stack([np.interp(place, np.arange(count), profile[:, axis]) for axis in range(3)], -1), True


def _all_over(picture: np.ndarray, inner: np.ndarray) -> np.ndarray | None:
    """A pattern that lies all over the garment, continued: float32 [h, w, 3]; None if it has none."""
    height, width = inner.shape
    grey = picture.mean(-1)
    rows = np.flatnonzero(inner.sum(1) > 0.3 * inner.sum(1).max())
    top, bottom = rows[0] + 0.2 * len(rows), rows[0] + 0.9 * len(rows)
    columns = np.flatnonzero(inner[int(top) : int(bottom)].mean(0) > 0.9)
    if len(columns) < 24:
        return None
    box = picture[int(top) : int(bottom), columns[0] : columns[-1] + 1]
    for sigma, least in ((2.5, FABRICS.fine), (6.0, FABRICS.coarse)):
        detail = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), sigma))
        detail = detail[int(top) : int(bottom), columns[0] : columns[-1] + 1]
        bands = [np.array_split(band, 3, axis=1) for band in np.array_split(detail, 4)]
        cells = [float(cell.mean()) for band in bands for cell in band]
        if np.median(cells) >= least and min(cells) >= FABRICS.even * np.median(cells):
            break
    else:
        return None
    # A tile whose ends go over into each other; shifted by half, so that the back is not the front seen through.
    for axis in (0, 1):
        box = _closed(box, axis)
    row, column = np.arange(height) - int(top), np.arange(width) - columns[0]
    return box[(row + len(box) // 2) % len(box)][:, (column + box.shape[1] // 2) % box.shape[1]]


def _closed(box: np.ndarray, axis: int) -> np.ndarray:
    """A picture that repeats along an axis: its end goes over into what lies before its beginning."""
    box = np.moveaxis(box, axis, 0)
    reach = len(box) // 6
    part = np.linspace(0, 1, reach + 2)[1:-1].reshape(-1, 1, 1)
    blended = (1 - part) * box[-reach:] + part * box[:reach]
    return np.moveaxis(np.concatenate([box[reach:-reach], blended]).astype(np.float32), 0, axis)


# Folders of garments.


def _cut_numbers(cut: Cut | None) -> dict | None:
    if cut is None:
        return None
    return {field.name: getattr(cut, field.name) for field in dataclasses.fields(cut) if field.name != "cloth"}


_ARRAYS = {"polygon": (np.int16, _LINE), "corners": (np.int16, _LINE), "points": (np.float32, 1),
           "pixels": (np.float32, 1)}  # fmt: skip


def packed(cloths: Sequence[PhotoCloth]) -> dict[str, np.ndarray]:
    """All of some garments but their pictures: `about` holds a JSON text of each, and the rest points of all, one
    after the other, with the number of each garment's."""
    about = [
        json.dumps({
            "name": c.name, "photo_type": c.photo_type, "split": c.split, "shape": c.shape, "arms": c.arms,
            "cuts": [_cut_numbers(cut) for cut in c.cuts], "score": round(c.score, 3), "source": c.source,
        })
        for c in cloths
    ]  # fmt: skip
    arrays = {"about": np.array(about)}
    for key, (kind, unit) in _ARRAYS.items():
        values = np.concatenate([getattr(c, key) * unit for c in cloths])
        arrays[key] = np.round(values).astype(kind) if unit > 1 else values.astype(kind)
        arrays[f"{key}_count"] = np.array([len(getattr(c, key)) for c in cloths], np.int32)
    return arrays


def unpacked(raw: dict[str, np.ndarray]) -> list[dict]:
    """The fields of `PhotoCloth` of every garment that `packed` has, but for the picture."""
    found = [json.loads(str(text)) for text in raw["about"]]
    for about in found:
        about["cuts"] = tuple(None if cut is None else Cut(**cut) for cut in about["cuts"])
        about["arms"] = tuple(about["arms"])
    for key, (_, unit) in _ARRAYS.items():
        parts = np.split(raw[key], np.cumsum(raw[f"{key}_count"])[:-1])
        for about, part in zip(found, parts, strict=True):
            about[key] = part.astype(np.float64) / unit
    return found


@functools.cache
def _index(folder: Path) -> dict[str, dict]:
    with np.load(folder / INDEX) as file:
        raw = {key: file[key] for key in file.files}
    return {about["name"]: about for about in unpacked(raw)}


def names(split: str | None = None, folder: Path = FOLDER) -> list[str]:
    """The garments of a folder, of one split or of all."""
    return [name for name, about in _index(folder).items() if split in (None, about["split"])]


@functools.lru_cache(maxsize=_KEPT)
def read(name: str, folder: Path = FOLDER) -> PhotoCloth:
    """A garment of a folder. Raises: KeyError for one that is not there."""
    about = _index(folder)[name]
    picture = cv2.imread(str(folder / f"{name}.jpg"), cv2.IMREAD_COLOR)
    return PhotoCloth(**about, picture=np.ascontiguousarray(picture[..., ::-1]))


@functools.cache
def _of_kind(split: str, kind: str, folder: Path) -> tuple[tuple[str, float], ...]:
    """(name, length of sleeves or legs) of a split's garments of a kind of `Cut`."""
    found = []
    for name in names(split, folder):
        top, lower = _index(folder)[name]["cuts"]
        if kind == "top" and lower is None:
            found.append((name, top.sleeve))
        elif lower is not None and lower.kind == kind:
            found.append((name, lower.leg))
    return tuple(found)


def sample(
    generator: np.random.Generator, cuts: tuple[Cut, Cut], split: str, chance: float, folder: Path = FOLDER
) -> tuple[Cut, Cut]:
    """A top's and a lower part's cuts, each or both (of a dress) by chance those of a photo of like sleeves or legs."""
    wanted = [(cuts[1].kind, cuts[1].leg)]
    if cuts[1].kind != "dress":
        wanted.append(("top", cuts[0].sleeve))
    for kind, length in wanted:
        taken, which = generator.random() < chance, generator.random()
        known = _of_kind(split, kind, folder)
        near = [name for name, own in known if abs(own - length) < _NEAR] or [name for name, _ in known]
        if taken and near:
            cuts = read(near[int(which * len(near))], folder).on(*cuts)
    return cuts


def textures(worn: Sequence) -> dict[str, np.ndarray]:
    """The texture of every garment of photo cloth among what is worn, by its name as a layer."""
    return {
        thing.name: thing.cut.cloth.texture
        for thing in worn
        if isinstance(thing, garments.Garment) and isinstance(thing.cut.cloth, PhotoCloth)
    }
