"""Frame by frame, as they come, a person who moves is dressed as in a clip of them."""

import types

import jax
import numpy as np
import pytest

from vton_jax.core import segmentation
from vton_jax.core.types import Dressed, Garment, Layout, Pose, User
from vton_jax.systems.lab126 import target_layouts
from vton_jax.systems.lab126.system import Lab126
from vton_jax.systems.lab126.target_layouts import TargetLayouts

SIZE, COUNT = (32, 24), 6
ATR = segmentation.ID


class Layouts(TargetLayouts):
    """Without networks: the search halves the way to a goal once an iteration."""

    steps = None, types.SimpleNamespace(first_iterations=3, next_iterations=1)

    def __init__(self, layout):
        self.asked, self._layout = [], layout

    def refined(self, coarse, user, garment, poses, batch=4):
        return np.where(coarse == segmentation.UNKNOWN, garment.garment_type + 1, coarse).astype(np.uint8)

    def coarse(self, user, garment, poses, batch=4, *, beside=None):
        labels = np.array(poses.segmentation)
        labels[:, 20:24] = segmentation.UNKNOWN
        labels[:, :2] = 0 if beside is None else np.asarray(beside.segmentation)[:2]
        return labels, {"start": np.asarray(user.segmentation).reshape(labels.shape)}

    def backward(self, coarse, poses, z_user, start=None, max_iterations=None):
        goal, z = 2 * poses.latent + z_user, np.zeros_like(poses.latent) if start is None else start
        number = max_iterations or self.steps[1].first_iterations
        self.asked.append((number, start is None))
        for _ in range(number):
            z = (z + goal) / 2
        return z, np.zeros((number, 1))

    def probabilities(self, z):
        return np.asarray(jax.nn.softmax(z[0, :18] * np.ones((1, *SIZE, 1)), -1))


class Painter:
    def paint(self, users, garments, targets):
        for index, user in enumerate(users):
            labels = targets.segmentation[index]
            image = (labels[..., None] + 100 * user.image + garments[-1].image).astype(np.float32)
            yield Dressed(image, labels, *[None] * 5)

    def paint_all(self, batches, garments):
        for users, targets in batches:
            yield from self.paint(users, garments, targets)


def frames(seed=0):
    generator = np.random.default_rng(seed)
    labels = np.zeros((COUNT, *SIZE), np.uint8)
    for index in range(COUNT):
        labels[index, 4:28, 6 + index : 14 + index] = ATR["dress"]
    points = generator.uniform(4, 20, (COUNT, 18, 2)).astype(np.float32)
    poses = Pose(Layout(labels, points, np.ones((COUNT, 18), bool)), generator.normal(size=(COUNT, 20)))
    images = generator.random((COUNT, *SIZE, 3))
    users = [User(images[i], jax.tree.map(lambda a, i=i: a[i], poses.layout), poses.latent[i], None)
             for i in range(COUNT)]  # fmt: skip
    return users, poses


def garment(kind, label):
    layout = Layout(np.full(SIZE, label, np.uint8), None, None)
    return Garment(
        np.full((*SIZE, 3), label, np.float32), layout, np.int32(segmentation.GARMENT_TYPES.index(kind)), None
    )


@pytest.mark.parametrize(("layout", "count"), [("backward", 1), ("backward", 2), ("refined", 1), ("refined", 2)])
def test_frames_as_they_come_are_those_of_the_clip(layout, count):
    users, poses = frames()
    upper, lower = garment("upper", ATR["upper-clothes"]), garment("lower", ATR["pants"])
    worn = (lower, upper)[-count:]
    system = object.__new__(Lab126)
    system.layouts, system.painter = Layouts(layout), Painter()
    clip = list(system.dress(iter(users), worn, poses))
    asked, system.layouts.asked = system.layouts.asked, []
    taken = []
    fed = ((user, jax.tree.map(lambda a, i=i: a[i : i + 1], poses)) for i, user in enumerate(users))
    live = system.dress_live(worn, (taken.append(0) or one for one in fed))
    for index, expected in enumerate(clip):
        result = next(live)
        assert len(taken) == index + 1  # none is waited for
        for name in ("coarse", "final"):
            np.testing.assert_array_equal(getattr(result.target, name), getattr(expected.target, name))
        np.testing.assert_array_equal(result.target.steps["start"], expected.target.steps["start"])
        np.testing.assert_allclose(result.image, expected.image, atol=1e-5)
    searched = [(3, True)] + [(1, False)] * ((COUNT - 1) // target_layouts.SEARCHED)
    # Of two garments at once LayoutRefinementCNN knows nothing.
    assert system.layouts.asked == asked == ([] if (layout, count) == ("refined", 1) else searched)
