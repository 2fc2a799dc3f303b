"""Results larger than the networks."""

import types
from pathlib import Path

import cv2
import numpy as np
import pytest
from uniform_result import dressed

from vton_jax.compositing import full_size, normalisation
from vton_jax.core import framing, segmentation
from vton_jax.core.types import Garment, Layout
from vton_jax.media import photo_files, video_files

ROOT = Path(__file__).resolve().parents[2]
SMALL, LARGE = (32, 24), (128, 96)
ID = segmentation.ID


def letters(size=LARGE) -> np.ndarray:
    """A print finer than the networks' pixels."""
    return np.random.default_rng(0).uniform(0, 1, (*size, 3)).astype(np.float32)


def pair(picture):
    return framing.resize(picture, SMALL), picture


def test_what_is_copied_from_the_photo_comes_back_pixel_by_pixel():
    photo = pair(letters())
    out = full_size.enlarge(photo[0], dressed(1, 0), photo, [pair(np.ones((*LARGE, 3), np.float32))])
    np.testing.assert_allclose(out, photo[1], atol=1e-5)
    blurred = full_size.enlarge(photo[0], dressed(0, 0), photo, [pair(np.ones((*LARGE, 3), np.float32))])
    assert np.abs(np.asarray(blurred) - photo[1]).mean() > 0.1  # enlarging alone loses it


def test_the_print_survives_at_the_place_where_the_flow_puts_it():
    """A flow of 3 small pixels to the right is one of 12 large ones: the garment's own pixels lie there."""
    garment, photo = pair(letters()), pair(np.zeros((*LARGE, 3), np.float32))
    shrunk = np.asarray(full_size.geometry.warp(garment[0], np.broadcast_to(np.float32((3, -2)), (*SMALL, 2))))
    out = np.asarray(full_size.enlarge(shrunk, dressed(0, 1, (3, -2)), photo, [garment]))
    np.testing.assert_allclose(out[12:-4, 4:-16], garment[1][4:-12, 16:-4], atol=1e-4)
    # So do those of the photo, where what the user keeps has moved.
    out = np.asarray(full_size.enlarge(shrunk, dressed(flow=(3, -2), moved_weight=1), garment, [photo]))
    np.testing.assert_allclose(out[12:-4, 4:-16], garment[1][4:-12, 16:-4], atol=1e-4)


