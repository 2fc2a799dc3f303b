"""Bare limbs in a result: the photo's, where it shows them, and shaded skin."""

import types

import numpy as np
import pytest
from capsule_people import SIZE, person

from vton_jax.compositing import bare_limbs, ends
from vton_jax.core import segmentation
from vton_jax.core.segmentation import ID
from vton_jax.core.types import Dressed, User
from vton_jax.layout import limbs

LEFT, RIGHT, ARM = ID["left-leg"], ID["right-leg"], ID["left-arm"]
MOVED, STILL = np.zeros(18, np.float32), np.ones(18, np.float32)
PLAIN = np.full((*SIZE, 3), 0.5, np.float32)  # a painter's picture that says nothing
EVEN = np.ones(SIZE, np.float32)


def read(layout):
    labels = np.array(layout.segmentation)
    (body,) = limbs.bodies_of((layout,), SIZE)
    return labels, limbs.limbs_of(labels, body)


def places(labels, found):
    """A picture whose red and green say where on its limb a pixel lies."""
    picture = np.zeros((*SIZE, 3), np.float32)
    for label, limb in found.items():
        y, x = np.nonzero(labels == label)
        down, across = limb.place(np.stack([x, y], -1).astype(np.float32))
        picture[y, x] = np.stack([down / 3, across / 4 + 0.5, np.full(len(x), 0.5)], -1)
    return picture


@pytest.mark.parametrize("hidden", [None, RIGHT])
def test_a_bare_leg_comes_from_where_it_lies_in_the_photo(hidden):
    """Of another size, elsewhere; one that the photo hides is the other one, mirrored."""
    (labels, own), (final, there) = read(person(0.0, 0.5)), read(person(0.2, 0.7, height=175.0, top=45.0, x=105.0))
    photo = places(labels, own)
    if hidden:
        labels = np.where(labels == hidden, ID["pants"], labels).astype(np.uint8)
        own.pop(hidden)
    place, weight = bare_limbs.carried(PLAIN, labels, (own, there), final, MOVED)
    truth = places(final, there)
    for label, limb in there.items():
        if label not in (LEFT, RIGHT):
            continue
        y, x = np.nonzero((final == label) & (weight > 0.9))
        begin, end = limb.ends
        down = truth[y, x, 0] * 3
        inside = (down > begin + 0.2) & (down < min(end, 2) - 0.2) & (abs(down - 1) > 0.2)
        assert inside.sum() > 50
        column, row = np.rint(place[y, x]).astype(int).T
        found = photo[row, column][inside]
        sign = -1 if label == hidden else 1
        assert np.abs(found[:, 0] - truth[y, x, 0][inside]).max() < 0.04
        across = truth[y, x, 1][inside] - 0.5
        assert np.abs(found[:, 1] - 0.5 - sign * across).mean() < 0.05
    assert weight[~segmentation.region(final, tuple(there))].max() == 0


def test_nothing_is_carried_of_limbs_that_the_photo_hides():
    (labels, own), (final, there) = read(person(0.0, 0.5)), read(person(0.2, 0.7, height=175.0, top=45.0, x=105.0))
    hidden = np.where(segmentation.region(labels, segmentation.LEGS), ID["pants"], labels).astype(np.uint8)
    own = {label: limb for label, limb in own.items() if label not in segmentation.LEGS}
    weight = bare_limbs.carried(PLAIN, hidden, (own, there), final, MOVED)[1]
    assert weight[segmentation.region(final, segmentation.LEGS)].max() == 0


