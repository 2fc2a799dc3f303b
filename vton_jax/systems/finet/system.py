"""FiNet as a whole: a photo is read, a region of it is filled in several ways, and put back at the photo's size.

Conventions: see `protocol.py`; cases as in `cases.py`.
"""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vton_jax.compositing import filled_regions
from vton_jax.core import geometry, programs
from vton_jax.core.errors import GarmentForPerson, NoPersonFound, UserError
from vton_jax.core.framing import to_float
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.types import Layout
from vton_jax.layout import inpainting
from vton_jax.layout.inpainting import REGIONS
from vton_jax.models import weights
from vton_jax.models.finet_cnn import FinetCNN, Gaussian, standard
from vton_jax.models.weights import load_network
from vton_jax.reading import person_crop
from vton_jax.reading.picture_reader import PictureReader, box_of, layout_of
from vton_jax.systems.finet import cases
from vton_jax.systems.finet.cases import Case, Stage
from vton_jax.systems.finet.protocol import Person, Progress, Samples
from vton_jax.systems.finet.variants import variant_of, weights_name

MARGIN = 0.06  # around a person in the frame, of the larger side, as the networks have learned
_WORN_HEIGHT = {"hat": 0.12, "top": 0.38, "bottom": 0.5, "shoes": 0.08}  # of the frame's, of a garment laid flat
_ANKLES = [JOINTS["left-ankle"], JOINTS["right-ankle"]]
# Whoever ends so near to the photo's lower edge is cut off, of the photo's height; then the frame reaches to the soles,
# a part of what is shown below the ankles, at most so many times as far as what is shown.
_CUT, _FOOT, _LONGEST = 0.02, 0.06, 2.5
# Of class probabilities, in the frame's pixels: on drawn people and photos of the validation split as many pixels are
# right as without (0.899), and there are fewer pieces of a class (10.8 a person instead of 11.3).
_SMOOTH = 0.8
_WAYS = ("both", "shape", "appearance", "none")


@dataclasses.dataclass(frozen=True)
class Given:
    """A garment that is put on: what the encoders say of it."""

    shape: np.ndarray  # z [N]
    appearance: np.ndarray  # z [N]


@programs.compiled(static=0)
def _distributions(stage: Stage, params, case: Case) -> tuple[Gaussian, Gaussian]:
    """(posterior of what is worn, prior by what else is worn) of one case."""
    one = jax.tree.map(lambda a: a[None], case)
    return tuple(of(stage, params, one) for of in (cases.posterior, cases.prior))


@programs.compiled(static=0)
def _fill(stages: tuple[Stage, ...], params: tuple, case: Case, latents: tuple) -> tuple[jax.Array, jax.Array]:
    """(pictures [N, h, w, 3], classes [N, h, w]) of one case with latents [N, .] for each stage."""
    found = jax.tree.map(lambda a: jnp.broadcast_to(a, (len(latents[0]), *jnp.shape(a))), case)
    for stage, own, z in zip(stages, params, latents, strict=True):
        filled = cases.fill(stage, own, found, z)
        if stage.name == "shape":
            # A class of a pixel or two is an error more often than not.
            likely = geometry.blur(jax.nn.softmax(filled), _SMOOTH, 2)
            classes = jnp.where(found.mask, likely.argmax(-1), found.classes)
            found = found.replace(classes=classes)
        else:
            found = found.replace(image=filled)
    return found.image, found.classes


_case_of = programs.Program(cases.case_of)


