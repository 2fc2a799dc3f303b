"""The mannequin's truth: flows, keypoints, sides, counterfactuals; and the catalogue's bytes."""

import csv
import functools
import hashlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vton_jax.core import geometry, keypoints, segmentation
from vton_jax.core.errors import UserError
from vton_jax.mannequin import catalogue, motion, people, render, sampler
from vton_jax.media import photo_files, video_files

ROOT = Path(__file__).resolve().parents[2]
SIZE = (128, 96)
COUNT = 24


@functools.partial(jax.jit, static_argnums=1)
def _draw(parameters, culled):
    return jax.lax.map(lambda a: render.render(*a, size=SIZE, culled=culled), parameters)


def draw(*parameters, culled=True):
    """Frames [B] of stacked identities, outfits, poses and scenes."""
    # As NumPy arrays their types are never weak, which would compile everything anew.
    return _draw(jax.tree.map(np.asarray, parameters), culled)


flows = jax.jit(jax.vmap(functools.partial(render.flow_between, size=SIZE)))


@jax.jit
@jax.vmap
def sample(key):
    keys = jax.random.split(key, 6)
    near = motion.sample_pose(keys[3])
    pose = motion.sample_pose(keys[2])
    return (
        people.sample_identity(keys[0]), people.sample_outfit(keys[1]), pose,
        near.replace(yaw=pose.yaw + 0.8 * jnp.sin(near.yaw)), people.sample_scene(keys[4]),
        people.sample_outfit(keys[5]),
    )  # fmt: skip


@pytest.fixture(scope="module")
def population():
    return sample(jax.random.split(jax.random.PRNGKey(5), COUNT))


def repeated(tree, count=COUNT):
    return jax.tree.map(lambda a: jnp.repeat(jnp.asarray(a)[None], count, 0), tree)


def plain(outfit):
    none = jnp.zeros_like(outfit.upper.pattern)
    return outfit.replace(upper=outfit.upper.replace(pattern=none), lower=outfit.lower.replace(pattern=none))


@pytest.fixture(scope="module")
def frames(population):
    """Two poses of each person under even light, in plain cloth: colours are the cloth's own."""
    identity, outfit, pose, near, _, _ = population
    scene = repeated(people.even_scene())
    return draw(identity, plain(outfit), pose, scene), draw(identity, plain(outfit), near, scene)


def test_culled_and_not_culled_are_the_same_picture(population):
    identity, outfit, pose, _, scene, _ = (jax.tree.map(lambda a: a[:6], part) for part in population)
    one, two = draw(identity, outfit, pose, scene), draw(identity, outfit, pose, scene, culled=False)
    # Where two surfaces coincide, rounding decides which a pixel shows: a few at most, as near, and of one label.
    np.testing.assert_allclose(one.surface.depth, two.surface.depth, atol=1e-5)
    same = np.asarray(one.surface.primitive) == np.asarray(two.surface.primitive)
    assert (~same).sum() <= 6
    np.testing.assert_allclose(one.image[same], two.image[same], atol=1e-3)  # a quarter of a step of eight bits
    np.testing.assert_array_equal(one.segmentation, two.segmentation)
    np.testing.assert_array_equal(one.visible, two.visible)


def assert_warps(source, target, least_fraction):
    """Warping the source's cloth gives the target's, away from edges in either picture."""
    flow, visible = map(np.asarray, flows(source.surface, target.surface))
    points = np.asarray(geometry.grid(SIZE)) + flow
    # Bilinear samples mix what lies beside an edge, in one label too (a sleeve before the body): keep clear.
    edges = segmentation.boundaries(source.surface.primitive)
    edges = np.stack([cv2.dilate(e.astype(np.uint8), np.ones((3, 3))) for e in np.asarray(edges)])
    near = np.asarray(jax.vmap(lambda e, p: geometry.warp_nearest(e, p, 1))(edges, points)) > 0
    cloth = segmentation.region(np.asarray(target.segmentation), segmentation.GARMENTS)
    inner = np.stack([cv2.erode(c.astype(np.uint8), np.ones((3, 3))) for c in cloth]) > 0
    mask = visible & inner & ~near
    error = np.abs(np.asarray(geometry.warp(source.image, flow)) - np.asarray(target.image)).max(-1)
    unmoved = np.abs(np.asarray(source.image) - np.asarray(target.image)).max(-1)
    assert mask.sum() > least_fraction * cloth.sum()
    assert error[mask].mean() < 0.006 and np.quantile(error[mask], 0.99) < 0.04
    assert unmoved[mask].mean() > 5 * error[mask].mean()  # the flow is what makes them equal
    moved = np.linalg.norm(flow, axis=-1)[visible]
    assert np.quantile(moved, 0.9) > 2
    assert (flow[~visible] == 0).all()
    assert (np.asarray(target.segmentation)[visible] > 0).all()


