"""The public-domain meshes, shapes and bones that people are made of; see assets/README.md for formats and sources."""

import dataclasses
import functools
import itertools
from pathlib import Path

import numpy as np

from vton_jax.catalogue import compiled

FOLDER = Path(__file__).parent / "assets"
NUM_VERTICES = 19158  # of the base mesh, helpers included
NUM_BODY = 13380  # the body's own vertices come first


def load(name: str) -> dict[str, np.ndarray]:
    with np.load(FOLDER / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def triangles_of(quads: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quads [Q, 4], of which a triangle repeats its last corner: triangles int32 [T, 3], and the quad of each [T]."""
    first, second = quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]
    whole = quads[:, 2] != quads[:, 3]
    triangles = np.concatenate([first, second[whole]]).astype(np.int32)
    quad = np.concatenate([np.arange(len(quads)), np.flatnonzero(whole)])
    order = np.argsort(quad, kind="stable")
    return triangles[order], quad[order]


def corners_of(quads: np.ndarray, quad: np.ndarray) -> np.ndarray:
    """The corners int32 [T, 3] of another list of quads [Q, 4], in the triangles that `triangles_of` made."""
    second = np.concatenate([[False], quad[1:] == quad[:-1]])
    return np.where(second[:, None], quads[quad][:, [0, 2, 3]], quads[quad][:, [0, 1, 2]]).astype(np.int32)


def any_corner(values: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Which triangles [T, 3] have a corner for which a value, bool [V], holds."""
    a, b, c = triangles.T
    return values[a] | values[b] | values[c]


@dataclasses.dataclass(frozen=True)
class Mesh:
    """The neutral body with its helpers."""

    vertices: np.ndarray  # float64 [19158, 3]
    triangles: np.ndarray  # int32 [T, 3]
    uv: np.ndarray  # float32 [U, 2], v upwards
    triangles_uv: np.ndarray  # int32 [T, 3], rows of `uv`
    group: np.ndarray  # [T], the group's name

    def part(self, *groups: str) -> np.ndarray:
        """The triangles [t, 3] of some groups."""
        return self.triangles[np.isin(self.group, groups)]


@functools.cache
def base_mesh() -> Mesh:
    raw = load("base_mesh")
    triangles, quad = triangles_of(raw["quads"])
    group = raw["group_names"][raw["group"]][quad]
    corners = corners_of(raw["quads_uv"], quad)
    return Mesh(raw["vertices"].astype(np.float64), triangles, raw["uv"], corners, group)


@dataclasses.dataclass(frozen=True)
class Targets:
    """Shapes that a body is blended from."""

    names: tuple[str, ...]
    vertices: tuple[np.ndarray, ...]  # of each target, the vertices that it moves
    deltas: tuple[np.ndarray, ...]  # and by how much, float64 [n, 3]

    def blend(self, weights: dict[str, float]) -> np.ndarray:
        """How far every vertex moves, [19158, 3]. Raises: KeyError for a target that does not exist."""
        moved, kernels = np.zeros((NUM_VERTICES, 3)), compiled.kernels()
        for name, weight in weights.items():
            index = _index(self)[name]
            if kernels is not None:
                kernels.shift(self.vertices[index], self.deltas[index], float(weight), moved)
            else:
                moved[self.vertices[index]] += weight * self.deltas[index]
        return moved


@functools.cache
def _index_of(names: tuple[str, ...]) -> dict[str, int]:
    return {name: index for index, name in enumerate(names)}


def _index(targets: Targets) -> dict[str, int]:
    return _index_of(targets.names)


def _read_targets(name: str) -> Targets:
    raw = load(name)
    deltas = np.stack([raw[f"milli_dm_{axis}"] for axis in "xyz"], -1) / 1000.0
    bounds = list(itertools.pairwise(raw["offsets"]))
    return Targets(
        tuple(map(str, raw["names"])),
        tuple(np.cumsum(raw["index_delta"][a:b], dtype=np.int64) for a, b in bounds),
        tuple(deltas[a:b] for a, b in bounds),
    )


@functools.cache
def body_targets() -> Targets:
    return _read_targets("targets")


@functools.cache
def expression_targets() -> Targets:
    return _read_targets("expressions")


@dataclasses.dataclass(frozen=True)
class Rig:
    """Bones, and which vertices follow them."""

    bones: tuple[str, ...]
    parents: np.ndarray  # int [53], -1 for the root; parents come before children
    heads: np.ndarray  # int [n], bone by bone, the vertices whose mean is its joint
    first_heads: np.ndarray  # int [53], where each bone's begin
    weights: np.ndarray  # float32 [19158, 53], rows sum to 1

    def joints(self, vertices: np.ndarray) -> np.ndarray:
        """The joints [53, 3] of a morphed mesh [19158, 3]."""
        counts = np.diff(self.first_heads, append=len(self.heads))
        return np.add.reduceat(vertices[self.heads], self.first_heads) / counts[:, None]

    def bone(self, name: str) -> int:
        return self.bones.index(name)


@functools.cache
def rig() -> Rig:
    raw = load("rig_game_engine")
    bones, bounds = tuple(map(str, raw["bones"])), raw["head_offsets"]
    weights = np.zeros((NUM_VERTICES, len(bones)), np.float32)
    for column in range(raw["weight_bone"].shape[1]):
        np.add.at(weights, (np.arange(NUM_VERTICES), raw["weight_bone"][:, column]), raw["weight_1e4"][:, column] / 1e4)
    heads = raw["head_vertices"].astype(np.int64), np.asarray(bounds[:-1], np.int64)
    return Rig(bones, raw["parents"].astype(int), *heads, weights)
