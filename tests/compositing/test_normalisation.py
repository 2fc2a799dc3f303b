"""Where people are put in the networks' frame: there and back, photos that end early, and the garment that is kept."""

import types

import cv2
import numpy as np
import pytest

from vton_jax.catalogue import examples
from vton_jax.compositing import normalisation
from vton_jax.core import framing, keypoints, segmentation
from vton_jax.core.types import Garment, Layout, User
from vton_jax.systems import painting
from vton_jax.systems.lab126.painter import Painter
from vton_jax.systems.reader import Reader

SIZE = (256, 192)
SHIRT, TROUSERS = segmentation.ID["upper-clothes"], segmentation.ID["pants"]


def smooth(size=SIZE):
    """A picture without edges, which survives being resized."""
    y, x = np.mgrid[: size[0], : size[1]] / 30.0
    return np.round(127 + 100 * np.stack([np.sin(x), np.cos(y), np.sin(x + y)], -1)).astype(np.uint8)


def test_the_default_place_is_where_fit_has_it():
    photo = smooth((300, 150))
    place = normalisation.Normalisation()
    np.testing.assert_array_equal(place.bring(photo, SIZE), framing.fit(photo, SIZE)[0])
    result = np.float32(np.random.default_rng(0).random((*SIZE, 3)))
    np.testing.assert_allclose(place.put_back(result, np.zeros((*SIZE, 3), np.float32)), result, atol=1e-6)


@pytest.mark.parametrize("scale, shift", [(0.7, (0.15, 0.06)), (1.6, (-0.4, -0.2))])
@pytest.mark.parametrize("size", [SIZE, (427, 320)])
def test_what_is_brought_and_put_back_is_the_picture_again(scale, shift, size):
    place = normalisation.Normalisation(scale, shift)
    fitted = smooth(size).astype(np.float32) / 255
    there = place.bring(smooth(size), size).astype(np.float32) / 255
    back = place.put_back(there, fitted)
    assert np.abs(back - fitted)[3:-3, 3:-3].mean() < 0.006
    marked = place.put_back(np.zeros_like(there), fitted)
    inside = np.ones(size, bool)
    if place.scale > 1:  # the frame shows a part of the picture, which is known exactly
        rows, columns = ([-s * side / place.scale, (1 - s) * side / place.scale] for s, side in zip(place.shift[::-1], size, strict=True))  # fmt: skip  # noqa: E501
        inside[:] = False
        inside[round(rows[0]) : round(rows[1]), round(columns[0]) : round(columns[1])] = True
    near_edge = cv2.dilate(inside.astype(np.uint8), np.ones((5, 5))) != cv2.erode(inside.astype(np.uint8), np.ones((5, 5)))  # fmt: skip  # noqa: E501
    np.testing.assert_array_equal(marked[~inside & ~near_edge], fitted[~inside & ~near_edge])
    assert not marked[inside & ~near_edge].any()