def test_every_garment_regains_its_own_print():
    """Two garments beside each other, each along its own flow: what one shows comes from no other picture."""
    one, two, photo = pair(letters()), pair(1 - letters()), pair(np.zeros((*LARGE, 3), np.float32))
    left = np.broadcast_to(np.arange(SMALL[1]) < SMALL[1] // 2, SMALL).astype(np.float32)
    up, labels = np.broadcast_to(np.float32((0, -2)), (*SMALL, 2)), np.uint8(ID["pants"] - 2 * left)
    result = dressed(0, 0, (0, 0)).replace(garment_weight=left, besides=((up, 1 - left),), labels=labels)
    image = np.where(left[..., None] > 0, one[0], np.asarray(full_size.geometry.warp(two[0], up)))
    out, middle = np.asarray(full_size.enlarge(image, result, photo, [one, two])), LARGE[1] // 2
    np.testing.assert_allclose(out[12:, 8 : middle - 20], one[1][12:, 8 : middle - 20], atol=0.02)
    np.testing.assert_allclose(out[12:, middle + 20 : -8], two[1][4:-8, middle + 20 : -8], atol=0.02)


def test_what_lies_between_two_places_does_not_show_as_a_crack():
    """Two dark legs with bright ground between them, moved together: where the flow leaps no ground comes in."""
    picture = np.full((*LARGE, 3), 0.1, np.float32)
    picture[:, 36:60] = 1
    photo = pair(picture)
    leaps = np.where(np.arange(SMALL[1]) < 12, -3, 3).astype(np.float32)  # from 12 pixels on either side
    flow = np.zeros((*SMALL, 2), np.float32)
    flow[..., 0] = leaps
    legs = np.zeros(SMALL, np.float32)
    legs[:, 5:19] = 1
    small = np.asarray(full_size.geometry.warp(photo[0], flow))
    result = dressed(flow=(0, 0)).replace(photo_flow=flow, moved_weight=legs)
    garment = pair(np.ones((*LARGE, 3), np.float32))
    out = np.asarray(full_size.enlarge(small, result, photo, [garment]))
    assert small[:, 6:18].max() < 0.11 and out[:, 28:68].max() < 0.12
    smooth = full_size._whole(np.cumsum(np.full((*SMALL, 2), 1.5, np.float32), 1), legs)
    assert (np.asarray(smooth) == 1).all()  # stretched, not torn
    alone = np.asarray(full_size._whole(flow, 1 - legs))
    assert (alone[:, :4] == 1).all() and (np.asarray(full_size._whole(flow, legs))[:, 10:14] == 0).all()


@pytest.mark.parametrize("factor", [1.5, 4, 8])
def test_outlines_are_sharp_and_nothing_bleeds_over_them(factor):
    """A red disk, soft within its outline, that the map knows, becomes a sharp one, round and not in steps."""
    small, large = (64, 48), (int(64 * factor), int(48 * factor))
    rows, columns = ((np.mgrid[: large[0], : large[1]].T + 0.5) / factor).T
    truth = (rows - 32) ** 2 + (columns - 24) ** 2 < 16**2
    fraction, red = framing.resize(truth.astype(np.float32), small), np.float32([1, 0, 0])
    soft = cv2.GaussianBlur(fraction, (0, 0), 1.2)[..., None] * red
    empty = np.zeros((*small, 3), np.float32), np.zeros((*large, 3), np.float32)
    found = {}
    for name in ("dress", "hair"):
        labels = np.where(fraction > 0.5, ID[name], 0).astype(np.uint8)
        laid = np.where(labels[..., None] > 0, soft, 0)
        found[name] = full_size.enlarge(laid, dressed(size=small).replace(labels=labels), empty, [empty])
    found["blurred"] = framing.resize(soft, large)
    error = {name: np.abs(out - truth[..., None] * red).mean() for name, out in found.items()}
    assert error["dress"] < 0.5 * error["blurred"]
    assert ((found["dress"][..., 0] > 0.5) != truth).mean() < 0.01
    # Outlines' widths; hair frays.
    frays = {name: ((out[..., 0] > 0.1) & (out[..., 0] < 0.9)).sum() for name, out in found.items()}
    assert frays["dress"] < 0.4 * frays["blurred"] and 1.5 * frays["dress"] < frays["hair"] < frays["blurred"]


def test_shading_across_a_limb_is_enlarged_whole():
    """A limb ten pixels wide that is bright on one side: its outlines are as bright and dark as they were."""
    labels = np.zeros((64, 48), np.uint8)
    labels[8:56, 19:29] = ID["left-arm"]
    shade = np.clip((np.arange(48) - 19) / 9, 0, 1).astype(np.float32)
    picture = np.where(labels[..., None] > 0, shade[None, :, None], np.float32(0.5)).repeat(3, -1)[..., :3]
    empty = np.zeros((64, 48, 3), np.float32), np.zeros((256, 192, 3), np.float32)
    out = full_size.enlarge(picture, dressed(size=(64, 48)).replace(labels=labels), empty, [empty])
    across = np.asarray(out)[60:190, 79:113].mean((0, 2))
    assert across[0] < 0.15 and across[-1] > 0.85 and (np.diff(across) > -0.01).all()


def test_nothing_of_the_old_outline_returns_between_it_and_the_new_one():
    """Somebody black and wide leaves a limb on white: where it is narrower nothing of the photo shows."""
    size, large = (64, 48), (256, 192)
    old, labels = np.zeros(large, bool), np.zeros(size, np.uint8)
    old[:, 56:136], labels[:, 16:32] = True, ID["left-leg"]  # of the small map the old one's columns are 14 to 34
    photo = np.where(old[..., None], 0.0, 1.0).astype(np.float32).repeat(3, -1)
    hole = np.zeros(size, np.float32)
    hole[:, 12:36] = 1
    image = np.where(labels[..., None] > 0, np.float32([0.8, 0.6, 0.5]), np.float32(1))
    result = dressed(size=size).replace(labels=labels, photo_weight=1 - hole)
    empty = np.zeros((*size, 3), np.float32), np.zeros((*large, 3), np.float32)
    out = np.asarray(full_size.enlarge(image, result, (framing.resize(photo, size), photo), [empty]))
    assert out[:, 68:124, 0].min() > 0.75 and out[:, [*range(50, 61), *range(131, 142)]].min() > 0.97


def test_outlines_that_are_not_enlarged_are_soft_but_where_the_photo_shows():
    size = (512, 16)
    labels, kept = np.zeros(size, np.uint8), np.zeros(size, np.float32)
    labels[:, 8:], kept[:8] = ID["dress"], 1
    image = np.where(labels[..., None] > 0, np.float32([1, 0, 0]), np.float32([0, 0, 1]))
    out = full_size.softened(dressed(size=size).replace(labels=labels, image=image, photo_weight=kept))
    np.testing.assert_array_equal(out[:8], image[:8])
    assert ((out[8:, 7:9, 0] > 0.1) & (out[8:, 7:9, 0] < 0.9)).all()
    np.testing.assert_allclose(out[8:, [0, 1, 2, -1, -2]], image[8:, [0, 1, 2, -1, -2]], atol=0.01)
    np.testing.assert_allclose(out.sum(-1), 1, atol=1e-5)  # of red and blue alone
    nobody = dressed(size=size).replace(labels=np.zeros(size, np.uint8), image=image)
    np.testing.assert_array_equal(full_size.softened(nobody), image)


@pytest.mark.parametrize("size", [(128, 96), (133, 100), (32, 24)])
def test_parts_of_one_colour_each_stay_so_at_any_size(size):
    """Also those at the frame's edge, and a strap of one pixel's width, which keeps a third of its own at least."""
    labels = np.zeros(SMALL, np.uint8)
    labels[:12, :9], labels[20:, 12:], labels[14:19, 4], labels[15:17, 15:17] = 1, 2, 3, 4
    colours = np.float32([[0.2, 0.4, 0.6], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]])
    out = full_size.grow(colours[labels], labels, size)
    away = np.abs(out[:, :, None] - colours).sum(-1)
    assert away.min(-1).mean() < 0.03
    found = away.argmin(-1)
    area = np.array([(found == part).mean() / (labels == part).mean() for part in range(5)])
    assert (area > [0.9, 0.9, 0.9, 0.35, 0.35]).all() and (area < 1.1).all()
    assert (found[:4, :4] == 1).all() and (found[-4:, -4:] == 2).all()


