"""Limbs and what is at their ends: bare arms and legs, hands and shoes; and all that try-on keeps, laid over a result.

Conventions: see kept_parts.py.
"""

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from vton_jax.compositing import bare_limbs, drawn_hands, drawn_legs, head_flow, kept_parts, limb_ends, shoes
from vton_jax.compositing.drawn_hands import DrawnHand
from vton_jax.compositing.drawn_legs import DrawnLeg
from vton_jax.compositing.shoes import Shoe
from vton_jax.core import framing, segmentation
from vton_jax.core.types import Dressed, Layout, User
from vton_jax.layout import limbs
from vton_jax.layout.body import Body

Bright = tuple[np.ndarray, np.ndarray]
_ENDS = (*segmentation.ARMS, segmentation.ID["left-shoe"], segmentation.ID["right-shoe"])


def shown_labels(user: User) -> np.ndarray:
    """The labels uint8 [H, W] of what the photo shows."""
    return np.where(np.asarray(user.shown), np.asarray(user.layout.segmentation), 0).astype(np.uint8)


def with_limbs(
    dressed: Dressed,
    user: User,
    bodies: tuple[Body, Body],
    still: np.ndarray,
    bright: Bright | None = None,
    hands: Sequence[DrawnHand] = (),
    legs: Sequence[DrawnLeg] = (),
) -> tuple[Dressed, list[kept_parts.Carried]]:
    """`dressed` with bare arms shaded in the photo's skin, and over it the bare limbs that the photo shows, if any.

    Args: still: see `kept_parts.stillness`. bright: see `restore`. hands, legs: that are drawn.
    """
    labels, final = shown_labels(user), np.asarray(dressed.labels)
    there = limbs.limbs_of(final, bodies[1])
    if not (there or hands or legs):
        return dressed, []
    painted = np.asarray(dressed.image)
    found = limbs.limbs_of(labels, bodies[0]), there
    place, weight = bare_limbs.carried(user.image, labels, found, final, still)
    for hand in hands:  # of an arm with a long sleeve bracelets alone would be carried
        own = final == hand.label
        weight[own & (hand.around | bare_limbs.is_alone(hand, own))] = 0
    picture = cv2.remap(user.image.astype(np.float32), place, None, cv2.INTER_LINEAR)
    even = np.ones(final.shape, np.float32)
    image = bare_limbs.shaded(user.image, labels, there, final, painted, bright or (even, even), hands, legs)
    image = bare_limbs.matched(image, (picture, weight), there, final, still)
    other = (image != painted).any(-1)
    off = lambda of: np.where(other, 0, np.asarray(of))  # noqa: E731
    dressed = dressed.replace(
        image=image,
        photo_weight=off(dressed.photo_weight),
        moved_weight=off(dressed.moved_weight),
        garment_weight=off(dressed.garment_weight),
        besides=tuple((flow, off(of)) for flow, of in dressed.besides),
    )
    return dressed, [kept_parts.Carried(picture, place - _grid(final.shape), weight)]


def _grid(size: tuple[int, int]) -> np.ndarray:
    """The places float32 [H, W, 2] of a picture's own pixels."""
    return np.stack(np.meshgrid(*map(np.arange, size[::-1])), -1).astype(np.float32)


def _same_turn(bodies: tuple[Body, Body]) -> float:
    """How surely two people look the same way, from 0 to 1."""
    angle = np.degrees(abs(head_flow.yaw_between(*bodies)))
    first, last = np.float32([kept_parts.CHOSEN.same_turn, kept_parts.CHOSEN.other_turn])
    return float(np.clip((last - angle) / (last - first), 0, 1))


@dataclasses.dataclass(frozen=True)
class Ends:
    """Legs, hands and shoes that lie in a final map as nobody's outlines said."""

    legs: tuple[DrawnLeg, ...] = ()  # those that are drawn
    hands: tuple[DrawnHand, ...] = ()  # likewise
    shoes: tuple[Shoe, ...] = ()  # the photo's own, in their own shape