def test_what_lies_over_a_limb_stays_behind():
    """A bag's strap that was read as a leg, of another colour."""
    (labels, own), (final, there) = read(person(0.0, 0.5)), read(person(0.2, 0.7, height=175.0, top=45.0, x=105.0))
    photo = np.full_like(PLAIN, [0.7, 0.5, 0.4])
    rows = np.flatnonzero((labels == LEFT).any(1))
    middle = rows[len(rows) // 2]
    photo[middle - 4 : middle + 4] = [0.1, 0.3, 0.7]
    plain, strap = (bare_limbs.carried(of, labels, (own, there), final, MOVED) for of in (PLAIN, photo))
    at = np.rint(plain[0]).astype(int)
    on_strap = (plain[1] > 0.9) & (abs(at[..., 1] - middle) < 3)
    assert on_strap.sum() > 10 and strap[1][on_strap].max() < 0.1
    beside = (plain[1] > 0.9) & (abs(at[..., 1] - middle) > 6)
    assert strap[1][beside].min() > 0.9


def photo_of(labels, face, arm=None, light=0.0):
    """A photo of plain parts; `light`: how much brighter the face's right is, over its width."""
    image = np.full((*SIZE, 3), 0.5, np.float32)
    image[labels == ID["face"]] = face
    if arm is not None:
        image[segmentation.region(labels, segmentation.ARMS)] = arm
    x = np.nonzero(labels == ID["face"])[1]
    image[labels == ID["face"]] *= 1 + light * ((x - x.mean()) / np.ptp(x))[:, None]
    return image


def test_shaded_skin_has_the_photos_hue_and_is_lit_as_the_body_is():
    labels, there = read(person(0.0, 0.5))
    skin, on = np.float32([0.7, 0.5, 0.4]), segmentation.region(labels, segmentation.ARMS)
    column = np.broadcast_to(np.linspace(0.6, 1.4, SIZE[1], dtype=np.float32), SIZE)
    shaded = bare_limbs.shaded(photo_of(labels, skin, skin), labels, there, labels, PLAIN, (EVEN, column))
    assert (shaded[~on] == PLAIN[~on]).all()
    here = labels == ARM
    light = np.log(column[here]) / 2.2
    found, middle = np.log(shaded[here] + bare_limbs.DARK), np.median(light)
    expected = np.log(skin + bare_limbs.DARK) + middle
    near = np.abs(light - middle) < 0.01
    np.testing.assert_allclose(np.median(found[near], 0), expected, atol=0.02)
    slope = [np.polyfit(light, of, 1)[0] for of in found.T]  # more than the light's own, and redder in the shade
    np.testing.assert_allclose(slope, bare_limbs.CHOSEN.light * bare_limbs.DARKER, rtol=0.02)
    assert slope[0] < slope[1] < slope[2]


def test_bright_and_dark_places_of_a_painted_arm_stay():
    labels, there = read(person(0.0, 0.5))
    photo, painted = photo_of(labels, 0.6, 0.5), PLAIN.copy()
    y, x = np.nonzero(labels == ARM)
    band = np.zeros(SIZE, bool)
    band[y[:60], x[:60]] = True
    on = lambda: bare_limbs.shaded(photo, labels, there, labels, painted, (EVEN, EVEN))[band]  # noqa: E731
    plain = on()
    painted[band] = 0.55
    np.testing.assert_allclose(on() / plain, 1.1, atol=0.03)
    painted[band] = 5.0
    assert (on() / plain).max() < np.exp(0.35)  # up to a bound


def test_skin_in_the_shade_of_the_photo_is_brighter_in_the_light():
    """Its own light is taken off before that of the result comes on."""
    labels, there = read(person(0.0, 0.5))
    on = segmentation.region(labels, segmentation.ARMS)
    skin, dark = np.float32([0.5, 0.4, 0.3]), 0.5 * EVEN
    lit = bare_limbs.shaded(photo_of(labels, skin, skin), labels, there, labels, PLAIN, (dark, EVEN))[on]
    np.testing.assert_allclose((lit + bare_limbs.DARK) / (skin + bare_limbs.DARK), 2 ** (1 / 2.2), rtol=0.01)
    same = bare_limbs.shaded(photo_of(labels, skin, skin), labels, there, labels, PLAIN, (dark, dark))[on]
    np.testing.assert_allclose(same, np.broadcast_to(skin, same.shape), atol=0.01)


def test_skin_comes_from_arms_or_from_the_face():
    labels, there = read(person(0.0, 0.5))
    on = segmentation.region(labels, segmentation.ARMS)
    face, arm, glove = np.float32([0.7, 0.5, 0.4]), np.float32([0.6, 0.45, 0.35]), np.float32([0.1, 0.5, 0.1])
    usual = np.exp(np.log(face + bare_limbs.DARK) + bare_limbs.BEYOND_FACE) - bare_limbs.DARK
    for colour, expected in ((arm, arm), (glove, usual)):  # an arm is skin
        shaded = bare_limbs.shaded(photo_of(labels, face, colour), labels, there, labels, PLAIN, (EVEN, EVEN))[on]
        np.testing.assert_allclose(np.median(shaded, 0), expected, atol=0.05)
    # A hand that is drawn at a long sleeve's end, of which photo and map show no more.
    hand = types.SimpleNamespace(label=ARM, mask=labels == ARM, detail=np.zeros(SIZE, np.float32))
    photo = photo_of(labels, face, glove)
    lit = bare_limbs.shaded(photo, labels, {}, labels, PLAIN, (EVEN, EVEN), [hand])
    usual = np.exp(np.log(face + bare_limbs.DARK) + bare_limbs.HANDS_BEYOND_FACE) - bare_limbs.DARK
    np.testing.assert_allclose(np.median(lit[hand.mask], 0), usual, atol=0.01)
    assert (lit[~hand.mask] == PLAIN[~hand.mask]).all()
    hidden = np.where(hand.mask, 0, labels)  # by a bag
    assert (bare_limbs.shaded(photo, labels, {}, hidden, PLAIN, (EVEN, EVEN), [hand]) == PLAIN).all()
    assert bare_limbs.shaded(photo_of(labels, face), np.zeros_like(labels), there, labels, PLAIN, (EVEN, EVEN)) is PLAIN


def test_what_is_made_up_of_a_limb_has_the_colours_of_what_is_carried():
    """Without a seam; of the other limb where nothing is seen of one; never of what is no skin."""
    labels, there = read(person(0.0, 0.5))
    skin, place = np.float32([0.7, 0.5, 0.4]), np.zeros(SIZE, np.float32)
    for label in (LEFT, RIGHT):
        y, x = np.nonzero(labels == label)
        place[y, x] = there[label].place(np.stack([x, y], -1).astype(np.float32))[0]
    photo = np.broadcast_to(skin, (*SIZE, 3)) * (0.6 + 0.2 * place[..., None])  # brighter down the legs
    sure = np.float32((labels == LEFT) & (place > 1.2))  # of the shin, with a red strap about it
    photo = np.where(((place > 1.5) & (place < 1.56) & (sure > 0))[..., None], np.float32([0.8, 0.2, 0.2]), photo)
    painted = np.where(segmentation.region(labels, segmentation.LEGS)[..., None], 0.8 * skin, PLAIN).astype(np.float32)
    out = bare_limbs.matched(painted, (photo, sure), there, labels, STILL)
    seen, above = sure > 0, (labels == LEFT) & (place < 1.1)
    skin_seen = seen & ((place < 1.4) | (place > 1.7))
    assert np.abs(out - photo)[skin_seen].max() < 0.04
    np.testing.assert_allclose(
        (out / out.sum(-1, keepdims=True))[seen], np.broadcast_to(skin / skin.sum(), out[seen].shape), atol=0.01
    )
    usual = np.median(photo[seen], 0)
    np.testing.assert_allclose(out[above], np.broadcast_to(usual, out[above].shape), atol=0.03)
    edge = np.diff(out.mean(-1), axis=0)[(labels == LEFT)[1:] & (labels == LEFT)[:-1]]
    assert np.abs(edge).max() < 0.02
    assert np.abs(out - photo)[(labels == RIGHT) & (place > 1.2)].max() < 0.05
    rest = ~segmentation.region(labels, segmentation.LEGS)
    assert (out[rest] == painted[rest]).all()
    green = np.where(sure[..., None] > 0, np.float32([0.2, 0.6, 0.2]), photo)
    for nothing in ((green, sure), (photo, 0 * sure)):
        np.testing.assert_array_equal(bare_limbs.matched(painted, nothing, there, labels, STILL), painted)
    # Elsewhere it is lit otherwise: its hue alone is taken over.
    dark = np.where(
        segmentation.region(labels, segmentation.LEGS)[..., None], 0.5 * skin * np.float32([0.95, 1, 1.1]), PLAIN
    )
    moved = np.log(bare_limbs.matched(dark, (photo, sure), there, labels, MOVED)[above] + bare_limbs.DARK).mean(0)
    wanted, before = (np.log(colour + bare_limbs.DARK) for colour in (usual, dark[above][0]))
    np.testing.assert_allclose(moved - moved.mean(), wanted - wanted.mean(), atol=0.03)
    assert moved.mean() == pytest.approx(before.mean(), abs=0.02)


def test_limbs_in_a_result_are_the_photos_own():
    """At its place all of a photo's bare limbs come back, and nothing else changes."""
    layout = person(0.0, 0.5)
    labels, found = read(layout)
    photo = places(labels, found)
    user = User(photo, layout, None, np.ones(SIZE, bool))
    none, flow = np.zeros(SIZE, np.float32), np.zeros((*SIZE, 2), np.float32)
    painted = Dressed(np.full_like(photo, 0.25), labels, flow, none + 1, none + 1, flow, none + 1)
    dressed, (bare,) = ends.with_limbs(painted, user, limbs.bodies_of((layout, layout), SIZE), STILL)
    on = segmentation.region(labels, tuple(found))
    assert (dressed.image[~on] == 0.25).all() and (bare.weight[~on] == 0).all()
    other = (dressed.image != 0.25).any(-1)
    assert other[segmentation.region(labels, segmentation.ARMS)].mean() > 0.99
    for weight in (dressed.photo_weight, dressed.garment_weight, dressed.moved_weight):
        np.testing.assert_array_equal(weight, ~other)
    sure = bare.weight > 0.9
    assert sure.sum() == on.sum()
    assert np.abs(bare.flow[sure]).max() == 0
    clothed = np.where(on, ID["pants"], labels).astype(np.uint8)
    same, nothing = ends.with_limbs(
        painted.replace(labels=clothed), user, limbs.bodies_of((layout, layout), SIZE), STILL
    )
    assert nothing == [] and same.image is painted.image
