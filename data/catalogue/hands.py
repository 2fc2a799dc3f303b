"""Hands at rest as the catalogue's body has them, seen from everywhere: they are drawn where a photo shows none.

A hand lies as the natural stances have it (`catalogue.poses`), its fingers closed and bent. What is written: see
`compositing.drawn_hands`.
"""

import dataclasses
import sys
from pathlib import Path

import cv2
import numpy as np
import scipy.cluster.vq

from vton_jax.catalogue import assets, bodies, camera, people, pictures, poses, rasteriser, textures, views
from vton_jax.compositing import drawn_hands
from vton_jax.core.files import replacing, writing
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.core.types import Layout
from vton_jax.layout import limbs
from vton_jax.media.progress import Progress

_PICTURE, _TALL = (256, 192), 0.84
_ZOOM = 5  # how much larger hands are drawn than the whole person
_CROP = 320  # pixels a side, about the wrist
_CUT = 0.6  # of a vertex's weight is the hand's and the forearm's, from which on it is drawn
_PARTS = ("lowerarm", "hand", "thumb", "index", "middle", "ring", "pinky")
_LIGHT = pictures.Light((-0.1, 0.5, 0.9), (0.62,) * 3, (0.6,) * 3)  # even: what lights the arm is said over it
_DARKEST = 0.05  # brightness below which nothing is told apart


def hand_alone(person: people.Person) -> people.Person:
    """Somebody of whom the right forearm and hand alone are drawn."""
    rig, keep = assets.rig(), np.full(len(person.keep), -1.0)
    own = [rig.bone(name) for name in rig.bones if name.endswith("_r") and name.split("_")[0] in _PARTS]
    keep[: len(rig.weights)] = rig.weights[:, own].sum(1) - _CUT
    return dataclasses.replace(person, keep=keep)


def looked_at(person: people.Person, alone: people.Person, skin: np.ndarray, pose: poses.Pose):
    """(key, alpha, detail) of the right hand in a pose, see `drawn_hands`."""
    eye = camera.frame(_PICTURE, person.height, fraction=_TALL)
    view = views.view_of(person, pose, eye, _PICTURE)
    points = eye.project(view.joints)[:, :2].astype(np.float32)
    body = limbs.bodies_of((Layout(np.zeros(_PICTURE, np.uint8), points, np.ones(18, bool)),), _PICTURE)[0]
    near = eye.scaled(_ZOOM)
    wrist = near.project(view.joints)[JOINTS["right-wrist"], :2]
    corner = np.rint(wrist - _CROP / 2)
    near = dataclasses.replace(near, middle=tuple(np.subtract(near.middle, corner)))
    raster = rasteriser.rasterise(
        near.project(view.places), alone.triangles, (_CROP, _CROP), both_sides=False, keep=alone.keep
    )
    hand = views.View(alone, near, view.places, view.joints, raster)
    black = np.zeros((_CROP, _CROP, 3), np.float32)
    picture = pictures.shade(hand, {people.SKIN: skin, people.EYES: skin}, _LIGHT, black, stands=False)
    shown = np.float32(raster.triangle >= 0)
    _, along, _ = drawn_hands.bone(body, "right")
    place = drawn_hands.places((wrist - corner).astype(np.float32), along, float(body.height) * _ZOOM)
    alpha, picture = (cv2.remap(np.float32(of), place, None, cv2.INTER_AREA) for of in (shown, picture))
    bright = np.log(np.maximum(picture.mean(-1) / np.maximum(alpha, 1e-3), _DARKEST))
    detail = np.where(alpha > 0.5, bright - np.median(bright[alpha > 0.9]) if (alpha > 0.9).any() else 0, 0)
    return drawn_hands.key(body, "right"), alpha, detail


def build(output: str | Path, count: int = 192, looks: int = 4000) -> None:
    """Writes `count` hands that stand for `looks` poses, see `drawn_hands.FILE`."""
    generator = np.random.default_rng(11)
    person = people.dress(bodies.Identity())
    alone, skin = hand_alone(person), textures.skin(generator, 0.2, np.float32([0.2, 0.15, 0.1]))
    all_poses = [poses.with_quiet_hands(poses.sample_pose(generator)) for _ in range(looks)]
    progress, found = Progress(looks, unit="hands"), []
    for number, pose in enumerate(all_poses):
        found.append(looked_at(person, alone, skin, pose))
        progress.advance(number + 1)
    progress.close()
    keys = np.stack([key for key, _, _ in found])
    centres, _ = scipy.cluster.vq.kmeans2(keys, count, minit="++", seed=11)
    chosen = sorted({int(np.square(keys - centre).sum(-1).argmin()) for centre in centres})
    with replacing(output) as temporary, writing(output):
        np.savez_compressed(
            temporary,
            key=keys[chosen].astype(np.float32),
            alpha=np.stack([np.rint(255 * np.clip(found[one][1], 0, 1)) for one in chosen]).astype(np.uint8),
            detail=np.stack([np.rint(np.clip(found[one][2], -1, 1) * 127) for one in chosen]).astype(np.int8),
        )
    print(f"{output}: {len(chosen)} hands", file=sys.stderr)