def with_ends(final: np.ndarray, user: User, pose: Layout) -> tuple[np.ndarray, Ends]:
    """The final map [H, W] with a body's legs where the photo shows none, with whole hands, the photo's own where it
    shows them so, and with the photo's shoes.
    """
    still, labels, own = kept_parts.stillness(user.layout, pose), shown_labels(user), {}
    bodies = limbs.bodies_of((user.layout, pose), final.shape)
    final, legs = drawn_legs.with_legs(labels, final, bodies[1])
    # A bare arm of which the photo shows nothing has no hand of its own: it was in a pocket of what is taken off.
    hidden = [label for label in segmentation.ARMS if (final == label).any() and not (labels == label).any()]
    still = np.where(np.isin(np.arange(len(still)), hidden), 0, still)
    if (still[list(_ENDS)] == 1).all():
        return final, Ends(tuple(legs))
    alike, whole = _same_turn(bodies) > kept_parts.CHOSEN.least_trust, []
    for end in limb_ends.limb_ends(*bodies, final.shape) if alike else ():
        shown = cv2.remap(labels, end.place, None, cv2.INTER_NEAREST) == end.label
        own[end.label] = shown & (end.near > 0) & end.beyond
    final, hands = drawn_hands.with_hands(final, bodies[1], own, still)
    if alike:  # from another side shoes have another shape
        final, whole = shoes.with_whole_shoes(labels, final, bodies, still)
    return final, Ends(tuple(legs), tuple(hands), tuple(whole))


def carried_hands(
    user: User, bodies: tuple[Body, Body], final: np.ndarray, hands: Sequence[DrawnHand] = ()
) -> list[kept_parts.Carried]:
    """The user's hands where the final map [H, W] shows the target's; none where people turn otherwise.

    Args: hands: that are drawn instead.
    """
    size, trust, drawn = user.image.shape[:2], _same_turn(bodies), {hand.label for hand in hands}
    found, grid, labels = [], _grid(size), shown_labels(user)
    for end in limb_ends.limb_ends(*bodies, size) if trust > 0 else ():
        if end.label in drawn:
            continue
        both = (cv2.remap(labels, end.place, None, cv2.INTER_NEAREST) == end.label) & (final == end.label)
        weight = cv2.erode(both.astype(np.float32), framing.square(kept_parts.CHOSEN.inner, len(final)))
        weight = np.float32(trust) * end.near * np.minimum(weight, kept_parts.softened(weight))
        picture = cv2.remap(user.image.astype(np.float32), end.place, None, cv2.INTER_LINEAR)
        found.append(kept_parts.Carried(picture, end.place - grid, weight))
    return found


def carried_shoes(
    user: User, bodies: tuple[Body, Body], final: np.ndarray, whole: Sequence[Shoe] = ()
) -> list[kept_parts.Carried]:
    """The user's shoes: the `whole` ones, and others in the outlines that the final map [H, W] gives them."""
    found, grid = [], _grid(final.shape)
    others = shoes.shoes(shown_labels(user), final, *bodies, {shoe.label for shoe in whole})
    for shoe in (*whole, *others):
        inner = cv2.erode(np.float32(final == shoe.label), framing.square(kept_parts.CHOSEN.inner, len(final)))
        picture = cv2.remap(user.image.astype(np.float32), shoe.place, None, cv2.INTER_LINEAR)
        found.append(kept_parts.Carried(picture, shoe.place - grid, np.minimum(inner, kept_parts.softened(inner))))
    return found


def restore(
    dressed: Dressed,
    user: User,
    pose: Layout,
    head: kept_parts.Head | None,
    garment_type: int,
    bright: Bright | None = None,
    ends: Ends = Ends(),
) -> Dressed:
    """`kept_parts.compose` for one frame, keeping what stands still between the photo's layout and the pose's, head,
    bare limbs, hands and shoes.

    Args: bright: how bright a white surface is in the photo and in the result, see `lighting.brightness`; None: even.
    ends: see `with_ends`.
    """
    labels, final = np.asarray(user.layout.segmentation), np.asarray(dressed.labels)
    still, bodies = kept_parts.stillness(user.layout, pose), limbs.bodies_of((user.layout, pose), labels.shape)
    keep = kept_parts.kept(labels, final, still, garment_type)
    dressed, bare = with_limbs(dressed, user, bodies, still, bright, ends.hands, ends.legs)
    hands = carried_hands(user, bodies, final, ends.hands)
    worn = carried_shoes(user, bodies, final, ends.shoes)
    out = kept_parts.compose(dressed, user, keep, head, [*bare, *hands, *worn])
    return out.replace(hands=tuple(hand.place for hand in ends.hands))
