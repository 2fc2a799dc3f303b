"""What the networks read in pictures: people's layouts and latents, and garments laid flat or worn.

ReaderCNN says what a picture shows; MultiPathCNN's latents are what makes a layout consistent.

Conventions: frames are uint8 [H, W, 3] or [T, H, W, 3] of the networks' size (`Reader.size`, bring photos there with
`compositing.normalisation` or `framing.fit`); layouts are `types.Layout` at that size. RGB alone enters.
"""

import dataclasses
import functools
import hashlib
from pathlib import Path

import jax
import numpy as np

from vton_jax.compositing.normalisation import Stand
from vton_jax.core import framing, keypoints, programs, segmentation
from vton_jax.core.arrays import Deferred
from vton_jax.core.batching import in_batches
from vton_jax.core.errors import (
    EmptyPicture,
    GarmentForPerson,
    NoGarmentFound,
    NoPersonFound,
    NoTorso,
)
from vton_jax.core.framing import to_float
from vton_jax.core.types import Garment, Layout, Pose, User
from vton_jax.layout import garment_fit, inversion
from vton_jax.models import multi_path_cnn, weights
from vton_jax.models.multi_path_cnn import MultiPathCNN
from vton_jax.models.weights import load_network
from vton_jax.reading import clip_following, descriptions, necklines, outlines
from vton_jax.reading.picture_reader import MAX_SIDE, PictureReader, Seen, box_of, layout_of
from vton_jax.systems.garments import LEAST_GARMENT

LEAST_PERSON = 0.02  # of a picture: less is no person
LEAST_JOINTS = 4  # fewer are no person
_KEPT = 4  # readings: photo and pose are often one picture, and a picture is asked for more than one thing
_LEAST_TRUNK = 0.5  # of a trunk's length that a photo shows: less is a portrait


@dataclasses.dataclass(frozen=True)
class Proportions:
    """Of a body, over the distance from eyes to ankles; by twelve drawn people of the validation split."""

    above_eyes: float = 0.1  # to the top of the head and hair
    foot: float = 0.08  # from ankle to sole
    near_edge: float = 0.12  # of what is seen: who ends so near to the edge, with ankles beyond it, is cut off


PROPORTIONS = Proportions()


# The programs: networks are static, so that all readers of a process share what is traced and compiled.


@programs.compiled(static=0)
def _forward(network: MultiPathCNN, params, images: jax.Array) -> tuple[Layout, jax.Array]:
    z = network.apply(params, to_float(images), method="encode")
    out = network.apply(params, z, ("segmentation", "pose"), method="decode")
    return multi_path_cnn.read(out, network.size)[0], z


@programs.compiled(static=0)
def _encode(network: MultiPathCNN, params, images: jax.Array) -> jax.Array:
    return network.apply(params, to_float(images), method="encode")


@programs.compiled(static=0)
def _smoothed(network: MultiPathCNN, params, z: jax.Array) -> jax.Array:
    return network.apply(params, z, ("image",), method="decode")["image"]


