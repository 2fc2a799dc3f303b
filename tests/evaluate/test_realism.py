"""The suite `realism`: people cut out, and what is compared of them; weights are tiny."""

import itertools
import json

import cv2
import jax
import numpy as np
import pytest
import tiny_lpips

from vton_jax.core import label_tables
from vton_jax.core.errors import UserError
from vton_jax.evaluate import realism, report
from vton_jax.evaluate.realism_suite import RealismSuite
from vton_jax.models import lpips

SIZE = (64, 48)


def person(top: int = 10, bottom: int = 58, left: int = 18, right: int = 30, size=SIZE) -> np.ndarray:
    """A mask: a rectangle, rows [top, bottom), columns [left, right)."""
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = True
    return mask


def frame(seed: int, mask: np.ndarray | None = None) -> realism.Frame:
    """A dark person of noise before such noise."""
    mask = person() if mask is None else mask
    return np.random.default_rng(seed).integers(20, 60, (*mask.shape, 3)).astype(np.uint8), mask


# --- cut-outs --------------------------------------------------------------------------------------------------------


def test_what_is_behind_people_does_not_count():
    image, mask = frame(0)
    other = np.where(mask[..., None], image, 255 - image)
    np.testing.assert_array_equal(realism.cut_out(image, mask), realism.cut_out(other, mask))


@pytest.mark.parametrize("size, mask", [(SIZE, person()), ((700, 500), person(100, 650, 200, 330, (700, 500)))])
def test_people_are_as_tall_as_others_and_in_the_middle(size, mask):
    red = np.broadcast_to(np.uint8([255, 0, 0]), (*size, 3))
    found = realism.cut_out(red, mask)
    assert found.shape == (*realism.SIZE, 3) and found.dtype == np.float32
    shown = np.abs(found - realism.GREY).max(-1) > 0.25
    rows, columns = (np.flatnonzero(shown.any(axis)) for axis in (1, 0))
    assert (rows[0], rows[-1] + 1) == (12, 244) and rows[-1] + 1 - rows[0] == realism.HEIGHT
    expected = np.ptp(np.flatnonzero(mask.any(0))) + 1
    expected *= realism.HEIGHT / (np.ptp(np.flatnonzero(mask.any(1))) + 1)
    assert columns[-1] + 1 - columns[0] == pytest.approx(expected, abs=1)
    assert columns[0] + columns[-1] == pytest.approx(realism.SIZE[1] - 1, abs=1)


def test_wide_people_lose_their_arms_on_both_sides():
    mask = person(20, 30, 2, 46)
    image = np.zeros((*SIZE, 3), np.uint8)
    image[:, :24] = 255
    found = realism.cut_out(image, mask)
    assert found.shape == (*realism.SIZE, 3) and (found[128, :80] == 1).all() and (found[128, 112:] == 0).all()


def test_only_whole_people_are_taken_and_frames_are_counted():
    for edge in (person(0, 20), person(20, 64), person(left=0), person(right=48), np.zeros(SIZE, bool)):
        assert not realism.is_whole(edge)
    masks = [person(), person(0, 20), person(), np.zeros(SIZE, bool), person(), person()]
    frames = [frame(seed, mask) for seed, mask in enumerate(masks)]
    people, seen = realism.take(iter(frames), 3)
    assert people.shape == (3, *realism.SIZE, 3) and seen == 5
    np.testing.assert_array_equal(people[1], realism.cut_out(*frames[2]))
    people, seen = realism.take(frames[:2], 3)
    assert len(people) == 1 and seen == 2
    people, seen = realism.take([], 3)
    assert people.shape == (0, *realism.SIZE, 3) and seen == 0


# --- features and sources --------------------------------------------------------------------------------------------


