"""Bodies and bones: what the assets hold, what identities change, and that limbs go where poses say."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vton_jax.catalogue import assets, bodies, poses, skeleton

ROOT = Path(__file__).resolve().parents[2]
SEEDS = range(6)


def volume(vertices: np.ndarray) -> float:
    """Enclosed by the body's surface, in litres: the sum of signed tetrahedra."""
    a, b, c = (vertices[assets.base_mesh().part("body")[:, k]] for k in range(3))
    return float(np.einsum("ti,ti->", a, np.cross(b, c)) / 6)


def test_the_assets_are_whole():
    mesh, rig, targets = assets.base_mesh(), assets.rig(), assets.body_targets()
    assert mesh.vertices.shape == (assets.NUM_VERTICES, 3) and len(mesh.part("body")) == 26_756
    assert mesh.part("body").max() < assets.NUM_BODY
    assert len(mesh.triangles) == len(mesh.triangles_uv) == len(mesh.group) and mesh.triangles_uv.max() < len(mesh.uv)
    # A vertex of the mesh has few texture coordinates: corners of both lists belong together.
    pairs = np.unique(np.stack([mesh.triangles.ravel(), mesh.triangles_uv.ravel()], 1), axis=0)
    assert len(pairs) < 1.001 * len(np.unique(mesh.triangles_uv))
    np.testing.assert_allclose(rig.weights.sum(1), 1, atol=1e-3)
    assert (rig.parents < np.arange(len(rig.bones))).all() and rig.parents[0] == -1
    assert len(targets.names) == len(set(targets.names)) == 215
    # Average people are the base itself: their targets are empty.
    moved = [vertices for vertices in targets.vertices if len(vertices)]
    assert len(moved) == 211
    assert all(v.min() >= 0 and v.max() < assets.NUM_VERTICES and len(np.unique(v)) == len(v) for v in moved)


def test_a_quad_that_repeats_its_last_corner_is_one_triangle():
    triangles, quad = assets.triangles_of(np.array([[0, 1, 2, 3], [4, 5, 6, 6]]))
    assert triangles.tolist() == [[0, 1, 2], [0, 2, 3], [4, 5, 6]] and quad.tolist() == [0, 0, 1]


def test_coefficients_are_products_of_the_words_weights():
    who = bodies.Identity(gender=0.25, age=0.75, weight=0.8, muscle=0.5, height=0.3, origins=(0, 3, 1))
    found = bodies.coefficients(who)
    assert found["macrodetails/asian-male-old"] == pytest.approx(0.25 * 0.5 * 0.75)
    assert found["macrodetails/universal-female-young-averagemuscle-maxweight"] == pytest.approx(0.75 * 0.5 * 0.6)
    assert found["macrodetails/height/female-old-averagemuscle-averageweight-minheight"] == pytest.approx(
        0.75 * 0.5 * 0.4 * 0.4
    )
    universal = [value for name, value in found.items() if "universal" in name]
    assert sum(universal) == pytest.approx(1) and not set(found) - set(assets.body_targets().names)


def test_numbers_change_what_they_name():
    def body(**numbers):
        return bodies.shape(bodies.Identity(**numbers))

    def tall(vertices):
        return np.ptp(vertices[: assets.NUM_BODY, 1])

    assert tall(body(height=0.65)) > 1.05 * tall(body(height=0.35))
    assert volume(body(weight=0.9)) > 1.05 * volume(body()) > 1.1 * volume(body(weight=0.2))
    assert 40 < volume(body()) < 110
    bodies_by_cup = (body(gender=0.0, cup=cup)[: assets.NUM_BODY] for cup in (0.0, 1.0))
    flat, full = (one[(one[:, 1] > 2) & (one[:, 1] < 5), 2].max() for one in bodies_by_cup)
    assert full > flat + 0.3
    rig = assets.rig()
    man, woman = (rig.joints(body(gender=gender)) for gender in (1.0, 0.0))
    shoulders = [rig.bone(f"upperarm_{side}") for side in skeleton.SIDES]
    assert np.ptp(man[shoulders, 0]) > np.ptp(woman[shoulders, 0])
    with pytest.raises(KeyError):
        body(local=(("nose/nose-of-pinocchio", 1.0),))


def test_expressions_move_the_face_alone():
    neutral, smile = (bodies.shape(bodies.Identity(), e) for e in (None, {assets.expression_targets().names[0]: 1.0}))
    moved = np.linalg.norm(smile - neutral, axis=1) > 1e-6
    assert moved.any() and neutral[moved, 1].min() > 5.5


