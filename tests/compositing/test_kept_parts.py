"""What is taken from the photo: parts that stand still, the background, and the head."""

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import pytest
from uniform_result import dressed

from vton_jax.compositing import backdrops, ends, full_size, kept_parts
from vton_jax.core import framing, keypoints, segmentation
from vton_jax.core.types import Layout, User
from vton_jax.media import photo_files
from vton_jax.systems.reader import Reader

ROOT = Path(__file__).resolve().parents[2]
ID = segmentation.ID


def person(shift=0, arm_shift=0):
    """A layout [64, 48]: hair over a face over an upper garment over trousers, and a left arm beside it."""
    labels = np.zeros((64, 48), np.uint8)
    for name, rows in {"hair": (4, 8), "face": (8, 14), "upper-clothes": (14, 34), "pants": (34, 60)}.items():
        labels[slice(*rows), 16 + shift : 30 + shift] = ID[name]
    labels[16:34, 32 + shift + arm_shift : 36 + shift + arm_shift] = ID["left-arm"]
    points, visible = np.zeros((18, 2), np.float32), np.ones(18, bool)
    points[:, 0] = 23 + shift
    points[:, 1] = np.linspace(6, 58, 18)
    for name in ("left-elbow", "left-wrist"):
        points[keypoints.ID[name], 0] += arm_shift
    return Layout(labels, points, visible)


def user_of(photo, layout, backdrop=None, shown=None):
    shown = np.ones(layout.segmentation.shape, bool) if shown is None else shown
    return User(photo, layout, None, shown, backdrop)


def photo_of(layout):
    rng = np.random.default_rng(1)
    return rng.uniform(0, 1, (*layout.segmentation.shape, 3)).astype(np.float32)


def test_a_user_who_stands_still_keeps_all_but_the_garment():
    user = person()
    photo, labels = photo_of(user), user.segmentation
    still = kept_parts.stillness(user, user)
    assert (still == 1).all()
    keep = kept_parts.kept(labels, labels, still, segmentation.GARMENT_TYPES.index("upper"))
    out = kept_parts.compose(dressed(size=labels.shape).replace(labels=labels), user_of(photo, user), keep)
    for rows, columns in ((slice(5, 10), slice(18, 28)), (slice(40, 58), slice(18, 28)), (slice(0, 64), slice(0, 10))):
        np.testing.assert_allclose(out.image[rows, columns], photo[rows, columns], atol=0.02)
        assert out.photo_weight[rows, columns].min() > 0.95
    assert (out.image[15:33, 17:29] == 0.5).all()  # the garment is the network's to the last pixel


def test_a_part_that_moves_is_not_kept():
    user, pose = person(), person(arm_shift=6)
    still = kept_parts.stillness(user, pose)
    assert still[ID["left-arm"]] == 0 and still[ID["face"]] == 1 and still[ID["pants"]] == 1
    keep = kept_parts.kept(user.segmentation, pose.segmentation, still, 0)
    assert keep[16:34, 32:42].max() < 0.6 and keep[18:32, 33:35].max() < 1e-3
    assert keep[5:10, 18:28].min() > 0.95
    away = kept_parts.stillness(user, person(shift=8))
    assert away[1:].max() == 0 and away[0] == 1


@pytest.mark.parametrize("amount", [0.0, 0.4, 0.97, 1.0])
def test_a_part_that_begins_to_move_fades_into_itself_alone(amount):
    """Half a bag over the background, or half of the background over an arm, would be a ghost."""
    still = np.ones(18, np.float32)
    still[[ID["bag"], ID["left-arm"], ID["face"]]] = amount
    user, final = np.zeros((64, 48), np.uint8), np.zeros((64, 48), np.uint8)
    user[8:24, 8:40] = ID["bag"]  # over what the map shows as the bag, the background, and trousers
    final[8:24, 8:20], final[8:24, 28:40] = ID["bag"], ID["pants"]
    final[36:60, 8:40] = ID["left-arm"]  # where the photo shows the arm and its background
    user[36:60, 8:20] = ID["left-arm"]
    keep = kept_parts.kept(user, final, still, 0)
    np.testing.assert_allclose(keep[12:20, 12:16], amount, atol=1e-6)
    np.testing.assert_allclose(keep[40:56, 12:16], amount, atol=1e-6)
    user[26:34, 8:40] = ID["face"]  # of the head something is left at its rim
    keep = kept_parts.kept(user, final, still, 0)
    np.testing.assert_allclose(keep[29:31, 12:36], amount, atol=1e-6)
    gone = amount if amount == 1 else 0
    for rows, columns in (
        (slice(12, 20), slice(23, 25)),
        (slice(12, 20), slice(32, 36)),
        (slice(40, 56), slice(24, 36)),
    ):
        np.testing.assert_allclose(keep[rows, columns], gone, atol=1e-6)


def test_beside_what_is_gone_the_background_is_made_up():
    """Rests of the old garment lie there that were not read."""
    user, final = person(), person().segmentation.copy()
    final[14:34, 16:20] = 0  # a narrower top
    keep = kept_parts.kept(user.segmentation, final, kept_parts.stillness(user, user), 0)
    assert (keep[16:32, 15:20] == 0).all() and keep[16:32, :12].min() > 0.99 and keep[45:, :12].min() > 0.99