class Finet:
    """FiNet with the weights of a folder (default: the released ones). Raises: UserError where they are missing.

    Args: variant: a name in `variants.VARIANTS`. reader: of photos; default: made when it is first needed.
    """

    def __init__(self, folder: str | Path | None = None, variant: str = "full", reader: PictureReader | None = None):
        self.variant, self._reader = variant_of(variant), reader
        self.stages, self.params = [], []
        for stage in self.variant.stages:
            name = weights_name(stage, variant)
            path = weights.path_of(name, folder)
            network, params, _, settings = load_network(f"finet_{stage}", FinetCNN, path)
            if settings.get("variant", "full") != variant:
                raise UserError(f"The weights {path} are of the variant {settings.get('variant')}, not of {variant}.")
            if not settings.get("joints"):
                raise UserError(
                    f"The weights {path} are of commit 70c86b8 or before; use that one, or train them again."
                )
            self.size: tuple[int, int] = tuple(settings["size"])
            self.stages.append(Stage(stage, network, self.variant))
            self.params.append(params)

    # ------------------------------------------------------------------------------------------------------- reading

    @property
    def reader(self) -> PictureReader:
        if self._reader is None:
            self._reader = PictureReader()
        return self._reader

    def read(self, photo: np.ndarray) -> Person:
        """See `protocol.Inpainter`. Raises: NoPersonFound, GarmentForPerson."""
        seen = self.reader.read(photo)
        if seen.is_a == "garment":
            raise GarmentForPerson("the photo")
        return self.person_of(photo, layout_of(seen), seen.keypoints)

    def person_of(self, photo: np.ndarray, layout: Layout, places: np.ndarray | None = None) -> Person:
        """Somebody whose layout in the photo is known, as large in the frame as if all of them were shown.

        Args: places: joints [18, 2] beyond the photo too. Raises: NoPersonFound.
        """
        labels = np.asarray(layout.segmentation)
        if (box := box_of(labels > 0)) is None:
            raise NoPersonFound("the photo")
        if places is not None and box[3] > (1 - _CUT) * len(labels):
            sole = places[_ANKLES, 1].max() + _FOOT * (box[3] - box[1])
            box[3] = np.clip(sole, box[3], box[1] + _LONGEST * (box[3] - box[1]))
        return self._framed(photo, layout, person_crop.widened(box, self.size, MARGIN))

    def _framed(self, photo: np.ndarray, layout: Layout, box: np.ndarray) -> Person:
        labels = np.asarray(layout.segmentation)
        frame, place = person_crop.crop_to(photo, box, self.size)
        small = person_crop.crop_to(np.pad(labels, 1), box + 1, self.size, nearest=True)[0]
        visible = np.asarray(layout.visible)
        points = np.where(visible[:, None], place.points(np.asarray(layout.keypoints)), 0).astype(np.float32)
        edges = tuple(round(float(edge)) for edge in box)
        classes = np.asarray(inpainting.classes_of(labels, np.asarray(layout.keypoints), visible), np.uint8)
        return Person(photo, classes, edges, to_float(frame), Layout(small, points, visible))

    def case(self, person: Person, region: str) -> Case:
        """What the networks see of somebody."""
        layout = person.layout
        return _case_of(person.frame, layout.segmentation, layout.keypoints, layout.visible, REGIONS.index(region))

    def read_garment(self, picture: np.ndarray, region: str) -> Given:
        """See `protocol.Inpainter`. Raises: UserError where there is no such garment."""
        seen = self.reader.read(picture)
        if seen.is_a == "person":
            person = self.person_of(picture, layout_of(seen), seen.keypoints)
        else:
            person = self._laid_flat(picture, seen, region)
        case = self.case(person, region)
        if int(case.garment.sum()) < inpainting.LEAST_PIXELS:
            raise UserError(f"No {region} was found in the garment's picture; give another --region or picture.")
        return self.given(case)

    def _laid_flat(self, picture: np.ndarray, seen, region: str) -> Person:
        """A garment alone, as large in the frame as if it were worn."""
        there = seen.segmentation > 0
        if (box := box_of(there)) is None:
            raise UserError("There is nothing in the garment's picture; use another one.")
        inside = seen.inside > 0.5
        layout = Layout(seen.segmentation, np.where(inside[:, None], seen.keypoints, 0), inside)
        height = (box[3] - box[1]) / _WORN_HEIGHT[region]
        width, x, y = height * self.size[1] / self.size[0], (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        around = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
        return self._framed(picture, layout, around)

    def given(self, case: Case) -> Given:
        """What the encoders say of the garment that a case shows."""
        means = {stage.name: np.asarray(_distributions(stage, params, case)[0].mean[0])
                 for stage, params in zip(self.stages, self.params, strict=True)}  # fmt: skip
        return Given(means.get("shape", np.zeros(0)), means["appearance"])

    # ------------------------------------------------------------------------------------------------------- filling in

    def inpaint(
        self, person: Person, region: str, key, *, num_samples: int = 1, vary: str = "both",
        garment: Given | None = None, compatibility: bool = True, progress: Progress = lambda done: None,
    ) -> Samples:  # fmt: skip
        """See `protocol.Inpainter`. Raises: UserError where the photo does not show where the region would be."""
        if vary not in _WAYS:
            raise UserError(f"vary is one of {', '.join(_WAYS)}, not {vary}.")
        case = self.case(person, region)
        if not bool(case.mask.any()):
            raise UserError(f"The photo does not show where the {region} would be; use another photo or region.")
        latents = self.latents(case, key, num_samples, vary=vary, garment=garment, compatibility=compatibility)
        progress(0)
        frames, classes = jax.device_get(_fill(tuple(self.stages), tuple(self.params), case, latents))
        case = jax.device_get(case)
        classes = classes.astype(np.uint8)
        images = []
        for one in zip(frames, classes, strict=True):
            images.append(self._put_back(person, case, *one))
            progress(len(images))
        return Samples(np.stack(images), frames, classes, case.mask)

    def latents(
        self, case: Case, key, num_samples: int, *, vary: str, garment: Given | None, compatibility: bool
    ) -> tuple[jax.Array, ...]:
        """z [N, .] of each stage."""
        found = []
        for number, (stage, params) in enumerate(zip(self.stages, self.params, strict=True)):
            posterior, prior = _distributions(stage, params, case)
            if not compatibility:
                prior = standard(1, stage.network.latent_size)
            count = (num_samples, stage.network.latent_size)
            if vary in ("both", stage.name):
                z = prior.sample(jax.random.normal(jax.random.fold_in(key, number), count))
            elif garment is not None:
                z = jnp.broadcast_to(getattr(garment, stage.name), count)
            else:
                worn = bool(case.garment.sum() >= inpainting.LEAST_PIXELS)
                z = jnp.broadcast_to((posterior if worn else prior).mean, count)
            found.append(z)
        return tuple(found)

    @staticmethod
    def _put_back(person: Person, case: Case, frame: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """One filling at the photo's size, uint8 [H, W, 3]: new is what changes its class, and the garment."""
        number = inpainting.CLASSES.index(REGIONS[int(case.region)])
        new = case.mask & ((classes != case.classes) | (classes == number))
        old = person.classes == number, person.classes > 0
        parts = inpainting.SHOWN_AS[classes]
        result = filled_regions.put_back(to_float(person.photo), person.box, (frame, parts, new), old)
        return np.round(255 * np.clip(result, 0, 1)).astype(np.uint8)
