"""Somebody before a camera, and the truth about what its picture shows.

Conventions: see rasteriser.py; `size` is (height, width). Flows are backward, in pixels, as in `core.geometry`.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np

from vton_jax.catalogue import assets, bodies, camera, people, poses, skeleton, styles, wardrobe
from vton_jax.catalogue.camera import Camera
from vton_jax.catalogue.people import Person
from vton_jax.catalogue.rasteriser import Raster, nearest_at, rasterise
from vton_jax.core.keypoints import JOINTS

# The bones at which the joints of the limbs lie.
_LIMB_JOINTS = {
    "shoulder": "upperarm",
    "elbow": "lowerarm",
    "wrist": "hand",
    "hip": "thigh",
    "knee": "calf",
    "ankle": "foot",
}
# How deep below the skin each joint may lie and still count as seen, in decimetres.
_DEPTH = {"nose": 0.4, "neck": 1.5, "shoulder": 1.1, "elbow": 0.8, "wrist": 0.6, "hip": 1.6, "knee": 1.0, "ankle": 0.8,
          "eye": 0.5, "ear": 0.4}  # fmt: skip
_SAME_DEPTH = 1e-4  # decimetres that a spot may lie behind what is nearest and still be it: what is rounded
_PRESSED = 0.02  # how deep flat cloth is, over its depth when worn
_HEAD_ROWS = {"nose": (6.8, 7.2), "ear": (6.9, 7.5)}  # where on the neutral body, in decimetres above its middle


@dataclasses.dataclass(frozen=True)
class View:
    """Somebody in a pose before a camera."""

    person: Person
    camera: Camera
    places: np.ndarray  # float64 [V, 3], the person's vertices in space
    joints: np.ndarray  # float64 [18, 3] in space
    raster: Raster

    @functools.cached_property
    def segmentation(self) -> np.ndarray:
        """Labels uint8 [H, W]."""
        shown = self.raster.triangle
        return np.where(shown >= 0, self.person.labels[shown], 0).astype(np.uint8)

    @functools.cached_property
    def surface(self) -> np.ndarray:
        """Surface coordinates [H, W, 3]: where on the neutral body each pixel lies; 0 where nobody is."""
        return self.raster.blend(self.person.triangles, self.person.neutral)

    @functools.cached_property
    def depth(self) -> np.ndarray:
        """Distances from the camera's plane [H, W], infinite where nobody is."""
        inverse = self.raster.inverse_depth
        return np.where(inverse > 0, 1 / np.where(inverse > 0, inverse, 1), np.inf)

    def keypoints(self) -> tuple[np.ndarray, np.ndarray]:
        """OpenPose's 18 joints [18, 2] in pixels, beyond the picture too, and which are seen [18]."""
        seen = self.camera.project(self.joints)
        height, width = self.raster.triangle.shape
        column, row = np.rint(seen[:, :2]).astype(int).T
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        below = np.array([_DEPTH[name.split("-")[-1]] for name in JOINTS])
        around = np.pad(self.depth, 1, constant_values=np.inf)
        row, column = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
        near = np.stack([around[row + y, column + x] for y in range(3) for x in range(3)])
        shows = (np.isfinite(near) & (1 / seen[:, 2] < near + below)).any(0)
        return seen[:, :2].astype(np.float32), inside & shows


@functools.cache
def _head_points() -> dict[str, np.ndarray]:
    """The vertices [n] of which nose, eyes and ears are the mean."""
    mesh = assets.base_mesh()
    body = mesh.vertices[: assets.NUM_BODY]

    def farthest(rows: tuple[float, float], value: np.ndarray) -> np.ndarray:
        there = (body[:, 1] > rows[0]) & (body[:, 1] < rows[1])
        return np.array([np.argmax(np.where(there, value, -np.inf))])

    found = {"nose": farthest(_HEAD_ROWS["nose"], body[:, 2])}
    for side, name, sign in (("l", "left", 1), ("r", "right", -1)):
        found[f"{name}-ear"] = farthest(_HEAD_ROWS["ear"], sign * body[:, 0])
        found[f"{name}-eye"] = np.unique(mesh.part(f"helper-{side}-eye"))
    return found


def _joints(places: np.ndarray, bones: np.ndarray) -> np.ndarray:
    """OpenPose's 18 joints [18, 3] of a posed body [V, 3] with bones at [53, 3]."""
    rig, head = assets.rig(), _head_points()
    found = {name: places[index].mean(0) for name, index in head.items()}
    for side, name in (("l", "left"), ("r", "right")):
        for joint, bone in _LIMB_JOINTS.items():
            found[f"{name}-{joint}"] = bones[rig.bone(f"{bone}_{side}")]
    found["neck"] = (found["left-shoulder"] + found["right-shoulder"]) / 2
    return np.stack([found[name] for name in JOINTS])