class Reader:
    """Reads people and garments by ReaderCNN, and latents by MultiPathCNN.

    Args: folder: where the weights lie, by default the released ones. Programs are compiled on first use. Raises:
    UserError for weights that are missing.
    """

    def __init__(self, folder: str | Path | None = None):
        at = functools.partial(weights.path_of, folder=folder)
        multi_path = load_network("multi_path_cnn", MultiPathCNN, at("multi_path_cnn"))
        self.multi_path, self.multi_path_params, extra, settings = multi_path
        self.weights_id = hashlib.sha256(at("multi_path_cnn").read_bytes()).hexdigest()
        self.size: tuple[int, int] = tuple(settings["size"])
        self.covariance = extra["latent_covariance"]
        self.whiten, self.colour = inversion.whitening(extra["latent_mean"], extra["latent_covariance"])
        self.pictures = PictureReader(at("reader_cnn"))
        self._kept: dict[tuple, Seen] = {}

    def seen(self, picture: np.ndarray, *, thorough: bool) -> Seen:
        """`PictureReader.read` of a picture [H, W, 3]; the same picture is read once, as long as it is kept."""
        key = *_key(picture), thorough
        if key not in self._kept:
            found = self.pictures.read(picture, thorough=thorough)
            while len(self._kept) >= _KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = found
        return self._kept[key]

    def _glance(self, picture: np.ndarray) -> Seen:
        """What a picture of any size shows, no larger than it need be."""
        return self.seen(_looked_at(picture), thorough=False)

    def describe(self, picture: np.ndarray, mask: np.ndarray | None = None) -> descriptions.Description:
        """What a picture [H, W, 3] shows, in words, as thoroughly as it was read already.

        Args: mask: bool [H, W], what its own alpha channel shows.
        """
        small = _looked_at(picture)
        if mask is not None:
            mask = framing.resize(mask.astype(np.uint8), small.shape[:2], nearest=True) > 0
        return descriptions.describe(self.seen(small, thorough=(*_key(small), True) in self._kept), mask)

    def read_people(self, frames: np.ndarray, batch: int = 8) -> tuple[Layout, np.ndarray]:
        """The forward procedure on frames [T, H, W, 3]: layouts [T] and latents [T, N]; `smoothed` shows these.

        Layouts are those that MultiPathCNN's decoder can say: whole bodies, guessed where the frame cuts them.
        """
        return in_batches(
            lambda part: _forward(self.multi_path, self.multi_path_params, part), np.asarray(frames), batch
        )

    def read_layouts(self, frames: np.ndarray, thorough: bool | None = None) -> tuple[Layout, Deferred]:
        """ReaderCNN's layouts of frames [T, H, W, 3], which are sharp and show what is visible, and latents [T, N]:
        these when somebody looks at them, for only the backward procedure does.

        Args: thorough: see `read_poses`.
        """
        frames = np.asarray(frames)
        if len(frames) == 1 and thorough is not False:
            layout = jax.tree.map(lambda a: a[None], layout_of(self.seen(frames[0], thorough=True)))
        else:
            layout = self.pictures.layouts(frames)
        return layout, Deferred(lambda: self.latents(frames), (len(frames), self.multi_path.latent_size))

    def stand_of(self, picture: np.ndarray) -> Stand | None:
        """Where somebody stands in a picture [H, W, 3] of any size; None where nobody does."""
        picture = _looked_at(picture)
        found = self._glance(picture)
        box = box_of(found.segmentation > 0) if found.is_a == "person" else None
        if box is None:
            return None
        top, bottom, cut = _upright(box, found.keypoints, len(picture))
        place = framing.fit(np.broadcast_to(np.uint8(0), picture.shape[:2]), self.size)[1]
        (_, top), (middle, bottom) = place.points(np.array([[0, top], [(box[0] + box[2]) / 2, bottom]]) - 0.5) + 0.5
        height, width = self.size
        return Stand(float(top / height), float(bottom / height), float(middle / width), cut, found.others)

    def latents(self, frames: np.ndarray, batch: int = 8) -> np.ndarray:
        """The latents [T, N] alone of frames [T, H, W, 3]."""
        return in_batches(
            lambda part: _encode(self.multi_path, self.multi_path_params, part), np.asarray(frames), batch
        )

    def smoothed(self, z: jax.Array) -> jax.Array:
        """Latents [T, N] -> the smoothed pictures of the forward procedure, float [T, H, W, 3]."""
        return _smoothed(self.multi_path, self.multi_path_params, z)

    # ------------------------------------------------------------------------------------------------- users and poses

    def read_user(self, frame: np.ndarray, shown: np.ndarray | None = None) -> User:
        """The user in a photo [H, W, 3]; the backdrop is left open.

        Args: shown: bool [H, W], what of the frame is the photo's own, by default all.
        Raises: EmptyPicture, NoPersonFound, GarmentForPerson, NoTorso.
        """
        require_content(frame, "the photo")
        shown = np.ones(frame.shape[:2], bool) if shown is None else shown
        rows, columns = (np.flatnonzero(shown.any(axis)) for axis in (1, 0))
        last, found = rows[-1], self.seen(frame, thorough=True)
        if last + 1 < len(frame) and found.segmentation[last].any():  # what goes on below the photo is made up
            own = frame[rows[0] : last + 1, columns[0] : columns[-1] + 1]
            _require_user(self._glance(own), len(own))
        else:
            _require_user(found, last + 1)
        layouts, z = self.read_layouts(frame[None])
        layout = jax.tree.map(lambda a: a[0], layouts)
        require_person(layout, "the photo")
        return User(image=to_float(frame), layout=layout, latent=z[0], shown=shown)

    def read_poses(self, frames: np.ndarray, thorough: bool | None = None) -> Pose:
        """All that leaves the pose frames [T, H, W, 3].

        Args: thorough: whether a single frame is a photo, read as thoroughly as it can be, as it is by default, or one
        of a clip. Raises: EmptyPicture, NoPersonFound where none is usable.
        """
        layouts, z = self.read_layouts(frames, thorough)
        where = "the pose picture" if len(frames) == 1 else "the pose clip"
        filled = np.array([clip_following.has_content(frame) for frame in frames])
        if not filled.any():
            raise EmptyPicture(where)
        usable = filled & [shows_person(jax.tree.map(lambda a, i=i: a[i], layouts)) for i in range(len(frames))]
        if not usable.any():
            raise NoPersonFound(where)
        return Pose(layout=layouts, latent=z, usable=usable)

    # --------------------------------------------------------------------------------------------------------- garments

    def looks_flat(self, frame: np.ndarray) -> bool:
        """Whether a picture of any size shows a garment laid flat rather than a person."""
        return self._glance(frame).is_a == "garment"

    def read_garment(
        self,
        frame: np.ndarray,
        garment_type: str | None = None,
        flat: bool | None = None,
        mask: np.ndarray | None = None,
        *,
        thorough: bool = True,
    ) -> Garment:
        """Reads the garment's picture [H, W, 3]: a person wearing it, or the garment alone.

        Args: garment_type: one of `segmentation.GARMENT_TYPES`; None: what the picture offers. flat: whether the
        garment lies alone; None: look. mask: bool [H, W], what the picture cuts out itself: of a garment that lies
        alone all of it, of a person the outline. Raises: EmptyPicture, NoGarmentFound.
        """
        if mask is None:  # white on white is cut out all the same
            require_content(frame, "the garment picture")
        flat = self.looks_flat(frame) if flat is None else flat
        if flat and garment_type == "outfit":
            raise NoGarmentFound(garment_type, flat)  # an outfit of several pieces does not lie flat as one
        if flat:
            found = self.seen(frame, thorough=thorough)
            layout, kind = _flat_layout(found, garment_type, mask)
            sleeves = garment_fit.sleeve_bounds(found.sleeves)
        else:  # whoever says that it is worn knows better than the network
            layout = layout_of(self.seen(frame, thorough=thorough), ("person", "garment"))
            if mask is not None:
                layout = layout.replace(segmentation=outlines.keep(np.asarray(layout.segmentation), mask))
            kind, sleeves = garment_type or "outfit", garment_fit.ANY_SLEEVES  # as the picture shows
        region = segmentation.region(layout.segmentation, segmentation.GARMENT_LABELS[kind])
        if region.mean() < LEAST_GARMENT:
            raise NoGarmentFound(kind, flat)
        image = np.where(region[..., None], to_float(frame), 1.0)
        index = np.int32(segmentation.GARMENT_TYPES.index(kind))
        return Garment(image=image, layout=layout, garment_type=index, flat=np.bool_(flat), sleeves=sleeves)