def test_what_is_constant_stays_so_whatever_the_parts():
    labels = np.random.default_rng(0).integers(0, 18, (64, 48)).astype(np.uint8)
    np.testing.assert_allclose(full_size.grow(np.full((64, 48, 5), 0.7, np.float32), labels, (100, 75)), 0.7, atol=1e-5)


def test_canvases_have_the_networks_shape():
    assert full_size.canvas_for((256, 192), (1024, 768), (10, 10)) == (1024, 768)
    assert full_size.canvas_for((256, 192), (1024, 1024), (10, 10)) == (1024, 768)
    assert full_size.canvas_for((256, 192), None, (600, 600)) == (800, 600)
    assert full_size.canvas_for((256, 192), None, (60, 60)) == (256, 192)  # never below the networks


def views(place, size=LARGE):
    """A photo of noise at its place; how it is shown where all is copied from it; and the frame that networks see."""
    photo = np.round(letters() * 255).astype(np.uint8)
    seen = full_size.Views(normalisation.Framing(person=place), photo, [photo], SMALL, size)
    result = types.SimpleNamespace(dressed=dressed(1, 0))
    labels = np.zeros(SMALL, np.uint8)
    donor = Garment(np.ones((*SMALL, 3), np.float32), Layout(labels, None, None), np.int32(0), np.bool_(True))
    return seen, lambda frame: next(seen.show([(frame, result)], [donor])), seen.person.astype(np.float32) / 255


def test_a_photo_that_nobody_moved_is_shown_as_it_is():
    _, show, frame = views(normalisation.Normalisation(), SMALL)
    np.testing.assert_array_equal(show(frame), frame)
    _, show, frame = views(normalisation.Normalisation())
    np.testing.assert_allclose(show(frame), letters(), atol=0.003)


@pytest.mark.parametrize("scale, shift", [(0.6, (0.2, 0.05)), (1.5, (-0.3, -0.1))])
def test_a_normalised_photo_comes_back_with_its_print(scale, shift):
    """Shrunk to be read it is put back from a canvas of its own; enlarged, it stays the photo's beyond the frame."""
    seen, show, frame = views(normalisation.Normalisation(scale, shift))
    assert seen.person.shape == (*SMALL, 3)
    inner = np.abs(show(frame) - letters())[4:-4, 4:-4]
    naive = np.abs(framing.resize(frame, LARGE) - letters())[4:-4, 4:-4]
    assert inner.mean() < 0.6 * naive.mean()


def test_the_large_garment_goes_on_around_itself():
    labels = np.zeros(SMALL, np.uint8)
    labels[4:16, 6:18] = ID["upper-clothes"]
    donor = Garment(None, Layout(labels, np.zeros((18, 2)), np.zeros(18, bool)), np.int32(0), np.bool_(True))
    garment = letters() * 0.1 + [0.2, 0.7, 0.2]
    photo = np.full((*LARGE, 3), 255, np.uint8)
    photo[16:64, 24:72] = np.round(garment[16:64, 24:72] * 255)
    picture = full_size.dress_picture(donor, photo)
    np.testing.assert_array_equal(picture[24:56, 32:64], photo[24:56, 32:64].astype(np.float32) / 255)
    assert (picture.min((0, 1)) >= [0.2, 0.7, 0.2]).all() and (picture.max((0, 1)) <= [0.31, 0.81, 0.31]).all()


# --- render.py -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["large", "0x12"])
def test_a_size_that_is_none_dies_in_a_sentence(command, capsys, tmp_path, text):
    with pytest.raises(SystemExit) as stopped:
        command("vton_jax.render", f"--output={tmp_path / 'clip.mp4'}", f"--output_size={text}")
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and "--output_size" in said and len(said.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_the_users_own_photo_comes_back_at_its_size(command, tmp_path):
    """The packaged sample, enlarged: a photo of an odd shape, of which the background must come back as it was."""
    person = framing.resize(photo_files.read_photo(ROOT / "vton_jax" / "samples" / "person.png"), (512, 384))
    person = np.pad(person, ((0, 0), (30, 30), (0, 0)), mode="edge")
    photo_files.write_image(tmp_path / "person.png", person)
    arguments = [f"--person={tmp_path / 'person.png'}", f"--output={tmp_path / 'clip.mp4'}", "--remap=none"]
    command("vton_jax.render", *arguments, "--output_size=photo")
    frames, _ = video_files.read_video(tmp_path / "clip.mp4")
    assert frames.shape == (1, *person.shape)
    assert np.abs(frames[0, :40].astype(float) - person[:40]).mean() < 4