def _posed(person: Person, pose: skeleton.Pose) -> tuple[np.ndarray, np.ndarray]:
    """Where the vertices [V, 3] and the bones' joints [53, 3] come to lie; what hangs turns with the person alone."""
    rig = assets.rig()
    joints = rig.joints(person.body)
    motion = skeleton.bone_matrices(joints, pose)
    places, bones, start = np.empty_like(person.vertices), skeleton.posed_joints(joints, motion), 0
    for weights in person.weights:
        own = slice(start, start + len(weights))
        places[own] = skeleton.skin(person.vertices[own], weights, motion)
        start = own.stop
    turn = skeleton.rotation((0, 1, 0), pose.yaw)
    for start, end, name in person.hanging:
        bone = rig.bone(name)
        places[start:end] = bones[bone] + (person.vertices[start:end] - joints[bone]) @ turn.T
    return places, bones


def view_of(person: Person, pose: skeleton.Pose, camera: Camera, size: tuple[int, int]) -> View:
    """Somebody in a pose, the lowest vertex on the floor (y = 0) and the root at x = z = 0."""
    places, bones = _posed(person, pose)
    lowest = places[person.used, 1].min()
    down = np.array([bones[0, 0], lowest, bones[0, 2]])
    places, bones = places - down, bones - down
    raster = rasterise(camera.project(places), person.triangles, size, **person.drawn)
    return View(person, camera, places, _joints(places, bones), raster)


def laid_flat(person: Person, layers: Sequence[str], size: tuple[int, int], *, arms: float = 0.45) -> View:
    """A garment that lies alone, its front up: some of the person's layers, pressed flat, in the middle of a picture.

    The mesh is the person's own, so that `flow_between` leads from any view of them to it. Args: arms: how far its
    sleeves lie from the trunk. Raises: ValueError for a layer that the person lacks.
    """
    alone = people.only(person, layers)
    places, bones = _posed(person, poses.stand(arms, elbows=0.0, legs=0.08))
    places = places * [1, 1, _PRESSED]
    eye = camera.around(places[alone.keep > 0], size)
    raster = rasterise(eye.project(places), alone.triangles, size, **alone.drawn)
    return View(alone, eye, places, _joints(places, bones), raster)


def flow_between(target: View, source: View, layers: Sequence[str] | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Where in the source lies what the target's pixels show: backward flow float32 [H, W, 2], and whether it is seen
    there, bool [H, W]; 0 where nobody is.

    Args: layers: the only ones that are looked at. Two people's views need them, and these layers must come first among
    what both wear, in one order: then their vertices have the same numbers.
    """
    chosen = target.raster.pixels
    if layers is not None:
        wanted = np.isin(np.arange(len(target.person.layers)), [target.person.layers.index(name) for name in layers])
        chosen = chosen[wanted[target.person.layer[target.raster.shown]]]
    blend = lambda values: target.raster.at_pixels(target.person.triangles, values, chosen)  # noqa: E731
    places = blend(source.places)
    point = source.camera.project(places)
    size = target.raster.triangle.shape
    flow, visible = np.zeros((*size, 2), np.float32), np.zeros(size, bool)
    row, column = np.divmod(chosen, size[1])
    flow[row, column] = point[:, :2] - np.stack([column, row], -1)
    their = source.person
    nearest = nearest_at(point[:, :2], source.camera.project(source.places), their.triangles, size, **their.drawn)
    there = blend(their.keep[:, None])[:, 0] > 0  # it is drawn at all
    visible[row, column] = there & (point[:, 2] > nearest - _SAME_DEPTH * point[:, 2] ** 2)
    return flow, visible & _in_picture(flow)


def _in_picture(flow: np.ndarray) -> np.ndarray:
    """Where a flow [H, W, 2] leads into the picture."""
    height, width = flow.shape[:2]
    row, column = np.mgrid[:height, :width]
    x, y = column + flow[..., 0], row + flow[..., 1]
    return (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)


def sample_view(seed: int, size: tuple[int, int] = (256, 192)) -> View:
    """Somebody, somehow: a function of the seed alone."""
    generator = np.random.default_rng(seed)
    who = bodies.sample_identity(generator)
    worn = people.sample_worn(generator, who.gender, styles.sample(generator))
    person = people.dress(who, [*worn, *wardrobe.sample_hair(generator, who.gender)])
    return view_of(person, poses.sample_pose(generator), camera.frame(size, person.height), size)