def test_warping_by_the_flow_shows_the_other_frame(frames):
    assert_warps(*frames, least_fraction=0.25)
    assert_warps(*frames[::-1], least_fraction=0.25)


def test_warping_the_flat_garment_shows_the_worn_one(population, frames):
    identity, outfit, *_ = population
    scene, pose = repeated(people.even_scene()), repeated(motion.flat_pose())
    lower = (jnp.arange(COUNT) % 2 == 1) & (outfit.dress < 0.5)
    flat = jax.jit(lambda *a: jax.lax.map(lambda b: render.render_flat(*b[:4], lower=b[4], size=SIZE), a))(
        identity, plain(outfit), pose, scene, lower
    )
    assert_warps(flat.frame, frames[1], least_fraction=0.08)
    labels = np.asarray(flat.frame.segmentation)
    kinds = np.where(np.asarray(lower), 5, 4) * (np.asarray(outfit.dress) < 0.5)
    for i in range(COUNT):
        shown = set(np.unique(labels[i])) - {0}
        assert shown <= set(segmentation.GARMENTS) and len(shown) == 1
        if kinds[i] == 4:
            assert shown == {segmentation.ID["upper-clothes"]}
        marks = np.asarray(flat.landmarks[i])[np.asarray(flat.present[i])]
        # A lower garment has waist and hem alone; a sleeveless one has no cuffs.
        expected = 4 if lower[i] else 12 if outfit.upper.sleeve[i] > 0.02 else 8
        assert ((marks > 0) & (marks < np.array(SIZE[::-1]))).all() and len(marks) == expected


def test_the_flow_of_a_frame_to_itself_is_zero(frames):
    flow, visible = flows(frames[0].surface, frames[0].surface)
    np.testing.assert_allclose(flow, 0, atol=1e-3)
    shown = np.asarray(frames[0].segmentation) > 0
    assert (np.asarray(visible) == shown).mean() > 0.999


LIMBS = {
    "shoulder": "arm upper-clothes dress face hair", "elbow": "arm upper-clothes dress", "ankle": "shoe leg pants",
    "wrist": "arm upper-clothes dress pants skirt", "hip": "pants skirt dress upper-clothes arm",
    "knee": "leg pants skirt dress", "nose": "face", "neck": "face upper-clothes dress hair", "eye": "face hair",
    "ear": "hair face",
}  # fmt: skip


def test_keypoints_lie_on_their_limbs(frames):
    counts, right = np.zeros(keypoints.NUM_JOINTS), np.zeros(keypoints.NUM_JOINTS)
    for frame in frames:
        for labels, points, visible in zip(
            *map(np.asarray, (frame.segmentation, frame.keypoints, frame.visible)), strict=True
        ):
            assert (points[~visible] == 0).all()
            for joint in np.flatnonzero(visible):
                x, y = np.round(points[joint]).astype(int)
                side, _, part = keypoints.JOINTS[joint].rpartition("-")
                label = segmentation.LABELS[labels[y, x]]
                assert label != "background"
                counts[joint] += 1
                # A left joint lies on no right limb.
                right[joint] += label.split("-")[-1] in LIMBS[part].replace("upper-clothes", "clothes").split() and (
                    not side or not label.startswith(("left", "right")) or label.startswith(side)
                )
    assert (counts > 0.3 * COUNT).all()
    assert (right / counts > 0.9).all() and right.sum() / counts.sum() > 0.98
    for frame in frames:  # a limb that is seen is no background in its middle (but a hem may end before it)
        points, visible, labels = map(np.asarray, (frame.keypoints, frame.visible, frame.segmentation))
        for a, b in (("elbow", "wrist"), ("knee", "ankle"), ("shoulder", "elbow")):
            for side in ("left-", "right-"):
                a_, b_ = keypoints.ID[side + a], keypoints.ID[side + b]
                both = visible[:, a_] & visible[:, b_]
                x, y = np.round(0.5 * (points[:, a_] + points[:, b_])).astype(int).T
                assert (labels[np.arange(COUNT), y, x][both] > 0).mean() > 0.9