def test_a_long_sleeve_covers_an_arm_that_stands_still():
    user, final = person(), person().segmentation.copy()
    final[final == ID["left-arm"]] = ID["upper-clothes"]
    keep = kept_parts.kept(user.segmentation, final, kept_parts.stillness(user, user), 0)
    assert (keep[16:34, 32:36] == 0).all()


def test_behind_a_person_who_left_lies_the_background():
    user, final = person(), person(shift=14).segmentation
    # A background that brightens from left to right, and a black person on it.
    photo = np.broadcast_to(np.linspace(0.2, 0.8, 48, dtype=np.float32)[:, None], (64, 48, 3)).copy()
    truth = photo.copy()
    photo[user.segmentation > 0] = 0
    backdrop = backdrops.backdrop(photo, user.segmentation)
    assert np.abs(backdrop.picture - truth).max() < 0.2 and np.abs(backdrop.picture - truth).mean() < 0.04
    assert backdrop.hole[user.segmentation > 0].min() > 0.999 and backdrop.hole[:, :8].max() == 0
    # The networks have left the old person's outline; the composition has not.
    result = dressed(1.0, size=final.shape).replace(image=photo)
    still = kept_parts.stillness(user, person(shift=14))
    keep = kept_parts.kept(user.segmentation, final, still, 0)
    result = result.replace(labels=final)
    out = kept_parts.compose(result, user_of(photo, user, backdrop), keep)
    assert np.abs(out.image - truth)[:, 16:24].mean() < 0.1 < np.abs(photo - truth)[:, 16:24].mean()
    assert out.photo_weight[20:50, 18:22].max() < 0.05  # at full size nothing of the old person returns
    without = kept_parts.compose(result, user_of(photo, user), keep)
    np.testing.assert_allclose(without.image, photo, atol=1e-6)


@pytest.fixture(scope="module")
def read():
    """The packaged person as the networks read it: (photo, layout)."""
    photo = photo_files.read_photo(ROOT / "vton_jax" / "samples" / "person.png")
    layouts, _ = Reader().read_people(photo[None])
    return photo.astype(np.float32) / 255, Layout(
        *(a[0] for a in (layouts.segmentation, layouts.keypoints, layouts.visible))
    )


def moved(layout, x, y):
    return Layout(np.roll(layout.segmentation, (y, x), (0, 1)), layout.keypoints + np.float32([x, y]), layout.visible)


def test_a_head_that_moves_without_turning_is_the_photos_own(read):
    photo, user = read
    pose = moved(user, 9, -4)
    carried = kept_parts.carried_head(user_of(photo, user), pose)
    head = segmentation.region(pose.segmentation, (ID["face"], ID["hair"]))
    weight = kept_parts.head_weight(pose.segmentation, carried)
    assert weight[head].mean() > 0.7 and weight[~head].max() == 0
    truth = np.roll(photo, (-4, 9), (0, 1))
    assert np.abs(carried.picture - truth)[weight > 0.5].mean() < 0.02 < np.abs(photo - truth)[weight > 0.5].mean()
    result = dressed(size=head.shape).replace(labels=pose.segmentation)
    out = ends.restore(result, user_of(photo, user), pose, carried, 0)
    assert np.abs(out.image - truth)[weight > 0.9].mean() < 0.03
    # At full size its detail comes from where it was in the photo.
    assert out.moved_weight[weight > 0.9].min() > 0.9
    there = out.photo_flow[weight > 0]
    np.testing.assert_allclose(there, np.broadcast_to([-9, 4], there.shape), atol=0.05)