def test_people_are_adults_of_all_kinds():
    people = [bodies.sample_identity(np.random.default_rng(seed)) for seed in range(80)]
    assert all(0.5 <= who.age <= 0.85 and 0.3 <= who.height <= 0.7 for who in people)
    assert 0.3 < np.mean([who.gender > 0.5 for who in people]) < 0.6
    assert set(np.argmax([who.origins for who in people], 1)) == {0, 1, 2}
    assert np.ptp([who.weight for who in people]) > 0.4
    for name in ("ears/{}-ear-scale-incr", "eyes/{}-eye-trans-in"):  # faces are symmetrical
        assert all(len({dict(who.local).get(name.format(side)) for side in "lr"}) == 1 for who in people)
    assert bodies.sample_identity(np.random.default_rng(3)) == people[3]


def test_a_pose_without_turns_is_the_body_at_rest():
    vertices = bodies.shape(bodies.Identity())
    rig = assets.rig()
    motion = skeleton.bone_matrices(rig.joints(vertices), skeleton.Pose({}, {}))
    np.testing.assert_allclose(skeleton.skin(vertices, rig.weights, motion), vertices, atol=2e-2)  # weights sum to .999


@pytest.mark.parametrize("seed", SEEDS)
def test_limbs_point_where_the_pose_says_and_keep_their_length(seed):
    generator = np.random.default_rng(seed)
    vertices, pose = bodies.shape(bodies.sample_identity(generator)), poses.sample_pose(generator)
    rig = assets.rig()
    joints = rig.joints(vertices)
    motion = skeleton.bone_matrices(joints, pose)
    posed = skeleton.posed_joints(joints, motion)
    root = skeleton.rotation((0, 1, 0), pose.yaw)
    following = {"upperarm": "lowerarm", "lowerarm": "hand", "thigh": "calf", "calf": "foot"}
    for side in skeleton.SIDES:
        for bone, to in following.items():
            a, b = rig.bone(f"{bone}_{side}"), rig.bone(f"{to}_{side}")
            limb, wanted = posed[b] - posed[a], root @ np.array(pose.aims[f"{bone}_{side}"].direction)
            assert limb @ wanted / np.linalg.norm(limb) / np.linalg.norm(wanted) > 1 - 1e-9
            assert np.linalg.norm(limb) == pytest.approx(np.linalg.norm(joints[b] - joints[a]))
    for bone in motion:
        np.testing.assert_allclose(bone[:, :3] @ bone[:, :3].T, np.eye(3), atol=1e-9)
        assert np.linalg.det(bone[:, :3]) > 0


def posed(pose: skeleton.Pose) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and joints of the neutral body in a pose."""
    vertices, rig = bodies.shape(bodies.Identity()), assets.rig()
    joints = rig.joints(vertices)
    motion = skeleton.bone_matrices(joints, pose)
    return skeleton.skin(vertices, rig.weights, motion), skeleton.posed_joints(joints, motion)


def test_yaw_turns_to_the_pictures_right_and_a_mirrored_walk_is_mirrored():
    rig = assets.rig()
    (_, ahead), (_, right) = (posed(poses.stand().turned(yaw)) for yaw in (0.0, np.pi / 2))
    ahead, right = ahead - ahead[0], right - right[0]
    np.testing.assert_allclose(right, np.stack([ahead[:, 2], ahead[:, 1], -ahead[:, 0]], 1), atol=1e-6)
    toes = rig.bone("ball_l")
    assert ahead[toes, 2] > ahead[rig.bone("foot_l"), 2] and right[toes, 0] > right[rig.bone("foot_l"), 0]
    (_, left), (_, other) = (posed(poses.walk(phase)) for phase in (0.7, 0.7 + np.pi))
    for name in ("thigh", "calf", "foot", "upperarm", "hand"):
        one, two = left[rig.bone(f"{name}_l")], other[rig.bone(f"{name}_r")]
        np.testing.assert_allclose(one * [-1, 1, 1], two, atol=0.03)


def test_a_bone_that_does_not_exist_is_named():
    joints = assets.rig().joints(bodies.shape(bodies.Identity()))
    with pytest.raises(ValueError, match="no such bone in a pose: tail"):
        skeleton.bone_matrices(joints, skeleton.Pose({}, {"tail": np.eye(3)}))


def test_the_smallest_turn_turns_even_right_round():
    generator = np.random.default_rng(0)
    for _ in range(20):
        a, b = generator.normal(size=(2, 3))
        for target in (b, a, -a):
            turn = skeleton.smallest_turn(a, target)
            np.testing.assert_allclose(turn @ a / np.linalg.norm(a), target / np.linalg.norm(target), atol=1e-9)
            np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)


def test_same_seed_same_bytes_in_another_process(capsys):
    program = (
        "import hashlib; from vton_jax.catalogue import views; v = views.sample_view(4, (64, 48)); "
        "print(hashlib.sha256(v.raster.weights.tobytes() + v.segmentation.tobytes() + v.joints.tobytes()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    exec(program, {})
    digests = {done.stdout, capsys.readouterr().out}
    assert len(digests) == 1 and len(digests.pop()) == 65
