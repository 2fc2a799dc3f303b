"""A person as one mesh: the body, and what is worn on it.

Conventions: `Person` holds the person at rest; `views.view_of` poses it and looks at it. Every triangle has a label of
ATR's and a layer: which part of `layers` it belongs to, the skin first.
"""

import dataclasses
import functools
import itertools
from collections.abc import Sequence

import numpy as np

from vton_jax.catalogue import assets, bodies, garments, wardrobe
from vton_jax.catalogue.garments import Garment
from vton_jax.core import segmentation

# Parts of the bare body by what their bones' names begin with; what is named first wins a tie. Who wears nothing wears
# a leotard: ATR has no label for a bare trunk.
_PARTS = {
    "face": ("head", "neck"),
    "arm": ("upperarm", "lowerarm", "hand", "thumb", "index", "middle", "ring", "pinky"),
    "leg": ("thigh", "calf", "foot", "ball"),
    "upper-clothes": ("clavicle", "spine"),
    "pants": ("pelvis", "Root"),
}
_NECKLINE, _WAIST = (1.3, 4.2), 1.2  # half its width and where it begins, on the neutral body
_LONG = 1.85  # along the leg: where trousers hide socks
SKIN, EYES = "skin", "eyes"
_SUITS = 0.35  # of people wear a suit of the library: it has few


@dataclasses.dataclass(frozen=True)
class Person:
    """Somebody at rest, in `V` vertices and `T` triangles."""

    body: np.ndarray  # float64 [19158, 3], the whole body with its helpers
    vertices: np.ndarray  # float64 [V, 3]
    weights: tuple[
        np.ndarray, ...
    ]  # float32 [v, 53], of the body and of each thing worn, as vertices follow each other
    used: np.ndarray  # int [n], the vertices of all surfaces, of parts of cloth that are cut off, too
    triangles: np.ndarray  # int32 [T, 3], without those of which nothing is drawn
    uv: np.ndarray  # float64 [U, 2], of the layer's texture, v upwards
    triangles_uv: np.ndarray  # int32 [T, 3]
    labels: np.ndarray  # uint8 [T]
    keep: np.ndarray  # float64 [V]: where what lies between is not above 0, nothing is
    layer: np.ndarray  # int [T], index in `layers`
    layers: tuple[str, ...]  # SKIN, EYES, then the names of what is worn; a suit is NAME/upper and NAME/lower
    worn: tuple[wardrobe.Worn | Garment, ...]
    hanging: tuple[tuple[int, int, str], ...] = ()  # vertices from, to, and the bone that they hang from

    @functools.cached_property
    def neutral(self) -> np.ndarray:
        """The same spots on the neutral body [V, 3]: surface coordinates."""
        neutral = assets.base_mesh().vertices
        return np.concatenate([neutral, *(thing.fit(neutral) for thing in self.worn)])

    @property
    def drawn(self) -> dict:
        """How `rasteriser` draws it: cloth from both sides, and cut."""
        return {"both_sides": self.layer > 1, "keep": self.keep}

    @property
    def height(self) -> float:
        """How tall somebody is without shoes, in decimetres."""
        rows = self.body[: assets.NUM_BODY, 1]
        return float(rows.max() - rows.min())


@functools.cache
def _body_labels(bare: bool) -> np.ndarray:
    """The label of each of the body's triangles, uint8 [26756]. Args: bare: whether what clothes leave of the trunk is
    skin: ATR's `face` is the neck's and the chest's, too; else it goes with the nearest limb."""
    triangles, rig = assets.base_mesh().part("body"), assets.rig()
    scores, labels = [], []
    for part, begins in _PARTS.items():
        for side, name in (("_l", "left-"), ("_r", "right-")) if part in ("arm", "leg") else (("", ""),):
            bones = [index for index, bone in enumerate(rig.bones) if bone.startswith(begins) and bone.endswith(side)]
            scores.append(rig.weights[:, bones].sum(1)[triangles].sum(1))
            labels.append(name + part)
    ids = np.array([segmentation.ID[name] for name in labels], np.uint8)
    if not bare:
        return ids[np.argmax(scores, 0)]
    middle = assets.base_mesh().vertices[triangles].mean(1)
    neckline = (middle[:, 1] > _NECKLINE[1]) & (np.abs(middle[:, 0]) < _NECKLINE[0])
    for label, score in zip(labels, scores, strict=True):
        own_side = (middle[:, 0] > 0) == label.startswith("left")
        if label.endswith("arm"):
            score += 1e-3 * (own_side & ~neckline & (middle[:, 1] > _WAIST))
        elif label.endswith("leg"):
            score += 1e-3 * (own_side & (middle[:, 1] <= _WAIST))
        elif label == "face":
            score += 1e-3 * neckline
        else:
            score[:] = -1
    return ids[np.argmax(scores, 0)]