def test_a_carried_head_brings_its_own_outline(read):
    """The final map shows another's hair, wide and long: the photo's is shown, and around it what is near."""
    photo, user = read
    pose = moved(user, 9, -4)
    own = segmentation.region(pose.segmentation, (ID["face"], ID["hair"]))
    wide = cv2.dilate(own.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    final = np.where(wide & ~own, ID["hair"], pose.segmentation).astype(np.uint8)
    assert (final != pose.segmentation).sum() > 0.4 * own.sum()
    carried = kept_parts.carried_head(user_of(photo, user), pose)
    mended = kept_parts.with_head(final, carried)
    above, wrong = np.arange(len(final)) < carried.chin, final != pose.segmentation
    assert (mended != pose.segmentation)[above].sum() < 0.15 * wrong[above].sum()
    assert (mended == final)[~above].all()
    # A head that is hardly trusted, or not carried, changes nothing.
    for other in (None, dataclasses.replace(carried, trust=0.3)):
        np.testing.assert_array_equal(kept_parts.with_head(final, other), final)
    # What the photo does not show of the head stays: here its lower half alone is in the picture.
    rows = np.arange(len(final))[:, None] > np.median(np.nonzero(own)[0])
    cut = kept_parts.with_head(final, dataclasses.replace(carried, inside=carried.inside & rows))
    np.testing.assert_array_equal(cut, np.where(rows, mended, final))


def head_at(labels, chin):
    picture = np.full((*labels.shape, 3), 0.5, np.float32)
    flow, inside = np.zeros((*labels.shape, 2), np.float32), np.ones(labels.shape, bool)
    return kept_parts.Head(picture, flow, labels, inside, chin=chin, trust=1.0)


def test_long_hair_lies_over_the_garment_and_the_neck_stays_on_the_trunk():
    final = person().segmentation  # hair, face down to row 14, an upper garment below
    head = np.zeros_like(final)
    head[4:8, 20:34], head[8:14, 20:34], head[8:30, 20:23] = ID["hair"], ID["face"], ID["hair"]
    out = kept_parts.with_head(final, head_at(head, chin=11))
    assert (out[14:30, 20:23] == ID["hair"]).all() and (out[14:30, 23:30] == ID["upper-clothes"]).all()
    assert (out[8:11, 23:34] == ID["face"]).all() and (out[4:11, 16:20] == 0).all()  # above the chin all moves
    assert (out[11:14, 16:20] == ID["face"]).all() and (out[11:14, 30:34] == 0).all()  # below it nothing does


def test_only_the_users_head_is_carried(read):
    """Somebody else's, in a corner of the photo, is not."""
    photo, user = read
    crowded = user.segmentation.copy()
    crowded[:20, :14] = ID["hair"]
    pose = moved(user, 9, -4)
    plain, other = (
        kept_parts.carried_head(user_of(photo, user.replace(segmentation=s)), pose)
        for s in (user.segmentation, crowded)
    )
    np.testing.assert_array_equal(plain.labels, other.labels)
    assert (plain.labels == ID["face"]).any()


def test_a_head_that_the_photo_cuts_is_not_cut_in_the_result(read):
    """The photo begins in the middle of the head; above, the final map's hair stays."""
    photo, user = read
    head = segmentation.region(user.segmentation, (ID["face"], ID["hair"]))
    shown = np.broadcast_to(np.arange(len(photo))[:, None] > np.median(np.nonzero(head)[0]), head.shape)
    seen = user.replace(segmentation=np.where(shown, user.segmentation, 0).astype(np.uint8))
    whole, cut = (
        kept_parts.with_head(user.segmentation, kept_parts.carried_head(user_of(photo, seen, shown=s), user))
        for s in (None, shown)
    )
    assert (whole[head & ~shown] == 0).mean() > 0.5
    np.testing.assert_array_equal(cut[head], user.segmentation[head])


def test_a_head_that_hardly_moved_is_not_shown_twice():
    """Half of the photo is kept at its place: the head is the carried one alone."""
    labels, photo = person().segmentation, np.zeros((64, 48, 3), np.float32)
    head = head_at(labels, chin=14)
    weight = kept_parts.head_weight(labels, head)
    result = dressed(size=(64, 48)).replace(labels=labels)
    out = kept_parts.compose(result, user_of(photo, person()), np.full((64, 48), 0.5, np.float32), head)
    # The carried head is grey as the result is; the photo, black, comes in as far as there is no head.
    np.testing.assert_allclose(out.image[..., 0], 0.5 - 0.25 * (1 - weight), atol=1e-6)
    np.testing.assert_allclose(out.photo_weight, 0.5 * (1 - weight), atol=1e-6)
    assert weight.max() > 0.9


def test_a_head_and_a_moved_garment_keep_to_their_own_flows():
    """Blue trousers that moved 10 pixels below a head that did not: no background comes in at their outline."""
    size, large = (64, 48), (256, 192)
    labels = person().segmentation
    region = labels == ID["pants"]
    photo = np.full((*size, 3), 0.9, np.float32)
    photo[np.roll(region, -10, 1)] = [0.1, 0.2, 0.8]
    flow = np.where(region[..., None], np.float32([-10, 0]), 0)
    image = np.where(region[..., None], np.float32([0.1, 0.2, 0.8]), 0.5).astype(np.float32)
    result = dressed(size=size).replace(
        image=image, labels=labels, photo_flow=flow, moved_weight=region.astype(np.float32)
    )
    pictures = photo, framing.resize(photo, large)
    bad = []
    for head in (None, head_at(labels, chin=14)):
        out = kept_parts.compose(result, user_of(photo, person()), np.zeros(size, np.float32), head)
        shown = full_size.enlarge(out.image, out, pictures, [pictures])
        inner = cv2.resize(region.astype(np.uint8), large[::-1], interpolation=cv2.INTER_NEAREST) > 0
        bad.append((np.abs(shown - [0.1, 0.2, 0.8]).max(-1)[inner] > 0.25).sum())
    assert bad[1] <= bad[0] + 5


def test_a_head_that_looks_elsewhere_is_not_carried(read):
    photo, user = read
    points, visible = keypoints.mirror(user.keypoints, user.visible, photo.shape[1])
    behind = Layout(user.segmentation, np.where(points > 0, points, 0) * [-1, 1] + [photo.shape[1] - 1, 0], visible)
    seen_from_behind = behind.replace(visible=behind.visible & ~np.isin(np.arange(18), [0, 14, 15]))
    assert kept_parts.carried_head(user_of(photo, user), seen_from_behind) is None
