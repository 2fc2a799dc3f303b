"""One person through a clip: cuts, whom to follow, and what to do where nobody is seen. Knows no network.

Conventions: frames are uint8 [T, H, W, 3] or a list of [H, W, 3]; labels ATR's, [H, W]; a box is (left, top, right,
bottom) in pixels; `starts` are the numbers of the frames that begin a shot, the first one 0; `rate` is frames a second.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import cv2
import numpy as np

from vton_jax.core.errors import NoPersonFound, PersonLost

_THUMBNAIL, _BINS = (64, 48), 8
# A cut is where the colours change (a fraction of the pixels), and change more than in the motion around it. Within
# nine real clips and twenty videos of capsule mannequins, 4 frames a second, the fraction stays below 0.08; at twelve
# cuts that were made between these it was 0.09 (one) to 0.96.
_CHANGE, _STANDS_OUT = 0.1, 1.8
_LEAST_CONTRAST = 3  # standard deviation of the strongest channel, 0 to 255: less is one colour


@dataclasses.dataclass(frozen=True)
class Limits:
    """Chosen by reasoning, on no clip. Lengths are in heights of the followed person.

    `leaving`, on drawn people who are moved out at a side (benchmarks/leaving_people.py, the catalogue's validation
    split): of 60, 2% are astray where .7 of their width is seen, 10% at .6, 41% at .4; of 324 poses of whole people 1%
    are narrower than .69 of the usual one.
    """

    held: float = 0.5  # seconds without a pose that are bridged: longer, a held pose looks like a frozen clip
    lost: float = 1 / 3  # of the frames from the first to the last with a pose: more is no clip of a person
    shown: float = 1 / 3  # of all frames that must have a pose: fewer may be chance
    own_height: float = 0.5  # of the largest person: what is less tall is a bag, a limb or somebody far behind
    beside: float = 0.5  # of the narrower one's width that two people may share: more, and it is a part of one
    speed: float = 3.0  # heights a second: 5 m/s, a run
    slack: float = 0.15  # by which a box's middle moves when an arm or a leg does
    growth: float = 2.0  # how much taller or shorter a person may be than when last seen
    leaving: float = 0.6  # of the usual width at the picture's edge: less is cut off, and no body turned aside


CHOSEN = Limits()


# ------------------------------------------------------------------------------------------------------------- the cuts


def has_content(frame: np.ndarray) -> bool:
    """Whether a picture [H, W, 3] has more than one colour: networks see people in emptiness too."""
    return bool(cv2.meanStdDev(np.ascontiguousarray(frame))[1].max() >= _LEAST_CONTRAST)


def colours(frame: np.ndarray) -> np.ndarray:
    """The fractions of the colours in a frame: a histogram, which knows nothing of where things are."""
    small = cv2.resize(frame, _THUMBNAIL[::-1], interpolation=cv2.INTER_AREA)
    counts = cv2.calcHist([small], [0, 1, 2], None, [_BINS] * 3, [0, 256] * 3)
    return counts.ravel() / counts.sum()


def change(before: np.ndarray, after: np.ndarray) -> float:
    """How much of a frame changes its colours, from two histograms of `colours`."""
    return float(np.abs(after - before).sum() / 2)


def cuts(changes: np.ndarray) -> list[int]:
    """The numbers of frames that begin a new shot; `changes` [T] is each frame's difference from the one before."""
    found = []
    for i in range(1, len(changes)):
        around = np.concatenate([changes[max(i - 3, 1) : i], changes[i + 1 : i + 4]])
        if changes[i] > _CHANGE and changes[i] > _STANDS_OUT * (around.max() if len(around) else 0):
            found.append(i)
    return found


def shot_starts(frames: Sequence[np.ndarray]) -> tuple[int, ...]:
    """Where shots begin. A frame of one colour is no shot: those before and after it are compared."""
    numbers = [number for number, frame in enumerate(frames) if has_content(frame)]
    seen = [colours(frames[number]) for number in numbers]
    changes = np.array([0.0] + [change(a, b) for a, b in itertools.pairwise(seen)])
    return (0, *(numbers[index] for index in cuts(changes[: len(seen)])))


# ----------------------------------------------------------------------------------------------------------- the person