def test_left_is_the_persons_own(population):
    identity, outfit, _, _, scene, _ = population
    standing = repeated(motion.flat_pose(0.3))
    turned = standing.replace(yaw=jnp.where(jnp.arange(COUNT) % 2 == 0, 0.0, jnp.pi))
    frame = draw(identity, outfit, turned, scene)
    for i in range(COUNT):
        left_is_right = 1 if i % 2 == 0 else -1  # facing the camera, the left hand is on the right of the picture
        points = np.asarray(frame.keypoints[i])
        for part in ("wrist", "shoulder", "ankle"):
            left, right = points[keypoints.ID[f"left-{part}"]], points[keypoints.ID[f"right-{part}"]]
            assert left_is_right * (left[0] - right[0]) > 3
        labels = np.asarray(frame.segmentation[i])
        columns = [np.nonzero(labels == segmentation.ID[f"{side}-shoe"])[1].mean() for side in ("left", "right")]
        assert left_is_right * (columns[0] - columns[1]) > 3
        assert bool(frame.visible[i, keypoints.ID["nose"]]) == (i % 2 == 0)


def test_another_outfit_changes_nothing_but_clothes(population):
    identity, outfit, pose, _, scene, other = population
    # What a skirt covers is left out of the body, and a thicker sleeve may hide a joint: shoes stay, and what is seen.
    swapped = jax.vmap(people.exchange)(outfit, other, jnp.arange(COUNT) % 3)
    one, two = draw(identity, outfit, pose, scene), draw(identity, swapped, pose, scene)
    both = np.asarray(one.visible & two.visible)
    assert both.sum() > 0.9 * np.asarray(one.visible).sum()
    np.testing.assert_allclose(np.asarray(one.keypoints)[both], np.asarray(two.keypoints)[both], atol=1e-4)
    labels = [np.asarray(frame.segmentation) for frame in (one, two)]
    clothes = segmentation.region(labels[0], segmentation.GARMENTS) | segmentation.region(
        labels[1], segmentation.GARMENTS
    )
    # A leg may end at the hem, and shows beside it.
    away = np.stack([cv2.dilate(c.astype(np.uint8), np.ones((7, 7))) for c in clothes]) == 0
    legs = segmentation.region(labels[0], segmentation.LEGS) | segmentation.region(labels[1], segmentation.LEGS)
    away &= ~legs
    assert away.mean() > 0.5
    np.testing.assert_array_equal(labels[0][away], labels[1][away])
    np.testing.assert_allclose(np.asarray(one.image)[away], np.asarray(two.image)[away], atol=1e-5)
    changed = np.asarray(jnp.abs(one.image - two.image).max(-1))[clothes]
    assert (changed > 0.02).mean() > 0.3


# --- the catalogue ---------------------------------------------------------------------------------------------------

SETTINGS = catalogue.Settings(seed=3, seconds=1.5, frame_rate=4, size=(64, 48))


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("catalogue") / "new" / "shop"
    assert len(list(catalogue.write(folder, 2, 2, SETTINGS))) == 4
    return folder


def test_the_catalogue_holds_what_it_says(written):
    rows = list(csv.DictReader((written / "catalogue.csv").open()))
    assert [row["video"] for row in rows] == [f"s3-p000{p}_{k}.mp4" for p in range(2) for k in range(2)]
    for row in rows:
        frames, rate = video_files.read_video(written / "videos" / row["video"])
        truth = catalogue.load_truth(written / "truth" / (row["video"][:-4] + ".npz"))
        assert frames.shape == (6, 64, 48, 3) and rate == 4
        assert truth["segmentation"].shape == (6, 64, 48) and truth["segmentation"].dtype == np.uint8
        assert truth["keypoints"].shape == (6, 18, 2) and truth["visible"].dtype == bool
        assert (row["person"], row["outfit"]) == (truth["person"], truth["outfit_id"])
        worn = [truth[name] for name in ("upper", "lower", "dress") if truth[name]]
        assert row["garments"].split() == worn
        for name in worn:
            picture = photo_files.read_photo(written / "garments" / f"{name}.png")
            mask = photo_files.read_photo(written / "garments" / f"{name}_mask.png")[..., 0] > 0
            about = json.loads((written / "garments" / f"{name}.json").read_text())
            assert picture.shape == (64, 48, 3) and 0.05 < mask.mean() < 0.8 and (picture[~mask] == 255).all()
            assert "hem-left" in about["landmarks"] and ("neck-left" in about["landmarks"]) == (
                about["worn"] != "lower"
            )
        # The parameters are enough to draw it all again.
        images, labels, points, _ = catalogue.render_walk(
            *(truth[name] for name in ("identity", "outfit", "motion", "scene")), truth["times"],
            size=(64, 48), samples=1,
        )  # fmt: skip
        np.testing.assert_array_equal(labels, truth["segmentation"])
        np.testing.assert_allclose(points, truth["keypoints"], atol=1e-4)
        assert np.abs(np.asarray(images, float) - frames).mean() < 4  # what H.264 loses


