"""Parts of the catalogue's body by themselves: hands and legs that are drawn where a photo shows none."""

import dataclasses

import cv2
import numpy as np
import scipy.cluster.vq

from vton_jax.catalogue import assets, camera, people, pictures, poses, rasteriser, textures, views
from vton_jax.core.types import Layout
from vton_jax.layout import limbs
from vton_jax.layout.body import Body

PICTURE, ZOOM = (256, 192), 5  # in which somebody is seen, and how much larger parts are drawn
_TALL = 0.84
_LIGHT = pictures.Light((-0.1, 0.5, 0.9), (0.62,) * 3, (0.6,) * 3)  # even: what lights the part is said over it
_DARKEST = 0.05  # brightness below which nothing is told apart


def alone(person: people.Person, names: tuple[str, ...], cut: float) -> people.Person:
    """Somebody of whom the right side's parts alone are drawn: vertices whose bones' weights are `cut` and more."""
    rig, keep = assets.rig(), np.full(len(person.keep), -1.0)
    own = [rig.bone(name) for name in rig.bones if name.endswith("_r") and name.split("_")[0] in names]
    keep[: len(rig.weights)] = rig.weights[:, own].sum(1) - cut
    return dataclasses.replace(person, keep=keep)


@dataclasses.dataclass(frozen=True)
class Look:
    """A part as it is seen, `ZOOM` times as large as in the picture of a body."""

    body: Body  # of `PICTURE`
    joints: np.ndarray  # float32 [18, 2], here
    shown: np.ndarray  # float32 [H, W]
    picture: np.ndarray  # float32 [H, W, 3], black where nothing is

    def at(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(alpha, logarithm of brightness over its middle) at places [rows, columns, 2]."""
        alpha, picture = (cv2.remap(of, places, None, cv2.INTER_AREA) for of in (self.shown, self.picture))
        bright = np.log(np.maximum(picture.mean(-1) / np.maximum(alpha, 1e-3), _DARKEST))
        inside = alpha > 0.9
        return alpha, np.where(alpha > 0.5, bright - (np.median(bright[inside]) if inside.any() else 0), 0)


def look(person: people.Person, part: people.Person, skin: np.ndarray, pose: poses.Pose, about: int, crop: int) -> Look:
    """A part in a pose, in a square of `crop` pixels about the joint `about`. Args: part: what `alone` leaves."""
    eye = camera.frame(PICTURE, person.height, fraction=_TALL)
    view = views.view_of(person, pose, eye, PICTURE)
    points = eye.project(view.joints)[:, :2].astype(np.float32)
    body = limbs.bodies_of((Layout(np.zeros(PICTURE, np.uint8), points, np.ones(18, bool)),), PICTURE)[0]
    near = eye.scaled(ZOOM)
    corner = np.rint(near.project(view.joints)[about, :2] - crop / 2)
    near = dataclasses.replace(near, middle=tuple(np.subtract(near.middle, corner)))
    raster = rasteriser.rasterise(
        near.project(view.places), part.triangles, (crop, crop), both_sides=False, keep=part.keep
    )
    seen = views.View(part, near, view.places, view.joints, raster)
    black = np.zeros((crop, crop, 3), np.float32)
    picture = pictures.shade(seen, {people.SKIN: skin, people.EYES: skin}, _LIGHT, black, stands=False)
    joints = near.project(view.joints)[:, :2].astype(np.float32)
    return Look(body, joints, np.float32(raster.triangle >= 0), picture)


def skin(generator: np.random.Generator) -> np.ndarray:
    """The skin that parts have."""
    return textures.skin(generator, 0.2, np.float32([0.2, 0.15, 0.1]))


def typical(found: list[tuple], count: int) -> tuple[np.ndarray, ...]:
    """Those of looks (key, ...) that stand for all, `count` at most: an array for each part of theirs."""
    keys = np.stack([one[0] for one in found])
    centres, _ = scipy.cluster.vq.kmeans2(keys, count, minit="++", seed=11)
    chosen = sorted({int(np.square(keys - centre).sum(-1).argmin()) for centre in centres})
    key, *rest = (np.stack(part) for part in zip(*(found[one] for one in chosen), strict=True))
    return key.astype(np.float32), *rest


def packed_detail(detail: np.ndarray) -> np.ndarray:
    """Logarithms of brightness as they are kept, int8."""
    return np.rint(np.clip(detail, -1, 1) * 127).astype(np.int8)
