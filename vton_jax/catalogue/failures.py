"""Cases that each meet one known difficulty of try-on, with the counterfactual truth, for the failure suites.

All else is calm: plain cloth in colours that are neither skin nor hair, a white ground, short hair, arms that hang,
people who face the camera. Beside the arrays of `cases`, each case has `without_...`, the same scene without its
difficulty, which is what a system shows that does not notice it, and tells where to look; and `output_limb`, uint8
[H, W]: the index in `LIMBS` of what the output shows, covered or bare, and 0 elsewhere.

suite               what is met                                           without it
sleeve_swap         long sleeves become short ones or none, and back      the user's own clothes in the target pose
hem_swap            a long skirt, dress or trousers become short, back    the user's own clothes in the target pose
lettering           a print with lettering                                the same garment without its print
arm_over_body       a bare forearm before the trunk                       the same with hanging arms
back_view           the target is seen from behind                        the same seen from the front
hair_over_garment   long hair hangs over the garment                      the same with short hair

Conventions: as in `cases`.
"""

import dataclasses
import itertools

import cv2
import numpy as np

from vton_jax.catalogue import (
    assets,
    camera,
    cases,
    characters,
    examples,
    exchanges,
    garments,
    people,
    photo_cloth,
    pictures,
    poses,
    textures,
    views,
)
from vton_jax.catalogue.garments import Cut
from vton_jax.catalogue.skeleton import Pose

SUITES = ("sleeve_swap", "hem_swap", "lettering", "arm_over_body", "back_view", "hair_over_garment")
LIMBS = ("", "head", "upperarm_l", "lowerarm_l", "upperarm_r", "lowerarm_r")
_FIRST = 2_000_000  # number of the first character: those of cases and clips count from 0 and from a million
_CLOTH = np.float32([(0.12, 0.35, 0.80), (0.80, 0.10, 0.40), (0.05, 0.52, 0.28), (0.45, 0.12, 0.62), (0.85, 0.80, 0.10),
                     (0.50, 0.78, 0.95)])  # fmt: skip
_LONG, _SHORT, _NONE = 1.9, 0.5, 0.0  # sleeves
# (worn, donated), by the number of the case.
SLEEVES = ((_LONG, _SHORT), (_SHORT, _LONG), (_LONG, _NONE), (_NONE, _LONG))
HEMS = tuple(itertools.product(((1.7, 0.6), (0.6, 1.7)), ("skirt", "dress", "trousers")))
_PLAIN_PHOTOS = ("t-shirt_f968404d-6c3a", "t-shirt_0e240297-2265", "t-shirt_aa6bb957-1ab8", "t-shirt_2b84e88f-fa18")
_WORDS = ("TRYON", "PLAY", "2026", "ABOVE")
_HAIR = {"short": ("short01",), "bob": ("bob01",), "long": ("long01",)}
_LIGHT = pictures.Light((-0.3, 0.5, 0.8), (0.4, 0.4, 0.4), (0.75, 0.75, 0.75))


@dataclasses.dataclass(frozen=True)
class _Scene:
    """A case before it is drawn. Cuts are of a top and of what is below; `kind` is what is exchanged."""

    people: tuple[characters.Character, ...]  # user, donor, model
    own: tuple[Cut, Cut]
    theirs: tuple[Cut, Cut]
    upper: bool
    colour: int
    poses: dict[str, Pose]
    flat: bool
    without_pose: Pose | None = None  # another output pose
    without_hair: str | None = None  # other hair
    without_print: np.ndarray | None = None  # another texture of the given top
    as_before: bool = False  # without the exchange


def _cuts(sleeve: float = _SHORT, leg: float = 1.95, kind: str = "trousers") -> tuple[Cut, Cut]:
    if kind == "trousers":
        return Cut("top", sleeve=sleeve, hem=-0.1), Cut("trousers", leg=leg)
    return Cut("top", sleeve=sleeve, hem=0.18), Cut(kind, leg=leg, flare=0.12, waist=0.3)