@functools.cache
def _eye_uv() -> np.ndarray:
    """Texture coordinates [19158, 2] of eyes: straight from the front, the middle of the texture being the pupil."""
    mesh, uv = assets.base_mesh(), np.zeros((assets.NUM_VERTICES, 2))
    places, both = mesh.vertices, [np.unique(mesh.part(f"helper-{side}-eye")) for side in "lr"]
    for side in (1, -1):
        own = np.concatenate(both)
        own = own[side * places[own, 0] > 0]
        middle = places[own].mean(0)
        radius = np.ptp(places[own, 0]) / 2
        uv[own] = 0.5 + 0.5 * (places[own, :2] - middle[:2]) / radius
    return uv


def _reaches_the_shoes(thing: wardrobe.Worn | Garment) -> bool:
    """Whether trousers are so long that they hide socks."""
    if not (thing.name in wardrobe.SUITS or (isinstance(thing, Garment) and thing.cut.leg > _LONG)):
        return False
    return bool((thing.labels == segmentation.ID["pants"]).any())


@functools.cache
def _of_body_and_eyes() -> tuple[np.ndarray, np.ndarray]:
    """Which of the mesh's triangles [T] are the body's, and which the eyes'."""
    group = assets.base_mesh().group
    return group == "body", np.isin(group, ("helper-l-eye", "helper-r-eye"))


@functools.lru_cache(maxsize=32)
def _fitted(thing: str | Garment, identity: bodies.Identity) -> np.ndarray:
    """What is worn on a body without expression, [V, 3]: somebody's pictures share hair and clothes; nobody may write
    to it."""
    places = (wardrobe.read(thing) if isinstance(thing, str) else thing).fit(bodies.shape(identity))
    places.flags.writeable = False
    return places


def _drawn(thing: wardrobe.Worn | Garment, trousers: bool) -> np.ndarray | slice:
    """Which triangles of what is worn are drawn. Args: trousers: whether they hide socks."""
    if trousers and thing.name in wardrobe.SHOES:
        return thing.shoes
    return thing.drawn if isinstance(thing, Garment) else slice(None)


def _surface(thing: wardrobe.Worn | Garment, drawn: np.ndarray | slice) -> tuple[np.ndarray, ...]:
    """(triangles, texture coordinates, their triangles, labels) of what is drawn of a thing."""
    if isinstance(thing, Garment):  # every triangle has its own coordinates, so that those cut off are left out
        uv = thing.uv.reshape(-1, 6)[drawn].reshape(-1, 2)
        corners_uv = np.arange(len(uv), dtype=np.int32).reshape(-1, 3)
    else:
        uv, corners_uv = thing.uv, thing.triangles_uv[drawn]
    return thing.triangles[drawn], uv, corners_uv, thing.labels[drawn]