def people(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Who stands in a label map [H, W]: boxes [N, 4], the largest first, and whose each pixel is [H, W], -1: nobody's.

    People who touch or stand behind each other are one. What is no person of its own is the nearest one's.
    """
    count, parts, about, middles = cv2.connectedComponentsWithStats((labels > 0).astype(np.uint8))
    owner = np.full(count, -1)
    chosen: list[int] = []
    for part in 1 + np.argsort(-about[1:, cv2.CC_STAT_AREA], kind="stable"):
        tall = not chosen or about[part, cv2.CC_STAT_HEIGHT] >= CHOSEN.own_height * about[chosen[0], cv2.CC_STAT_HEIGHT]
        if tall and all(_beside(about[part], about[other]) for other in chosen):
            owner[part] = len(chosen)
            chosen.append(int(part))
        else:
            owner[part] = int(np.abs(middles[chosen, 0] - middles[part, 0]).argmin())
    left, top, width, height = about[chosen, :4].astype(np.float64).T
    return np.stack([left, top, left + width, top + height], -1), owner[parts]


def _beside(one: np.ndarray, other: np.ndarray) -> bool:
    (a, wide_a), (b, wide_b) = ((s[cv2.CC_STAT_LEFT], s[cv2.CC_STAT_WIDTH]) for s in (one, other))
    return min(a + wide_a, b + wide_b) - max(a, b) <= CHOSEN.beside * min(wide_a, wide_b)


def follow(boxes: Sequence[np.ndarray], starts: Sequence[int], rate: float) -> np.ndarray:
    """The number of the followed person's box in every frame, int [T]; -1 where that person is not seen.

    Each shot follows whoever is largest where it begins. Everybody else is followed too, so that nobody is taken for
    the person who has just left. Args: boxes: [N, 4] a frame, the largest first.
    """
    found = np.full(len(boxes), -1)
    tracks: list[tuple[int, np.ndarray]] = []  # (when last seen, the box); the first is the one that counts
    for now, here in enumerate(boxes):
        if now in starts:
            tracks = []
        matched = _matched(tracks, here, now, rate)
        for number, box in enumerate(here):
            track = matched.get(number, len(tracks))
            tracks[track : track + 1] = [(now, box)]
            if track == 0:
                found[now] = number
    return found


def _matched(tracks: list, boxes: np.ndarray, now: int, rate: float) -> dict[int, int]:
    """{number of a box: number of its track}, the nearest ones first; boxes of nobody known are left out."""
    offers = []
    for track, (seen, last) in enumerate(tracks):
        height = last[3] - last[1]
        reach = CHOSEN.slack + CHOSEN.speed * (now - seen) / rate
        for number, box in enumerate(boxes):
            distance = float(np.hypot(*((box[:2] + box[2:] - last[:2] - last[2:]) / 2))) / height
            if distance <= reach and 1 / CHOSEN.growth <= (box[3] - box[1]) / height <= CHOSEN.growth:
                offers.append((distance, track, number))
    matched: dict[int, int] = {}
    for _, track, number in sorted(offers):
        if number not in matched and track not in matched.values():
            matched[number] = track
    return matched


def leaving(boxes: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """Where a side of the picture (a box [4]) cuts most of the person off, bool [T]; boxes [T, 4], NaN where nobody is.

    Read anyway, such a person is squeezed into what is left. Nothing is known without a frame that shows all of them.
    """
    width = boxes[:, 2] - boxes[:, 0]
    at_edge = (boxes[:, 0] <= picture[0] + 1) | (boxes[:, 2] >= picture[2] - 1)
    whole = width[~at_edge & np.isfinite(width)]
    return at_edge & (width < CHOSEN.leaving * np.median(whole)) if len(whole) else np.zeros(len(boxes), bool)


# ------------------------------------------------------------------------------------------------------- holding poses


@dataclasses.dataclass(frozen=True)
class Held:
    """Which frame's pose each frame of the clip has, int [M], and what a user should know of it, '' if nothing."""

    frames: np.ndarray
    note: str


def hold_over(usable: np.ndarray, starts: Sequence[int], rate: float | None) -> Held:
    """The last usable pose where there is none, or of a shot's beginning the first one.

    At the clip's two ends more than `CHOSEN.held` seconds are left out. Args: usable: bool [T]. Raises: NoPersonFound
    where no frame is usable, PersonLost where the gaps are too long or too many.
    """
    usable, total = np.asarray(usable, bool), len(usable)
    good = np.flatnonzero(usable)
    if not len(good):
        raise NoPersonFound("the pose picture" if total == 1 else "the pose clip")
    if len(good) == total:
        return Held(np.arange(total), "")
    rate = float(rate or 1.0)
    longest = max(1, int(CHOSEN.held * rate))  # a single frame always
    for before, after in itertools.pairwise(good):
        if after - before - 1 > longest:
            gap = f"from {(before + 1) / rate:.1f} s to {after / rate:.1f} s"
            raise PersonLost(f"{gap}, longer than the {longest / rate:.1f} s that are bridged")
    within = good[-1] - good[0] + 1
    if within - len(good) > CHOSEN.lost * within or len(good) < CHOSEN.shown * total:
        raise PersonLost(f"in {total - len(good)} of its {total} frames")
    first, last = 0, total
    ends = []
    if good[0] > longest:
        first = int(good[0])
        ends.append(f"begins at {first / rate:.1f} s")
    if total - 1 - good[-1] > longest:
        last = int(good[-1]) + 1
        ends.append(f"ends at {last / rate:.1f} s")
    shot = np.searchsorted(np.asarray(starts), np.arange(total), side="right")
    frames = np.array([_nearest(good, shot, number) for number in range(first, last)])
    note = f"nobody is found in {total - len(good)} of the {total} pose frames: "
    held = int((~usable[first:last]).sum())
    said = [f"the clip {' and '.join(ends)}"] if ends else []
    said += (
        [f"{held} {'keeps' if held == 1 else 'keep'} the pose beside {'it' if held == 1 else 'them'}"] if held else []
    )
    return Held(frames, note + ", ".join(said))


def _nearest(good: np.ndarray, shot: np.ndarray, number: int) -> int:
    """The usable frame whose pose a frame has: of its own shot if possible, and rather one before it."""
    same = good[shot[good] == shot[number]]
    same = same if len(same) else good
    before = same[same <= number]
    return int(before[-1] if len(before) else same[0])