def test_what_is_made_up_is_known():
    """A white photo in its frame: `shown` is where it is brought to, not where its edges go on."""
    place = normalisation.Normalisation(0.5, (0.25, 0.125))
    shown = place.shown(SIZE)
    rows, columns = np.nonzero(shown)
    assert (rows.min(), rows.max() + 1) == (SIZE[0] // 8, SIZE[0] // 8 + SIZE[0] // 2)
    assert (columns.min(), columns.max() + 1) == (SIZE[1] // 4, SIZE[1] // 4 + SIZE[1] // 2)
    assert normalisation.Normalisation().shown(SIZE).all()
    gradient = np.repeat(np.arange(SIZE[0], dtype=np.uint8)[:, None, None] // 2, SIZE[1], 1).repeat(3, 2)
    below = place.bring(gradient, SIZE)[rows.max() + 1 :]
    assert (below == below[0]).all()  # the last row goes on


def test_nothing_grows_above_a_head_that_touches_the_edge():
    """Beside it lies white: so does what is made up above, while the trousers below go on."""
    photo = np.full((*SIZE, 3), 255, np.uint8)
    photo[:, 80:110] = 0
    frame = normalisation.Normalisation(0.6, (0.2, 0.1)).bring(photo, SIZE)
    assert frame[: round(0.1 * SIZE[0])].min() == 255
    assert (frame[-1] == 0).all(-1).sum() == pytest.approx(0.6 * 30, abs=1)


def reader():
    """A reader that takes the largest dark piece for a person."""

    def stand_of(picture):
        dark = (picture.mean(-1) < 100).astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(dark)
        if count == 1:
            return None
        left, top, width, height, _ = stats[1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())] / 1.0
        rows, columns = SIZE
        return normalisation.Stand(top / rows, (top + height) / rows, (left + width / 2) / columns)

    return types.SimpleNamespace(size=SIZE, stand_of=stand_of)


def standing(top, bottom, left, right):
    photo = np.full((*SIZE, 3), 255, np.uint8)
    photo[top:bottom, left:right] = 0
    return photo


def test_whole_people_are_brought_to_the_size_that_the_networks_know():
    """Small or large, beside the middle, with a speck elsewhere; a clip has one place, that of most frames."""
    for box in ((100, 180, 20, 50), (4, 250, 90, 180)):
        photo = standing(*box)
        photo[5:8, 185:188] = 0
        place, stand = normalisation.normalisation_of(reader(), [photo])
        rows, columns = np.nonzero((place.bring(photo, SIZE).mean(-1) < 100)[:, 40:150])
        assert not stand.cut
        assert rows.min() / SIZE[0] == pytest.approx(0.06, abs=0.01)
        assert rows.max() / SIZE[0] == pytest.approx(0.93, abs=0.01)
        assert columns.mean() + 40 == pytest.approx(96, abs=2)
    walk = [standing(100, 180, left, left + 30) for left in (10, 20, 30)]
    place, _ = normalisation.normalisation_of(reader(), walk)
    middles = [np.nonzero(place.bring(frame, SIZE).mean(-1) < 100)[1].mean() for frame in walk]
    assert middles[1] == pytest.approx(96, abs=2) and middles[2] - middles[1] == pytest.approx(10 * place.scale, abs=2)
    assert normalisation.normalisation_of(reader(), [np.full((*SIZE, 3), 255, np.uint8)]) == (
        normalisation.Normalisation(),
        None,
    )
    assert normalisation.normalisation_of(reader(), [standing(100, 140, 20, 50)])[0].scale == 3  # and no more


def test_a_photo_that_ends_early_gets_room_for_what_is_missing():
    """Half of somebody is seen: the whole of them would reach from 0.06 to 0.93 of the frame."""
    half = types.SimpleNamespace(size=SIZE, stand_of=lambda picture: normalisation.Stand(0.1, 1.9, 0.5, True))
    place, stand = normalisation.normalisation_of(half, [standing(26, 256, 60, 120)])
    assert stand.cut and place.scale == pytest.approx(0.87 / 1.8)
    assert place.shown(SIZE).any(1).mean() == pytest.approx(0.87 / 1.8, abs=0.01)


def test_where_nobody_looks_everything_stays():
    system = reader()
    system.looks_flat = lambda frame: True
    garments = [(standing(10, 90, 20, 50), None), (standing(10, 90, 20, 50), False)]
    stage = normalisation.find_framing(system, standing(100, 180, 20, 50), garments, [standing(*4 * [0])])
    assert stage.garments[0] == normalisation.Shown(flat=True) and stage.poses == normalisation.Normalisation()
    assert stage.person.scale > 1.5 and stage.garments[1].place.scale > 1.5 and stage.garments[1].flat is False


@pytest.fixture(scope="module")
def system():
    return Painter("post", SIZE)


def test_joints_of_somebody_cut_off_at_the_hips_are_read_where_they_are():
    """Drawn people of whom a photo shows the upper half: where they end is found, and joints lie where they do."""
    system, seen = Reader(), 0
    joints = [keypoints.ID[f"{side}-{name}"] for side in ("left", "right") for name in ("shoulder", "hip")]
    for number in (0, 3):
        example = examples.draw(number, "validation", closest=0.86)
        points, labels = example["input_places"], example["input_segmentation"]
        rows = int(points[joints, 1].max()) + 12
        place, stand = normalisation.normalisation_of(system, [example["input_image"][:rows]])
        assert stand.cut
        fitted = framing.fit(example["input_image"][:rows], SIZE)[1]
        brought = lambda at: fitted.points(at) * place.scale + np.array(place.shift) * SIZE[::-1]  # noqa: B023, E731
        lowest = brought(np.array([0.0, np.flatnonzero(labels.any(1)).max()]))[1]
        assert lowest / SIZE[0] == pytest.approx(normalisation.CHOSEN.bottom, abs=0.12)
        true = brought(points[joints])
        layout = system.read_layouts(place.bring(example["input_image"][:rows], SIZE)[None])[0]
        there = layout.visible[0][joints]
        away = np.linalg.norm(layout.keypoints[0][joints] - true, axis=-1)
        assert np.median(away[there]) < 0.03 * SIZE[0] and away[there].max() < 0.08 * SIZE[0]
        seen += there.sum()
    assert seen >= 6


def test_the_other_garment_keeps_its_pattern(drawn_cases, system):
    """It goes where its wearer goes, here 14 pixels aside, and correlates with the truth better than a painted one."""
    aside, found = 14, []
    for index in np.flatnonzero(drawn_cases["garment_type"] == segmentation.GARMENT_TYPES.index("upper"))[:2]:
        case = {name: np.asarray(value[index]) for name, value in drawn_cases.items()}
        user = Layout(case["input_segmentation"], case["input_keypoints"], case["input_visible"])
        image = case["input_image"].astype(np.float32) / 255
        moved, final = np.roll(image, aside, 1), np.roll(user.segmentation, aside, 1)[None]
        pose = Layout(final, user.keypoints[None] + [aside, 0], user.visible[None])
        worn = User(image, user, None, np.ones(SIZE, bool))
        donor = Garment(image, user, case["garment_type"], np.bool_(False))
        painted = system.dress(worn, donor, pose)
        kept = system.keep_other_garment(painted, worn, donor, pose)
        region = segmentation.region(final[0], segmentation.GARMENT_LABELS["lower"])
        np.testing.assert_array_equal(kept.image[0][~region], painted.image[0][~region])
        assert (kept.photo_weight <= painted.photo_weight).all()
        assert (kept.garment_weight <= painted.garment_weight).all()
        copied = kept.moved_weight[0] > 0.9
        if copied.any():  # where in the photo it comes from, at full size too
            assert np.median(np.linalg.norm(kept.photo_flow[0][copied] - [-aside, 0], axis=-1)) < 4
        # The outline is the layout's, not the pattern's.
        inner = cv2.erode(region.astype(np.uint8), np.ones((9, 9))) > 0
        if inner.any():
            detail = [
                (a - cv2.GaussianBlur(a, (0, 0), 4))[inner].ravel() for a in (moved, painted.image[0], kept.image[0])
            ]
            found.append([float(np.corrcoef(detail[0], one)[0, 1]) for one in detail[1:]])
    before, after = np.mean(found, 0)
    assert after > before + 0.2
    # Of what the photo does not show nothing is copied.
    half = np.arange(SIZE[0])[:, None] < np.median(np.nonzero(region)[0])
    half = np.broadcast_to(half, SIZE)
    part = system.keep_other_garment(painted, worn.replace(shown=half), donor, pose)
    below = ~half & (np.arange(SIZE[0])[:, None] > np.nonzero(half)[0].max() + 20)
    assert part.moved_weight[0][below & region].max() < 0.1 < kept.moved_weight[0][below & region].max()


@pytest.mark.parametrize("kind", ["dress", "outfit", "upper"])
def test_without_another_garment_nothing_is_kept(drawn_cases, system, kind):
    """A donated dress leaves none; neither does a user who wears a dress."""
    image = np.zeros((*SIZE, 3), np.float32)
    labels = np.full(SIZE, segmentation.ID["dress" if kind == "upper" else "upper-clothes"], np.uint8)
    user = Layout(labels, drawn_cases["input_keypoints"][0], drawn_cases["input_visible"][0])
    donor = Garment(image, user, np.int32(segmentation.GARMENT_TYPES.index(kind)), np.bool_(False))
    dressed = object()
    worn = User(image, user, None, np.ones(SIZE, bool))
    assert system.keep_other_garment(dressed, worn, donor, None) is dressed


def test_no_white_rim_comes_with_a_garment_that_moves():
    """A dark skirt moved by half a pixel has its own colours to its outline, not those of the white around it."""
    labels = np.zeros((1, 32, 24), np.uint8)
    labels[0, 8:24, 6:18] = segmentation.ID["skirt"]
    image = np.where(labels[..., None] > 0, np.full(3, 0.1, np.float32), np.float32(1))
    lower = np.int32([segmentation.GARMENT_TYPES.index("lower")])
    points = np.zeros((1, 18, 2), np.float32)
    own = Garment(image, Layout(labels, points, np.ones((1, 18), bool)), lower, np.zeros(1, bool))
    flow = np.full((1, 32, 24, 2), 0.5, np.float32)
    moved = {"flow": flow, "warped": image, "mask": np.ones((1, 32, 24, 1), np.float32)}
    painted, shown = np.full((1, 32, 24, 3), 0.1, np.float32), np.ones((1, 32, 24), np.float32)
    found, weight, _ = painting._keep(painted, shown, labels, own, (moved, np.zeros_like(flow)))
    assert 0 < np.asarray(weight)[0, 16, 17] < 1 and np.asarray(found).max() < 0.11
