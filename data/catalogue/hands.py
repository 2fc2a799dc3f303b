"""Hands at rest as the catalogue's body has them, seen from everywhere: they are drawn where a photo shows none.

A hand lies as the natural stances have it (`catalogue.poses`), its fingers closed and bent. What is written: see
`compositing.drawn_hands`.
"""

import sys
from pathlib import Path

import numpy as np

from data.catalogue import parts
from vton_jax.catalogue import bodies, people, poses
from vton_jax.compositing import drawn_hands
from vton_jax.core.files import replacing, writing
from vton_jax.core.keypoints import ID as JOINTS
from vton_jax.media.progress import Progress

_CROP = 320  # pixels a side, about the wrist
CUT = 0.6  # of a vertex's weight is the hand's and the forearm's, from which on it is drawn
PARTS = ("lowerarm", "hand", "thumb", "index", "middle", "ring", "pinky")


def looked_at(person: people.Person, alone: people.Person, skin: np.ndarray, pose: poses.Pose):
    """(key, alpha, detail) of the right hand in a pose, see `drawn_hands`."""
    seen = parts.look(person, alone, skin, pose, JOINTS["right-wrist"], _CROP)
    _, along, _ = drawn_hands.bone(seen.body, "right")
    place = drawn_hands.places(seen.joints[JOINTS["right-wrist"]], along, float(seen.body.height) * parts.ZOOM)
    alpha, detail = seen.at(place)
    return drawn_hands.key(seen.body, "right"), alpha, detail


def build(output: str | Path, count: int = 192, looks: int = 4000) -> None:
    """Writes `count` hands that stand for `looks` poses, see `drawn_hands.FILE`."""
    generator = np.random.default_rng(11)
    person = people.dress(bodies.Identity())
    alone, skin = parts.alone(person, PARTS, CUT), parts.skin(generator)
    all_poses = [poses.with_quiet_hands(poses.sample_pose(generator)) for _ in range(looks)]
    progress, found = Progress(looks, unit="hands"), []
    for number, pose in enumerate(all_poses):
        found.append(looked_at(person, alone, skin, pose))
        progress.advance(number + 1)
    progress.close()
    key, alpha, detail = parts.typical(found, count)
    with replacing(output) as temporary, writing(output):
        np.savez_compressed(
            temporary,
            key=key,
            alpha=np.rint(255 * np.clip(alpha, 0, 1)).astype(np.uint8),
            detail=parts.packed_detail(detail),
        )
    print(f"{output}: {len(key)} hands", file=sys.stderr)