def test_exact_flow_between_frames_of_a_video(written):
    truth = catalogue.load_truth(written / "truth" / "s3-p0000_0.npz")
    flow, visible = catalogue.exact_flow(truth, 1, 0)
    assert flow.shape == (64, 48, 2) and visible.mean() > 0.02
    moved = geometry.warp_nearest(jnp.asarray(truth["segmentation"][1]), geometry.grid((64, 48)) + flow, 0)
    np.testing.assert_array_equal(np.asarray(moved)[visible], truth["segmentation"][0][visible])


def test_same_seed_same_bytes_in_another_process_and_after_a_stop(written, tmp_path):
    command = [sys.executable, "-m", "vton_jax.mannequin", "--people=2", "--videos_per_person=2", "--seed=3"]
    command += ["--seconds=1.5", "--frame_rate=4", "--size=64x48", f"--output={tmp_path / 'again'}"]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert digests(tmp_path / "again") == digests(written)
    lost = tmp_path / "again" / "videos" / "s3-p0001_0.mp4"
    kept = tmp_path / "again" / "videos" / "s3-p0000_0.mp4"
    before = kept.stat().st_mtime_ns
    lost.unlink()
    list(catalogue.write(tmp_path / "again", 2, 2, SETTINGS))
    assert digests(tmp_path / "again") == digests(written)
    assert kept.stat().st_mtime_ns == before
    list(catalogue.write(tmp_path / "again", 1, 3, SETTINGS))  # more videos leave the first as they are
    more = digests(tmp_path / "again")
    assert more.pop("catalogue.csv") and more.keys() > digests(written).keys() - {"catalogue.csv"}
    assert all(more[name] == digest for name, digest in digests(written).items() if name != "catalogue.csv")


def test_consecutive_outfits_differ_in_one_piece_or_in_all():
    changes = {"upper": 0, "lower": 0, "dress": 0}
    for index in range(8):
        videos = catalogue.plan_person(SETTINGS, index, 4)
        assert len({video.person for video in videos}) == 1
        assert all(video.identity is videos[0].identity and video.scene is videos[0].scene for video in videos)
        for one, two in itertools.pairwise(videos):
            a, b = one.garments, two.garments
            assert a != b and bool(b["dress"]) != bool(b["upper"]) and bool(b["upper"]) == bool(b["lower"])
            if a["dress"] or b["dress"]:
                changes["dress"] += 1
            else:
                both = a["upper"] != b["upper"] and a["lower"] != b["lower"]
                changes["dress" if both else "upper" if a["upper"] != b["upper"] else "lower"] += 1
    assert min(changes.values()) >= 2
    assert catalogue.plan_person(SETTINGS, 0, 1)[0].garments != catalogue.plan_person(SETTINGS, 1, 1)[0].garments


def test_a_dress_lies_flat_and_an_outfit_is_worn():
    cases = jax.jit(jax.vmap(sampler._case))(jax.random.split(jax.random.key(0), 200))
    kinds = np.array(segmentation.GARMENT_TYPES)[cases["garment_type"]]
    whole, flat = np.isin(kinds, ("dress", "outfit")), np.asarray(cases["flat"])
    np.testing.assert_array_equal(kinds == "dress", whole & flat)
    assert set(kinds) == set(segmentation.GARMENT_TYPES)
    for outfit in ("donor_outfit", "output_outfit"):
        assert (np.asarray(cases[outfit].dress)[kinds == "dress"] == 1).all()


@pytest.mark.parametrize("count", [(0, 2), (2, 0), (-1, 1)])
def test_no_people_no_catalogue(count, tmp_path):
    with pytest.raises(UserError, match="at least one"):
        catalogue.write(tmp_path / "none", *count, SETTINGS)
    assert not (tmp_path / "none").exists()


def test_folders_that_cannot_be_used(written, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match="cannot be written"):
        catalogue.write(tmp_path / "file", 1, 1, SETTINGS)
    with pytest.raises(UserError, match="other settings"):
        catalogue.write(written, 1, 1, catalogue.Settings(seed=4))
    with pytest.raises(UserError, match="above 0"):
        catalogue.write(tmp_path / "new", 1, 1, catalogue.Settings(seconds=0))
    with pytest.raises(UserError, match="show nobody"):
        catalogue.write(tmp_path / "new", 1, 1, catalogue.Settings(size=(8, 8)))
    (tmp_path / "broken.npz").write_bytes(b"PK nothing")
    with pytest.raises(UserError, match="damaged"):
        catalogue.load_truth(tmp_path / "broken.npz")
