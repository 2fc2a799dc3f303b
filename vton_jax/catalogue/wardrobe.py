"""Clothes, shoes and hair of the asset library, fitted to any body.

A vertex lies on a triangle of the body and a little off it: it follows every shape and, by the same blend of the
body's weights, every pose. What clothes hide of the body is left out, so that no skin shows through them.
"""

import dataclasses
import functools

import numpy as np

from vton_jax.catalogue import assets
from vton_jax.core import segmentation

_ID = segmentation.ID
# Suits, shoes and hair by the file's name.
SUITS = tuple(sorted(path.stem for path in (assets.FOLDER / "clothes").glob("*suit*.npz")))
SHOES = tuple(sorted(path.stem for path in (assets.FOLDER / "clothes").glob("shoes*.npz")))
HAIR = tuple(sorted(path.stem for path in (assets.FOLDER / "hair").glob("*.npz")))
# Heights on the neutral body, in decimetres from its middle: a part whose top lies above the first is an upper garment;
# a lower one whose end lies below the second is trousers; what lies on a foot below the third is its shoe, else a sock.
# Of women and of men, how many have none, short and long hair.
_OVER_AN_EYE = ("bob01", "bob02", "short03")  # hair that falls so is a fourth as frequent as other hair
HAIR_CHANCES = ((0.01, 0.14, 0.85), (0.22, 0.68, 0.10))
_CHEST, _SHINS, _SHOE = 3.0, -6.0, -7.0


@dataclasses.dataclass(frozen=True)
class Worn:
    """Something that lies on a body: a suit, a pair of shoes, hair or a hat."""

    name: str
    base: np.ndarray  # int [V, 3], the body's vertices that each of its own lies between
    blend: np.ndarray  # float64 [V, 3], how much of each
    offset: np.ndarray  # float64 [V, 3], decimetres on the neutral body
    scale: np.ndarray  # float64 [3, 3]: along each axis, two vertices of the body and how far they were apart; 0: fixed
    triangles: np.ndarray  # int32 [T, 3]
    uv: np.ndarray  # float32 [U, 2]
    triangles_uv: np.ndarray  # int32 [T, 3]
    component: np.ndarray  # int [V], pieces that hang together
    hides: np.ndarray  # int [n], vertices of the body

    def fit(self, body: np.ndarray) -> np.ndarray:
        """Its vertices [V, 3] on a body [19158, 3]."""
        scale = np.ones(3)
        for axis, (one, two, apart) in enumerate(self.scale):
            if apart:
                scale[axis] = abs(body[int(one), axis] - body[int(two), axis]) / apart
        return np.einsum("vk,vkc->vc", self.blend, body[self.base]) + self.offset * scale

    @functools.cached_property
    def weights(self) -> np.ndarray:
        """How much each vertex follows each bone, float32 [V, 53]."""
        found = np.clip(np.einsum("vk,vkb->vb", self.blend, assets.rig().weights[self.base]), 0, None)
        return (found / found.sum(1, keepdims=True)).astype(np.float32)

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """ATR's label of every triangle, uint8 [T]."""
        places = self.fit(assets.base_mesh().vertices)
        piece = self.component[self.triangles[:, 0]]
        found = np.zeros(len(self.triangles), np.uint8)
        for number in np.unique(piece):
            here = piece == number
            rows = places[self.component == number, 1]
            left = places[self.component == number, 0].mean() > 0
            found[here] = _label(self.name, rows.min(), rows.max(), left)
        return found

    @functools.cached_property
    def shoes(self) -> np.ndarray:
        """Which triangles [T] are of shoes, not of socks: trousers hide these, and lie closer than they."""
        return np.isin(self.labels, segmentation.SHOES)


def _label(name: str, low: float, high: float, left: bool) -> int:
    if name in HAIR:
        return _ID["hair"]
    if name in SHOES:
        side = "left" if left else "right"
        return _ID[f"{side}-shoe" if low < _SHOE and high < _SHOE + 0.2 else f"{side}-leg"]
    if name not in SUITS:
        return _ID["hat"]
    if high > _CHEST:
        return _ID["upper-clothes"]
    return _ID["pants" if low < _SHINS else "skirt"]


@functools.cache
def read(name: str) -> Worn:
    """Something from the library, by its file's name. Raises: ValueError for one that does not exist."""
    path = assets.FOLDER / ("hair" if name in HAIR else "clothes") / f"{name}.npz"
    if not path.is_file():
        raise ValueError(f"no such clothes, shoes or hair: {name}")
    with np.load(path) as file:
        raw = {key: file[key] for key in file.files}
    triangles, quad = assets.triangles_of(raw["quads"])
    return Worn(
        name,
        raw["base_index"].astype(np.int64),
        raw["base_weight"].astype(np.float64),
        raw["offset"].astype(np.float64),
        raw["scale_xyz"],
        triangles,
        raw["uv"],
        assets.corners_of(raw["quads_uv"], quad),
        raw["component"].astype(np.int64),
        raw["delete_vertices"].astype(np.int64),
    )


def sample_suit(generator: np.random.Generator, gender: float) -> str:
    """A suit that goes with a gender (0 female, 1 male)."""
    suits = [name for name in SUITS if name.startswith("male" if gender > 0.5 else "female")]
    return suits[generator.integers(len(suits))]


def sample_shoes(generator: np.random.Generator) -> str:
    return SHOES[generator.integers(len(SHOES))]


def sample_hair(generator: np.random.Generator, gender: float) -> tuple[str, ...]:
    """Hair that goes with a gender; some are bald or shaved, which is no hair."""
    short = [name for name in HAIR if name.startswith("short")]
    chances = HAIR_CHANCES[int(gender > 0.5)]
    kind = generator.choice(3, p=chances)
    hair = ((), short, [name for name in HAIR if name not in short])[kind]
    if not hair:
        return ()
    weights = np.array([0.25 if name in _OVER_AN_EYE else 1.0 for name in hair])
    return (hair[generator.choice(len(hair), p=weights / weights.sum())],)
