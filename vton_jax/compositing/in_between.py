"""Frames between two painted ones: both are moved along the optical flow between them.

Networks need not paint every frame of a clip of 30 a second. Conventions: frames float [H, W, 3] in [0, 1], flows as in
`compositing.temporal_filters`; a frame at `fraction` 0 is the one before, at 1 the one after.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from vton_jax.compositing import drawn_hands
from vton_jax.compositing.temporal_filters import moved, optical_flow
from vton_jax.core.types import Dressed, Result

_AGREE = 2.0  # pixels that the two flows may part by: farther, one frame hides what the other shows
_LEAST = 1e-3  # weight of what disagrees, where nothing else is there


@dataclasses.dataclass(frozen=True)
class Motion:
    """From one frame to the next."""

    there: np.ndarray  # float [H, W, 2], on the frame before: where its pixels lie in the frame after, relative
    back: np.ndarray  # the same on the frame after
    sure: tuple[np.ndarray, np.ndarray]  # float [H, W], that a pixel of the one is seen in the other


def motion(before: np.ndarray, after: np.ndarray) -> Motion:
    """The optical flow between two frames, both ways (DIS, Kroeger et al. 2016)."""
    there, back = optical_flow(after, before), optical_flow(before, after)
    pairs = (there, back), (back, there)
    apart = (np.linalg.norm(one + moved(other, one), axis=-1) for one, other in pairs)
    return Motion(there, back, tuple(np.exp(-np.square(distance / _AGREE)) for distance in apart))


@dataclasses.dataclass(frozen=True)
class Between:
    """A moment between two frames: where in each of them its pixels lie, and how much each is to be believed."""

    flows: tuple[np.ndarray, np.ndarray]  # float [H, W, 2]
    weights: tuple[np.ndarray, np.ndarray]  # float [H, W], of sum 1

    def of(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Maps float [H, W] or [H, W, C] of the two frames, moved and mixed."""
        pair = zip((before, after), self.flows, self.weights, strict=True)
        return sum(moved(one, flow) * (weight if one.ndim == 2 else weight[..., None]) for one, flow, weight in pair)

    def label_of(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Label maps of the two frames, moved; of the two the one that is believed."""
        pair = zip((before, after), self.flows, strict=True)
        one, two = (moved(labels, flow, nearest=True) for labels, flow in pair)
        return np.where(self.weights[0] >= self.weights[1], one, two)


def moment(motion: Motion, fraction: float) -> Between:
    """The moment at `fraction` of the way, as if everything moved evenly (Jiang et al. 2018, "Super SloMo", eq. 4)."""
    along = (1 - fraction) * motion.there - fraction * motion.back
    flows = -fraction * along, (1 - fraction) * along
    believed = [
        part * (moved(sure, flow) + _LEAST)
        for part, sure, flow in zip((1 - fraction, fraction), motion.sure, flows, strict=True)
    ]
    return Between(flows, tuple(one / sum(believed) for one in believed))


def result(before: Result, after: Result, motion: Motion, fraction: float) -> Result:
    """The result at `fraction` of the way, in all that is known of one."""
    between, one, two = moment(motion, fraction), before.dressed, after.dressed
    maps = {
        name: between.of(np.asarray(getattr(one, name)), np.asarray(getattr(two, name)))
        for name in ("image", "photo_weight", "garment_weight", "moved_weight")
    }
    flows = {name: _flow(between, getattr(one, name), getattr(two, name)) for name in ("flow", "photo_flow")}
    besides = tuple(
        (_flow(between, a, b), between.of(np.asarray(u), np.asarray(v)))
        for (a, u), (b, v) in zip(one.besides, two.besides, strict=True)
    )
    labels = between.label_of(np.asarray(one.labels), np.asarray(two.labels))
    hands = drawn_hands.between(one.hands, two.hands, fraction)
    dressed = Dressed(labels=labels, **maps, **flows, besides=besides, hands=hands)
    nearer = before if fraction < 0.5 else after
    return Result(dressed, dataclasses.replace(nearer.target, final=labels))


def fill(results: Iterable[Result], starts: Sequence[int], every: int) -> Iterator[Result]:
    """Results with `every` - 1 more behind each: moved towards the next one, or standing still at the end of a shot.

    Args: starts: the numbers of the results that begin a shot, the first one 0.
    """
    before = None
    for number, one in enumerate(results):
        if before is not None:
            yield from _behind(before, None if number in starts else one, every)
        yield one
        before = one
    if before is not None:
        yield from _behind(before, None, every)


def _behind(before: Result, after: Result | None, every: int) -> Iterator[Result]:
    if after is None or every == 1:
        yield from [before] * (every - 1)
        return
    way = motion(np.asarray(before.image), np.asarray(after.image))
    yield from (result(before, after, way, step / every) for step in range(1, every))


def _flow(between: Between, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Flows to a picture: a pixel leads where the pixels lead that it lies at in the two frames."""
    parts = (
        weight[..., None] * (flow + moved(np.asarray(one), flow))
        for one, flow, weight in zip((before, after), between.flows, between.weights, strict=True)
    )
    return sum(parts)
