"""Who gives what to whom: the user and donor of an example, their outfits, and what is exchanged.

Everything is a function of a split and an example's number, or of a generator.
"""

import dataclasses
import itertools
from collections.abc import Iterable

import numpy as np

from vton_jax.catalogue import (
    accessories,
    characters,
    garments,
    people,
    photo_cloth,
    styles,
    textures,
    wardrobe,
)
from vton_jax.catalogue.characters import SPLITS, Character
from vton_jax.catalogue.garments import Cut, Garment

EXAMPLES_OF_ONE = 15  # user: consecutive examples
CIRCLE = 32  # characters who lend each other clothes
PHOTO = 0.5  # of the garments by rule have the cloth and cut of a photo
UPPER = 0.5  # of those that exchange half an outfit, the upper half


@dataclasses.dataclass(frozen=True)
class Exchange:
    """Who gives what to whom."""

    numbers: tuple[int, int]  # of user and donor
    user: Character
    donor: Character
    styles: tuple[str, str]  # the user's and the donor's
    own: list[Garment]
    kind: str  # one of `segmentation.GARMENT_TYPES`
    given: list[Garment]
    kept: list[Garment]  # of the user's
    donors_rest: list[Garment]
    extras: tuple[list, list]  # what both wear besides

    @property
    def given_names(self) -> list[str]:
        return [thing.name for thing in self.given]


def exchanged(worn: tuple[Cut, Cut], given: tuple[Cut, Cut], upper: bool) -> tuple[str, list[Garment], list[Garment]]:
    """(garment type, what is given, what the user wears besides) of two outfits, each a top and what is below."""
    if "dress" in (worn[1].kind, given[1].kind):
        whole = garments.outfit(*given)
        return ("dress" if given[1].kind == "dress" else "outfit"), whole, []
    top, lower = garments.outfit(given[0], worn[1]) if upper else garments.outfit(worn[0], given[1])
    return ("upper", [top], [lower]) if upper else ("lower", [lower], [top])


def sample(generator: np.random.Generator, number: int, split: str) -> Exchange:
    user = number // EXAMPLES_OF_ONE
    circle, place = divmod(user, CIRCLE)
    other = circle * CIRCLE + (place + int(generator.integers(1, CIRCLE))) % CIRCLE
    both = characters.character(user, split), characters.character(other, split)
    style, their_style = styles.sample(generator), styles.sample(generator)
    own = garments.sample_cuts(generator, both[0].identity.gender, style)
    theirs = garments.sample_cuts(generator, both[1].identity.gender, their_style)
    own, theirs = (photo_cloth.sample(generator, cuts, split, PHOTO) for cuts in (own, theirs))
    kind, given, kept = exchanged(own, theirs, bool(generator.random() < UPPER))
    if kind == "lower":  # the donor's top reaches as far down as the user's, under which the given garment is cut
        theirs = dataclasses.replace(theirs[0], hem=own[0].hem), theirs[1]
    half = {"upper": 1, "lower": 0}.get(kind)
    extras = [extras_of(generator, who, cuts, kind) for who, cuts in zip(both, (own, theirs), strict=True)]
    rest = [] if half is None else [garments.outfit(*theirs)[half]]
    return Exchange(
        (user, other), *both, (style, their_style), garments.outfit(*own), kind, given, kept, rest, tuple(extras)
    )


def extras_of(generator: np.random.Generator, who: Character, cuts: tuple[Cut, Cut], kind: str) -> list:
    """What somebody wears besides an outfit of cuts: shoes and hair, and what `accessories` has."""
    short = all(name.startswith("short") for name in who.hair)
    besides = accessories.sample(generator, who.identity.gender, short_hair=short, kind=kind)
    around = accessories.sample_around(generator, cuts, kind)
    return [wardrobe.sample_shoes(generator), *who.hair, *around, *besides]


def layered(generator: np.random.Generator, exchange: Exchange) -> Exchange:
    """The exchange of somebody who wears more than what is exchanged, as people in the street do: a coat, which comes
    off with a top that is exchanged, and a scarf, which stays. Where only a lower garment is, `sample` has both.
    """
    if exchange.kind == "lower":
        return exchange
    own, (extras, donors) = exchange.own, exchange.extras
    if generator.random() < accessories.COATS:
        own = [*own, *accessories.sample_coat(generator, own[0].cut)]
    if generator.random() < accessories.CHANCES.scarf[int(exchange.user.identity.gender > 0.5)]:
        extras = [*extras, *accessories.sample_scarf(generator)]
    return dataclasses.replace(exchange, own=own, extras=(extras, donors))