def dress(
    identity: bodies.Identity, worn: Sequence[str | Garment] = (), expression: dict[str, float] | None = None
) -> Person:
    """Somebody in what `worn` lists: suits, shoes, hair and hats of `wardrobe` by their names, and `garments`.

    Args: expression: see `bodies.shape`. Raises: ValueError for what does not exist.
    """
    mesh, rig = assets.base_mesh(), assets.rig()
    body = bodies.shape(identity, expression)
    things = [wardrobe.read(thing) if isinstance(thing, str) else thing for thing in worn]
    hidden = np.zeros(assets.NUM_VERTICES, bool)
    for thing in things:
        hidden[thing.hides] = True
    of_body, eyes = _of_body_and_eyes()
    shown = of_body & assets.any_corner(~hidden, mesh.triangles)
    clothed = any(thing.name in wardrobe.SUITS or isinstance(thing, Garment) for thing in things)
    labels = _body_labels(bare=clothed)[shown[of_body]]
    eye_triangles = mesh.triangles[eyes]
    eye_labels = np.full(len(eye_triangles), segmentation.ID["face"], np.uint8)
    parts = [
        (body, mesh.triangles[shown], mesh.uv, mesh.triangles_uv[shown], labels),
        (body[:0], eye_triangles - len(body), _eye_uv(), eye_triangles, eye_labels),
    ]
    trousers = any(_reaches_the_shoes(thing) for thing in things)
    layers, layer = [SKIN, EYES], [np.zeros(len(labels), int), np.ones(len(eye_triangles), int)]
    used = [part[1] for part in parts]
    for given, thing in zip(worn, things, strict=True):
        drawn = _drawn(thing, trousers)
        used.append(thing.used if isinstance(thing, Garment) else thing.triangles[drawn])
        places = thing.fit(body) if expression else _fitted(given, identity)
        parts.append((places, *_surface(thing, drawn)))
        lower = (parts[-1][4] != segmentation.ID["upper-clothes"]) & (thing.name in wardrobe.SUITS)
        layer.append(len(layers) + lower)
        layers += [f"{thing.name}/upper", f"{thing.name}/lower"] if thing.name in wardrobe.SUITS else [thing.name]
    before = list(itertools.accumulate([len(part[0]) for part in parts], initial=0))
    touched = np.zeros(before[-1], bool)
    for corners, start in zip(used, before, strict=False):
        touched[start + corners] = True
    hanging = [(a, a + len(thing.weights), thing.bone)
               for thing, a in zip(things, before[2:], strict=False) if getattr(thing, "hangs", False)]  # fmt: skip
    uv_before = list(itertools.accumulate([len(part[2]) for part in parts], initial=0))
    return Person(
        body,
        np.concatenate([part[0] for part in parts]),
        (rig.weights, *(thing.weights for thing in things)),
        np.flatnonzero(touched),
        np.concatenate([part[1] + start for part, start in zip(parts, before, strict=False)]),
        np.concatenate([part[2] for part in parts]).astype(np.float64, copy=False),
        np.concatenate([part[3] + start for part, start in zip(parts, uv_before, strict=False)]),
        np.concatenate([part[4] for part in parts]),
        np.concatenate(
            [np.ones(len(body)), *(t.keep if isinstance(t, Garment) else np.ones(len(t.weights)) for t in things)]
        ),
        np.concatenate(layer),
        tuple(layers),
        tuple(things),
        tuple(hanging),
    )


def only(person: Person, layers: Sequence[str]) -> Person:
    """The same mesh of which nothing but some layers is drawn, such as a garment alone.

    Raises: ValueError for a layer that the person lacks.
    """
    missing = [name for name in layers if name not in person.layers]
    if missing:
        raise ValueError(f"the person wears no {missing[0]}, but {', '.join(person.layers)}")
    shown = np.isin(person.layer, [person.layers.index(name) for name in layers])
    keep = np.full(len(person.keep), -1.0)
    used = np.unique(person.triangles[shown])
    keep[used] = person.keep[used]
    return dataclasses.replace(person, keep=keep)


def sample_worn(generator: np.random.Generator, gender: float, style: str) -> list[str | Garment]:
    """What somebody wears: one of the library's suits or garments by rule, and shoes. Args: style: of `styles`."""
    suit = generator.random() < _SUITS
    clothes = [wardrobe.sample_suit(generator, gender)] if suit else garments.sample(generator, gender, style)
    return [*clothes, wardrobe.sample_shoes(generator)]
