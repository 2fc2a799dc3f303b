"""ClothFlow as a system: its stages, the variants of the ablation, and what becomes of a user, with tiny networks."""

import argparse
import re
import sys
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_clothflow
import tiny_lpips
from tiny_clothflow import SIZE

from vton_jax import systems
from vton_jax.core import segmentation
from vton_jax.core.batching import spread
from vton_jax.core.errors import SeveralGarments, UserError
from vton_jax.core.types import Garment, Layout, Pose, User
from vton_jax.models import lpips, weights
from vton_jax.systems import garments as garments_lib
from vton_jax.systems.clothflow import stages, system, variants
from vton_jax.systems.clothflow.painter import Painter
from vton_jax.systems.protocol import TryOnSystem
from vton_jax.tasks import TASKS
from vton_jax.warping import thin_plate_spline

UPPER, PANTS, FACE = (segmentation.ID[name] for name in ("upper-clothes", "pants", "face"))
KIND = {name: np.int32(index) for index, name in enumerate(segmentation.GARMENT_TYPES)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_clothflow.write(tmp_path_factory.mktemp("weights"), "full", "no_layout")


def person(shift=0):
    """Somebody in a top and trousers, and the joints that they stand on."""
    labels = np.zeros(SIZE, np.uint8)
    labels[6:14, 28:36] = FACE
    labels[14:34, 22:42], labels[34:60, 24:40] = UPPER, PANTS
    points = np.zeros((18, 2), np.float32)
    places = [(32, 10), (32, 15), (24, 16), (22, 25), (22, 33), (40, 16), (42, 25), (42, 33), (27, 34), (27, 46),
              (27, 58), (37, 34), (37, 46), (37, 58), (30, 9), (34, 9), (28, 10), (36, 10)]  # fmt: skip
    points[:] = places
    return Layout(np.roll(labels, shift, 1), points + np.float32([shift, 0]), np.ones(18, bool))


def picture(seed=0):
    return np.random.default_rng(seed).random((*SIZE, 3), np.float32)


@pytest.fixture
def user():
    return User(picture(), person(), np.zeros(4, np.float32), np.ones(SIZE, bool))


def garment(kind="upper", flat=False):
    layout = person()
    worn = segmentation.region(layout.segmentation, segmentation.GARMENT_LABELS[kind])
    return Garment(np.where(worn[..., None], picture(1), np.float32(1)), layout, KIND[kind], np.bool_(flat))


def poses(count=2):
    layouts = [person(shift) for shift in range(count)]
    names = ("segmentation", "keypoints", "visible")
    stacked = (np.stack([getattr(one, name) for one in layouts]) for name in names)
    return Pose(Layout(*stacked), np.zeros((count, 4), np.float32))


# --- variants --------------------------------------------------------------------------------------------------------


def test_stages_that_a_variant_does_not_change_are_shared():
    names = {v: [variants.weights_name(s, v) for s in variants.STAGES] for v in variants.VARIANTS}
    assert names["full"] == ["clothflow_layout", "clothflow_flow", "clothflow_render"]
    assert names["no_layout"] == [None, "clothflow_flow_no_layout", "clothflow_render_no_layout"]
    assert names["no_flow"] == ["clothflow_layout", None, "clothflow_render_no_flow"]
    assert names["tps"] == ["clothflow_layout", None, "clothflow_render_tps"]
    assert names["no_cascade"] == ["clothflow_layout", "clothflow_flow_no_cascade", "clothflow_render_no_cascade"]
    assert names["no_style"] == ["clothflow_layout", "clothflow_flow", "clothflow_render_no_style"]
    assert names["dense"] == [f"clothflow_{stage}_dense" for stage in variants.STAGES]


def test_without_weights_of_its_own_stage_3_is_the_whole_systems(tmp_path):
    write = lambda *names: [(tmp_path / f"{name}.safetensors").write_bytes(b"") for name in names]  # noqa: E731
    write(*(f"clothflow_{stage}" for stage in variants.STAGES))
    assert variants.render_weights("tps", tmp_path) == tmp_path / "clothflow_render.safetensors"
    trained = lambda: [name for name in variants.VARIANTS if variants.is_trained(name, tmp_path)]  # noqa: E731
    assert trained() == ["full", "no_flow", "tps", "no_style"]
    write("clothflow_flow_no_layout", "clothflow_render_tps", "clothflow_flow_no_cascade")
    assert variants.render_weights("tps", tmp_path) == tmp_path / "clothflow_render_tps.safetensors"
    assert trained() == ["full", "no_flow", "tps", "no_cascade", "no_style"]  # no_layout's stage 3 has other inputs
    with pytest.raises(UserError, match=r"clothflow_render_no_layout.safetensors do not exist"):
        write("clothflow_flow_no_layout")
        weights.load(variants.render_weights("no_layout", tmp_path))
    with pytest.raises(UserError, match="variant half is none of full, no_layout"):
        Painter("half", tmp_path)


def graph(stage, variant, features=False, **fields):
    """The loss of a task as text."""
    task = tiny_clothflow.task(stage, variant, **fields)
    names, shape = ("input", "donor", "output"), jax.ShapeDtypeStruct
    batch = {f"{n}_image": shape((2, *SIZE, 3), jnp.uint8) for n in names}
    batch |= {f"{n}_segmentation": shape((2, *SIZE), jnp.uint8) for n in names}
    batch |= {f"{n}_keypoints": shape((2, 18, 2), jnp.float32) for n in names}
    batch |= {f"{n}_visible": shape((2, 18), bool) for n in names}
    batch |= {"garment_type": shape((2,), jnp.int32), "donor_flat": shape((2,), bool)}
    batch |= {"flow": shape((2, *SIZE, 2), jnp.float32), "flow_visible": shape((2, *SIZE), bool)}
    frozen = {}
    if stage == "render" and variants.VARIANTS[variant].has_network:
        task._flow = tiny_clothflow.task("flow", variant).clothflow_flow
        frozen["clothflow_flow"] = tiny_clothflow.shapes("flow", variant)
    if features:
        task._distance = lpips.FeatureNetwork(lpips.VGG16, (3,) * 13)
        frozen["perceptual"] = tiny_lpips.params(lpips.VGG16)
    params = {f"clothflow_{stage}": tiny_clothflow.shapes(stage, variant)}
    loss = lambda *given: task._loss(*given, jax.random.PRNGKey(0))[0]  # noqa: E731
    text = str(jax.make_jaxpr(loss)(params, frozen, batch))
    return re.sub("0x[0-9a-f]+", "", text)  # addresses are no part of it


def test_every_variant_changes_the_graph():
    assert graph("layout", "full") != graph("layout", "dense")
    flows = [graph("flow", name) for name in ("full", "no_layout", "no_cascade", "dense")]
    assert len(set(flows)) == 4  # the other variants have no network there, or the whole system's
    rendered = [graph("render", name) for name in ("full", "no_layout", "no_flow", "tps", "dense")]
    assert len(set(rendered)) == 5


def test_style_and_squares_change_the_graph():
    assert graph("render", "full", True) != graph("render", "no_style", True)
    assert graph("render", "no_flow", True) != graph("render", "no_flow", True, crop=32)


def test_mistakes_are_sentences():
    for arguments, said in (
        ({"variant": "half"}, "--variant is one of full"),
        ({"variant": "no_flow"}, "no network of --model=clothflow_flow"),
        ({"size": (96, 96)}, "multiples of 64"),
    ):
        with pytest.raises(UserError, match=said):
            TASKS["clothflow_flow"](**arguments)
    with pytest.raises(UserError, match="--crop=99"):
        TASKS["clothflow_render"](size=SIZE, crop=99)


# --- stages ----------------------------------------------------------------------------------------------------------


def test_the_rest_of_a_source_is_without_what_the_garment_replaces(user):
    labels = user.layout.segmentation
    rest = jax.jit(stages.rest_of)(user.image[None], labels[None], KIND["lower"][None])
    image, kept = jax.device_get(rest)
    gone = labels == PANTS
    assert (image[0][gone] == stages.GREY).all() and (kept[0][gone] == 255).all()
    np.testing.assert_array_equal(image[0][~gone], user.image[~gone])
    np.testing.assert_array_equal(kept[0][~gone], labels[~gone])


def test_clothing_moves_along_the_flow():
    """A flow of half a picture's pixels, one to the right, reads two to the right at full size."""
    one = jax.tree.map(lambda a: np.asarray(a)[None], garment())
    out = jax.device_get(jax.jit(stages.moved)(one, np.broadcast_to(np.float32([1, 0]), (1, 32, 32, 2))))
    np.testing.assert_allclose(out["flow"], np.broadcast_to([2, 0], (1, *SIZE, 2)))
    np.testing.assert_allclose(out["warped"][0, :, :-2], one.image[0, :, 2:], atol=1e-6)
    worn = one.layout.segmentation[0] == UPPER
    np.testing.assert_array_equal(out["mask"][0, :, :-2, 0] > 0.5, worn[:, 2:])


def test_a_spline_stands_in_for_the_network():
    one, goal = (jax.tree.map(lambda a: np.asarray(a)[None], x) for x in (garment(), person(6)))
    flow = np.asarray(jax.jit(lambda g, t: stages.clothing_flow("spline", None, None, g, t))(one, goal))[0]
    masks = [np.asarray(layout.segmentation[0] == UPPER)[::2, ::2] for layout in (one.layout, goal)]
    np.testing.assert_allclose(flow, thin_plate_spline.flow(*masks), atol=1e-5)
    np.testing.assert_allclose(flow[masks[1]].mean(0), [-3, 0], atol=0.3)
    assert not np.asarray(stages.clothing_flow("none", None, None, one, goal)).any()


def test_the_dense_pose_follows_the_joints():
    find = jax.jit(stages.dense_pose)
    near, far = (np.asarray(find(jax.tree.map(lambda a: a[None], person(shift)))) for shift in (0, 8))
    assert near.shape == (1, 16, 16, stages.NUM_DENSE) and np.isfinite(near).all()
    np.testing.assert_allclose(near[:, :, 2:12], far[:, :, 4:14], atol=1e-4)  # two of its pixels are eight
    maps = jax.eval_shape(lambda: stages.pose_maps(jax.tree.map(lambda a: a[None], person()), True))
    assert maps.shape[-1] == 18 + stages.NUM_DENSE


# --- the system ------------------------------------------------------------------------------------------------------


class Reader:
    size = SIZE


@pytest.fixture
def made(monkeypatch, folder):
    monkeypatch.setattr(system, "Reader", Reader)
    return lambda variant="full": system.ClothFlow(variant, folder=folder)


def test_it_dresses_a_user_in_every_pose(made, user):
    one = made()
    assert isinstance(one, TryOnSystem)
    results = list(one.dress(user, [garment()], poses(5)))  # more than one program takes
    assert len(results) == 5
    for result in results:
        assert result.image.shape == (*SIZE, 3) and np.isfinite(result.image).all()
        assert result.image.min() >= 0 and result.image.max() <= 1
        assert result.target.final.shape == SIZE and result.dressed.flow.shape == (*SIZE, 2)
    alone = list(one.dress(user, [garment()], jax.tree.map(lambda a: a[4:], poses(5))))
    np.testing.assert_allclose(alone[0].image, results[4].image, atol=1e-4)
    with pytest.raises(SeveralGarments):
        next(one.dress(user, [garment()] * 2, poses()))


def test_somebody_who_moves_is_dressed_as_every_frame_shows_them(made, user):
    """Two photos, each with a pose of its own: each result is what its photo alone gives."""
    one, other = made(), user.replace(image=picture(7), layout=person(1))
    results = list(one.dress(iter([user, other]), [garment()], poses(2)))
    for index, who in enumerate((user, other)):
        pose = jax.tree.map(lambda a, i=index: a[i : i + 1], poses(2))
        (alone,) = one.dress(who, [garment()], pose)
        np.testing.assert_allclose(results[index].image, alone.image, atol=1e-4)
        np.testing.assert_allclose(results[index].dressed.moved_weight, alone.dressed.moved_weight, atol=1e-4)
    for result, who in zip(results, (user, other), strict=True):
        own = result.dressed.photo_weight > 0.99
        assert own.sum() > 500  # the backdrop at least
        np.testing.assert_allclose(result.image[own], who.image[own], atol=0.02)


def test_without_a_garment_people_keep_their_clothes(made, user):
    """Pose-guided generation: all that is worn is the clothing, either half moved by itself."""
    one, worn = made(), garments_lib.own_garment(user)
    pieces = garments_lib.halves(worn)
    assert [segmentation.GARMENT_TYPES[int(piece.garment_type)] for piece in pieces] == ["upper", "lower"]
    given = [next(iter(one.dress(user, garments, poses(1)))).image for garments in ([], [worn])]
    np.testing.assert_array_equal(*given)
    goal = poses(1).layout
    whole = one.painter.clothing(worn, goal)
    labels = goal.segmentation[0]
    for piece, label in zip(pieces, (UPPER, PANTS), strict=True):
        own = one.painter.re_mapped(spread(piece, 1), goal)
        np.testing.assert_array_equal(whole["warped"][0][labels == label], own["warped"][0][labels == label])
    assert garments_lib.halves(pieces[0]) == [pieces[0]]


def test_what_the_user_still_wears_moves_by_a_flow_of_its_own(made, user):
    own = garments_lib.other_garment(user, garment("upper"))
    assert segmentation.GARMENT_TYPES[int(own.garment_type)] == "lower"
    np.testing.assert_array_equal((own.image != 1).any(-1), user.layout.segmentation == PANTS)
    assert garments_lib.other_garment(user, garment("outfit")) is None
    # A scarf goes along with the top below it.
    labels = user.layout.segmentation.copy()
    labels[labels == UPPER] = np.where(np.arange((labels == UPPER).sum()) < 20, segmentation.ID["scarf"], UPPER)
    top = garments_lib.other_garment(user.replace(layout=user.layout.replace(segmentation=labels)), garment("lower"))
    np.testing.assert_array_equal((top.image != 1).any(-1), user.layout.segmentation == UPPER)
    np.testing.assert_array_equal(top.layout.segmentation, user.layout.segmentation)
    painter = made("tps").painter  # whose flow is known: here it hardly leads away
    dressed = painter.dress(user, garment(), poses(1).layout)
    kept = painter.keep_other_garment(dressed, user, garment(), poses(1).layout)
    worn = poses(1).layout.segmentation[0] == PANTS
    assert kept.moved_weight[0][worn].mean() > 0.8 and not kept.moved_weight[0][~worn].any()
    inner = cv2.erode(worn.astype(np.uint8), np.ones((5, 5))) > 0
    np.testing.assert_allclose(kept.photo_flow[0][inner], 0, atol=1)
    none = made("no_flow").painter  # whose stage 3 is the whole system's
    assert none.keep_other_garment(dressed, user, garment(), poses(1).layout) is dressed


def test_without_layout_the_pose_images_own_stands_in(made, user):
    users, worn = spread((user, garment()), 2)
    np.testing.assert_array_equal(
        made("no_layout").painter.target_labels(users, worn, poses().layout), poses().layout.segmentation
    )


def test_the_registry_makes_it(monkeypatch, folder):
    monkeypatch.setattr(system, "Reader", Reader)
    made = systems.create(systems.SystemOptions(system="clothflow", weights=str(folder)))
    assert isinstance(made, system.ClothFlow) and made.painter.name == "full"
    monkeypatch.setattr(Reader, "size", (128, 96))
    with pytest.raises(UserError, match="weights are of 64x64, and pictures are read at 128x96"):
        system.ClothFlow(folder=folder)


def test_the_ablation_trains_every_stage_once_and_in_order():
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from benchmarks import clothflow_ablation

    found = clothflow_ablation.trainings(list(variants.VARIANTS))
    assert len({file for file, _, _ in found}) == len(found) == 2 + 4 + 7
    stages = [stage for _, stage, _ in found]
    assert stages == sorted(stages, key=variants.STAGES.index)
    options = argparse.Namespace(output="o", dataset="d", scale=0.5, perceptual="none", crop=64, more=[])
    flags = clothflow_ablation.command("clothflow_render_no_style", "render", "no_style", options)
    assert "--flow_weights=o/clothflow_flow.safetensors" in flags and "--variant=no_style" in flags
    # As many steps for every variant, by a clock for none.
    assert f"--num_steps={clothflow_ablation.STEPS['render'] // 2}" in flags and "--max_seconds=0" in flags