def test_features_are_means_over_places_of_blocks_two_and_four():
    network = lpips.from_params(tiny_lpips.params(lpips.VGG16))
    images = np.random.default_rng(0).random((3, 32, 48, 3), np.float32)
    found = realism.features(network, images)
    maps = jax.jit(lambda network, images: network.features(images))(network, images)
    assert [m.shape[1] for m in maps] == [32, 16, 8, 4, 2]
    np.testing.assert_allclose(found["kid_block2"], np.mean(maps[1], (1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["kid"], np.mean(maps[3], (1, 2)), rtol=1e-4, atol=1e-6)


def test_drawn_people_are_the_catalogues(monkeypatch):
    monkeypatch.setattr(realism, "DRAWN_SIZE", SIZE)
    image, mask = next(realism.catalogue())
    assert image.shape == (*SIZE, 3) and image.dtype == np.uint8
    assert mask.shape == SIZE and mask.dtype == bool and 0.02 < mask.mean() < 0.9


# --- the suite -------------------------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path):
    """Clothing Co-Parsing with five photos for validation and five others; of each one is cropped."""
    for name in ("photos", "labels"):
        (tmp_path / name).mkdir()
    (tmp_path / "labels.json").write_text(json.dumps(label_tables.CCP_LABELS))
    for number in range(5):
        for end in (3, 4):
            image, mask = frame(10 * number + end, person(0) if number == 4 else None)
            cv2.imwrite(str(tmp_path / "photos" / f"{number}{end}.jpg"), image)
            cv2.imwrite(str(tmp_path / "labels" / f"{number}{end}.png"), mask * np.uint8(label_tables.CCP_SKIN))
    return tmp_path


@pytest.fixture
def drawn(monkeypatch):
    """People of the catalogue are white, where the photos are of all colours."""
    frames = ((0 * image + np.uint8(255), mask) for image, mask in map(frame, itertools.count(1000)))
    monkeypatch.setattr(realism, "catalogue", lambda: frames)


def test_far_is_farther_and_the_report_says_how_it_was_measured(photos, drawn, tmp_path):
    weights = tiny_lpips.write_folder(tmp_path / "weights")
    options = RealismSuite.Options(data=str(photos), realism_frames=6, perceptual=str(weights))
    suite = RealismSuite(options)
    results = dict(suite.run())
    assert results["num_photos"] == 4
    for name in ("kid", "kid_block2"):
        for side in ("photos", "catalogue"):
            value, low, high = (results[f"{side}.{name}{end}"] for end in ("", ".low", ".high"))
            assert low <= high and low - 1e-3 < value < high + 1e-3
        assert results[f"catalogue.{name}.low"] > results[f"photos.{name}.high"]
    about, protocol = suite.texts["about"], suite.texts["protocol"]
    assert about == {
        "photos.frames": "4 people of 5 frames looked at",
        "catalogue.frames": "6 people of 6 frames looked at",
    }
    assert "6 of each kind" in protocol["people"] and "ReLU 4_3" in protocol["features"]
    assert "unbiased" in protocol["distance"]
    assert dict(RealismSuite(options).run()).keys() == results.keys()
    report.write(tmp_path / "out", suite, results)
    assert f"{results['catalogue.kid']:.3f}" in (tmp_path / "out" / "report.html").read_text()


def test_what_is_missing_is_named(photos, drawn, command, tmp_path, capsys):
    tiny_lpips.write_folder(tmp_path / "weights")
    (tmp_path / "weights" / "lpips_vgg16.safetensors").unlink()
    wanted = [f"--data={photos}", f"--output={tmp_path / 'out'}", "--suite=realism"]
    for more, said in (
        (["--perceptual=none"], "--perceptual=none finds no weights of VGG16"),
        ([f"--perceptual={tmp_path / 'weights'}"], "finds no weights of VGG16"),
        ([f"--perceptual={tmp_path / 'nothing'}"], "holds no weights of LPIPS"),
        (["--realism_frames=3"], "realism_frames"),
    ):
        with pytest.raises(SystemExit, match="2"):
            command("vton_jax.evaluate.__main__", *wanted, *more)
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert said in line
    with pytest.raises(UserError, match="data=DIR is missing"):
        RealismSuite(RealismSuite.Options())


def test_a_folder_without_people_for_validation_is_refused(photos, tmp_path):
    tiny_lpips.write_folder(tmp_path / "weights")
    (photos / "photos" / "03.jpg").unlink()
    suite = RealismSuite(RealismSuite.Options(data=str(photos), perceptual=str(tmp_path / "weights")))
    with pytest.raises(UserError, match="shows 3 whole people in photos whose number ends in 3"):
        list(suite.run())