def _calm(number: int, index: int) -> _Scene:
    """Case `index` without any difficulty: a T-shirt in exchange for another. Args: number: of its people."""
    who = (characters.character(_FIRST + 3 * number + k, "test") for k in range(3))
    three = tuple(dataclasses.replace(one, hair=_HAIR["short"]) for one in who)
    sway = 0.25 * float(np.sin(2.4 * index))  # a little to either side
    stands = {name: poses.stand(arms=0.3).turned(yaw)
              for name, yaw in (("input", -sway), ("worn", 0.5 * sway), ("output", sway))}  # fmt: skip
    flat = bool((index + index // 4) % 2)  # both kinds of donors meet every variant of a suite
    return _Scene(three, _cuts(), _cuts(), True, index, stands, flat)


def _sleeve_swap(scene: _Scene, index: int) -> _Scene:
    worn, donated = SLEEVES[index % len(SLEEVES)]
    return dataclasses.replace(scene, own=_cuts(worn), theirs=_cuts(donated), as_before=True)


def _hem_swap(scene: _Scene, index: int) -> _Scene:
    (worn, donated), kind = HEMS[index % len(HEMS)]
    own, theirs = _cuts(leg=worn, kind=kind), _cuts(leg=donated, kind=kind)
    return dataclasses.replace(scene, own=own, theirs=theirs, upper=False, as_before=True)


def _lettering(scene: _Scene, index: int) -> _Scene:
    """The words are painted onto a plain garment's photo, so that flat and worn show them."""
    plain = photo_cloth.read(_PLAIN_PHOTOS[index % len(_PLAIN_PHOTOS)])
    words, picture = _WORDS[index % len(_WORDS)], plain.picture.copy()
    low, high = plain.polygon.min(0), plain.polygon.max(0)
    dark = picture[plain.alpha > 0.5].mean() < 128
    thick = max(2, round(0.025 * (high[1] - low[1])))
    (width, _), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 1.0, thick)
    scale = 0.5 * (high[1] - low[1]) / width
    place = round((low[0] + high[0] - scale * width) / 2), round(low[1] + 0.45 * (high[1] - low[1]))
    ink = (245, 245, 245) if dark else (15, 15, 15)
    cv2.putText(picture, words, place, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thick, cv2.LINE_AA)
    printed = dataclasses.replace(plain, picture=picture)
    return dataclasses.replace(scene, theirs=printed.on(*scene.theirs), without_print=plain.texture)


def _arm_over_body(scene: _Scene, index: int) -> _Scene:
    across, hanging = poses.arms_crossed(), scene.poses["output"]
    sides = (("l",), ("r",), ("l", "r"))[index % 3]
    aims = {name: across.aims[name] if name[-1] in sides else aim for name, aim in hanging.aims.items()}
    crossed = dataclasses.replace(hanging, aims=aims)
    return dataclasses.replace(scene, poses=scene.poses | {"output": crossed}, without_pose=hanging)


def _back_view(scene: _Scene, index: int) -> _Scene:
    front = scene.poses["output"]
    away = front.turned(front.yaw + np.pi)
    user = dataclasses.replace(scene.people[0], hair=_HAIR["bob"])  # which covers the whole head from behind
    return dataclasses.replace(
        scene, people=(user, *scene.people[1:]), poses=scene.poses | {"output": away}, without_pose=front
    )


def _hair_over_garment(scene: _Scene, index: int) -> _Scene:
    # Hair lies over the shoulder blades: photo and target show the same side of it.
    turned = np.pi - (1 if index % 2 else -1) * (0.2 + 0.1 * (index % 4))
    seen = {name: scene.poses[name].turned(scene.poses[name].yaw + turned) for name in ("input", "output")}
    user = dataclasses.replace(scene.people[0], hair=_HAIR["long"])
    return dataclasses.replace(scene, people=(user, *scene.people[1:]), poses=scene.poses | seen, without_hair="short")


_BUILD = dict(
    zip(SUITES, (_sleeve_swap, _hem_swap, _lettering, _arm_over_body, _back_view, _hair_over_garment), strict=True)
)


# -------------------------------------------------------------------------------------------------------------- drawing


def _exchange(scene: _Scene) -> exchanges.Exchange:
    kind, given, kept = exchanges.exchanged(scene.own, scene.theirs, scene.upper)
    half = {"upper": 1, "lower": 0}.get(kind)
    rest = [] if half is None else [garments.outfit(*scene.theirs)[half]]
    extras = tuple(["shoes01", *who.hair] for who in scene.people[:2])
    own = garments.outfit(*scene.own)
    return exchanges.Exchange((0, 0), *scene.people[:2], ("casual",) * 2, own, kind, given, kept, rest, extras)


def _plain(skins: dict, things: list, colour: int) -> dict:
    """The textures with plain cloth in place of what is drawn by rule."""
    found = dict(skins)
    for thing in things:
        if thing.cut.cloth is None:
            below = thing.name in ("trousers", "skirt")
            shade = _CLOTH[(colour + below) % len(_CLOTH)]
            found[thing.name] = textures.cloth(np.random.default_rng(0), "plain", np.stack([shade, shade]))
    return found


def _draw(scene: _Scene, size: tuple[int, int]) -> dict[str, np.ndarray]:
    exchange = _exchange(scene)
    dressed = exchanges.dress(np.random.default_rng(0), exchange)
    skins = _plain(dressed.skins, exchange.own, scene.colour + 2)
    donor_skins = _plain(dressed.donor_skins, [*exchange.given, *exchange.donors_rest], scene.colour)
    after = skins | {name: donor_skins[name] for name in exchange.given_names}
    white = np.ones((*size, 3), np.float32)
    place = lambda person: examples.Place(camera.frame(size, person.height), _LIGHT, white, None)  # noqa: E731
    users, pose = place(dressed.before), scene.poses["output"]
    shots = {
        "input": users.shot(dressed.before, skins, scene.poses["input"]),
        "output": users.shot(dressed.after, after, pose),
        "worn": place(dressed.donor).shot(dressed.donor, donor_skins, scene.poses["worn"]),
        "flat": examples.lay_on_white(exchange.donor.identity, exchange.given, donor_skins, size),
    }
    model = scene.people[2]
    clothes = garments.outfit(*_cuts())
    person = people.dress(model.identity, [*clothes, "shoes01", *model.hair])
    theirs = exchanges.textures_of(np.random.default_rng(0), model, person, "casual")
    shots["pose"] = place(person).shot(person, _plain(theirs, clothes, scene.colour + 4), pose)
    shots["without"] = _without(scene, exchange, users, ((dressed.before, skins), (dressed.after, after)))
    found = examples.truth(shots, exchange)
    case = cases.case_of(found, flat=scene.flat, photo_cloth=exchange.given[0].cut.cloth is not None)
    return case | {"output_limb": _limbs_seen(shots["output"].view)}


def _without(scene: _Scene, exchange: exchanges.Exchange, users: examples.Place, looks: tuple) -> examples.Shot:
    """The output without its difficulty. Args: looks: the user before and after, each with textures."""
    person, skins = looks[0] if scene.as_before else looks[1]
    if scene.without_print is not None:
        skins = skins | {exchange.given[0].name: scene.without_print}
    if scene.without_hair:
        hair = _HAIR[scene.without_hair]
        person = people.dress(exchange.user.identity, [*exchange.given, *exchange.kept, "shoes01", *hair])
        skins = skins | {name: exchange.user.looks.hair for name in hair}
    return users.shot(person, skins, scene.without_pose or scene.poses["output"])


def _limbs_seen(view: views.View) -> np.ndarray:
    """See `output_limb`."""
    rig = assets.rig()
    follows = np.concatenate([weights.argmax(1) for weights in view.person.weights])
    named = np.array([LIMBS.index(name) if name in LIMBS else 0 for name in rig.bones], np.uint8)
    shown = view.raster.triangle
    return np.where(shown >= 0, named[follows[view.person.triangles[shown][..., 0]]], 0).astype(np.uint8)


def draw_failures(
    count: int, size: tuple[int, int] = (256, 192), seed: int = 0, suites: tuple[str, ...] = SUITES
) -> dict[str, np.ndarray]:
    """`count` cases of every suite as stacked arrays, and `suite` [B], their names; of the test split.

    Case i of a suite is the same for any count and whichever other suites are drawn.
    """
    drawn = []
    for name, index in itertools.product(suites, range(count)):
        drawn.append(_draw(_BUILD[name](_calm(10_000 * seed + index, index), index), size))
    found = {name: np.stack([case[name] for case in drawn]) for name in drawn[0]}
    return found | {"suite": np.repeat(np.array(suites), count)}