def textures_of(generator: np.random.Generator, who: Character, person: people.Person, style: str) -> dict:
    """The texture of every layer: the photo's where a garment is of one."""
    return textures.sample_textures(generator, who.looks, person.layers, style) | photo_cloth.textures(person.worn)


@dataclasses.dataclass(frozen=True)
class Dressed:
    """User and donor in their clothes. What is given comes first in every mesh: its vertices have one number in all."""

    before: people.Person  # the user
    after: people.Person  # the user in what is given
    donor: people.Person
    skins: dict[str, np.ndarray]  # the user's before, the texture of every layer
    donor_skins: dict[str, np.ndarray]
    output_skins: dict[str, np.ndarray]  # the user's after


def dress(generator: np.random.Generator, exchange: Exchange) -> Dressed:
    """An exchange's people, and what covers them."""
    extras, donors_extras = exchange.extras
    before = people.dress(exchange.user.identity, [*exchange.own, *extras])
    after = people.dress(exchange.user.identity, [*exchange.given, *exchange.kept, *extras])
    donor = people.dress(exchange.donor.identity, [*exchange.given, *exchange.donors_rest, *donors_extras])
    skins = textures_of(generator, exchange.user, before, exchange.styles[0])
    donor_skins = textures_of(generator, exchange.donor, donor, exchange.styles[1])
    output_skins = skins | {name: donor_skins[name] for name in exchange.given_names}
    return Dressed(before, after, donor, skins, donor_skins, output_skins)


def third(
    number: int, split: str, exchange: Exchange, *, laden: bool = False
) -> tuple[np.random.Generator, people.Person, dict, people.Person]:
    """One more person of the circle, who shows poses.

    Args: laden: whether they wear and carry what `extras_of` has.
    Returns: a generator for the rest of their picture, the person, their textures, and the same person as the user is
    dressed after the exchange.
    """
    generator = np.random.default_rng([SPLITS.index(split), number, 2])
    circle = exchange.numbers[0] // CIRCLE * CIRCLE
    free = [other for other in range(circle, circle + CIRCLE) if other not in exchange.numbers]
    who, style = characters.character(free[generator.integers(len(free))], split), styles.sample(generator)
    cuts = garments.sample_cuts(generator, who.identity.gender, style)
    rest = [wardrobe.sample_shoes(generator), *who.hair]
    shown = extras_of(generator, who, cuts, "lower") if laden else rest
    person = people.dress(who.identity, [*garments.outfit(*cuts), *shown])
    other = people.dress(who.identity, [*exchange.given, *exchange.kept, *rest])
    return generator, person, textures_of(generator, who, person, style), other


def about(number: int, split: str = "train") -> dict[str, float | int | str]:
    """What an example is, without drawing it: the numbers of user and donor, and what groups of them there are.

    `person_id` tells users apart in all splits, `garment_id` names the photos of cloth that anybody wears, and
    `SHOT_sleeve` says how far sleeves reach along the arm in each picture, as `Cut.sleeve`.
    """
    exchange = sample(np.random.default_rng([SPLITS.index(split), number]), number, split)
    who = exchange.user
    worn = {
        "input": [*exchange.own, *exchange.extras[0]],
        "output": [*exchange.given, *exchange.kept, *exchange.extras[0]],
        "worn": [*exchange.given, *exchange.donors_rest, *exchange.extras[1]],
        "flat": exchange.given,
    }
    hair = "none" if not who.hair else "short" if who.hair[0].startswith("short") else "long"
    return {
        "user": exchange.numbers[0],
        "donor": exchange.numbers[1],
        "garment_type": exchange.kind,
        "tone": who.looks.tone,
        "weight": who.identity.weight,
        "gender": who.identity.gender,
        "hair": hair,
        "person_id": characters.digest(who),
        "garment_id": " ".join(sorted(_photos(itertools.chain(*worn.values())))),
    } | {f"{shot}_sleeve": _sleeve(things) for shot, things in worn.items()}


def _photos(things: Iterable) -> set[str]:
    """The names of the photos that garments have their cloth from."""
    return {thing.cut.cloth.name for thing in things
            if isinstance(thing, Garment) and isinstance(thing.cut.cloth, photo_cloth.PhotoCloth)}  # fmt: skip


def _sleeve(things: list) -> float:
    """`Cut.sleeve` of what covers the arms; NaN where nothing is above the waist."""
    found = [thing.cut.sleeve for thing in things if isinstance(thing, Garment) and thing.cut.kind in ("top", "dress")]
    return max(found, default=np.nan)