def _key(picture: np.ndarray) -> tuple[bytes, tuple[int, ...]]:
    """What tells pictures apart."""
    return hashlib.sha1(np.ascontiguousarray(picture)).digest(), picture.shape


def _looked_at(picture: np.ndarray) -> np.ndarray:
    """A picture [H, W, 3], its longer side at most `MAX_SIDE`."""
    factor = MAX_SIDE / max(picture.shape[:2])
    return picture if factor >= 1 else framing.resize(picture, tuple(round(factor * a) for a in picture.shape[:2]))


def _flat_layout(found: Seen, garment_type: str | None, mask: np.ndarray | None) -> tuple[Layout, str]:
    """The layout of a garment that lies alone, its wearer's joints with it, and its type."""
    kind = garment_type or found.type
    there = found.cut_out if mask is None else mask
    labels = _as_one(there, 1 + found.labels[..., 1:].argmax(-1), kind)
    skirt = bool((labels == segmentation.ID["skirt"]).any())
    joints = garment_fit.wearer(
        found.keypoints, _on_sleeves(found), kind, there, sleeves=found.sleeve_class, skirt=skirt
    )
    if mask is None and kind != "lower" and found.picture is not None:
        shoulders = np.asarray(joints[0])[[keypoints.ID["left-shoulder"], keypoints.ID["right-shoulder"]]]
        labels[necklines.opening(found.picture, there, shoulders)] = segmentation.ID["face"]
    return Layout(labels, *joints), kind


def _on_sleeves(found: Seen) -> np.ndarray:
    """How probably each joint [18] lies on a garment: elbows and wrists lie on no shorter sleeves than theirs."""
    three_quarter, long = found.sleeves[2:].sum(), found.sleeves[3]
    probability = np.array(found.inside)
    for name, reached in (("elbow", three_quarter), ("wrist", long)):
        probability[[keypoints.ID[f"left-{name}"], keypoints.ID[f"right-{name}"]]] *= reached
    return probability


def _as_one(there: np.ndarray, labels: np.ndarray, kind: str) -> np.ndarray:
    """Labels uint8 [H, W] of the one garment that lies `there`: stray labels of another kind are its own."""
    own = {"upper": "upper-clothes", "dress": "dress"}.get(kind)
    if own is None:
        own = max(("skirt", "pants"), key=lambda name: int((there & (labels == segmentation.ID[name])).sum()))
    return np.where(there, segmentation.ID[own], 0).astype(np.uint8)


def _upright(box: np.ndarray, points: np.ndarray, height: int) -> tuple[float, float, bool]:
    """(top, bottom, whether the picture ends above the feet) of a whole person, in rows of a picture's edges.

    Args: box [4], around what is seen. points [18, 2]: joints beyond the picture, too.
    """
    top, bottom = float(box[1]), float(box[3])
    row = lambda *names: float(np.mean([points[keypoints.ID[name], 1] for name in names]))  # noqa: E731
    eyes, ankles = row("nose", "left-eye", "right-eye"), row("left-ankle", "right-ankle")
    body = max(ankles - eyes, bottom - top)
    if top < 1:  # the picture may cut the head off
        top = min(top, eyes - PROPORTIONS.above_eyes * body)
    cut = bottom > height - PROPORTIONS.near_edge * (bottom - top) and ankles > height
    return top, max(bottom, ankles + PROPORTIONS.foot * body) if cut else bottom, cut


def require_content(frame: np.ndarray, where: str) -> None:
    """Raises EmptyPicture where a picture [H, W, 3] is one colour throughout."""
    if not clip_following.has_content(frame):
        raise EmptyPicture(where)


def _require_user(found: Seen, height: int) -> None:
    """Raises what a photo of `height` rows deserves in which nobody can be dressed: GarmentForPerson, NoPersonFound or
    NoTorso.
    """
    if found.is_a != "person":
        raise (GarmentForPerson if found.is_a == "garment" else NoPersonFound)("the photo")
    shoulders, hips = (
        np.mean([found.keypoints[keypoints.ID[f"{side}-{name}"], 1] for side in ("left", "right")])
        for name in ("shoulder", "hip")
    )
    if hips > shoulders and (height - shoulders) / (hips - shoulders) < _LEAST_TRUNK:
        raise NoTorso("the photo")


def shows_person(layout: Layout) -> bool:
    """Whether a layout shows a person: neither hardly any body nor fewer than four joints."""
    covered = float((np.asarray(layout.segmentation) > 0).mean())
    return covered >= LEAST_PERSON and int(np.asarray(layout.visible).sum()) >= LEAST_JOINTS


def require_person(layout: Layout, where: str) -> None:
    """Raises NoPersonFound where a layout shows no person."""
    if not shows_person(layout):
        raise NoPersonFound(where)
