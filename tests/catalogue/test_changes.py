"""Changes of clothes in several poses: the same people in every picture, and the truth of what they wear then."""

import numpy as np
import pytest

from vton_jax.catalogue import changes, exchanges
from vton_jax.core import segmentation

SIZE = (128, 96)


@pytest.fixture(scope="module")
def drawn():
    return [changes.draw(number, "train", SIZE, 0.86) for number in (0, 3)]


def test_a_change_depends_on_its_number_alone(drawn):
    again = changes.draw(3, "train", SIZE, 0.86)
    for name in ("users", "poses", "truth", "kept", "worn"):
        np.testing.assert_array_equal(getattr(again, name), getattr(drawn[1], name))
    assert not np.array_equal(drawn[0].users, drawn[1].users)


def test_the_first_targets_are_in_the_photos_own_pose_and_the_others_are_shown_by_somebody_else(drawn):
    for change in drawn:
        for index in range(changes.TARGETS):
            assert np.array_equal(change.users[index], change.poses[index]) == (index < 2)
        # Each photo serves twice.
        np.testing.assert_array_equal(change.users[:2], change.users[2:])
        # Backwards, no photo is its own target.
        assert not any(np.array_equal(*pair) for pair in zip(change.users[::-1], change.poses, strict=True))


def test_users_who_keep_their_clothes_differ_from_the_truth_in_clothes_alone(drawn):
    for change in drawn:
        assert (change.kept != change.truth).any((1, 2)).all()
        clothes = [segmentation.region(labels, segmentation.GARMENTS) for labels in (change.kept, change.truth)]
        faces = [segmentation.region(labels, (segmentation.ID["face"],)) for labels in (change.kept, change.truth)]
        bare = [face & ~(clothes[0] | clothes[1]) for face in faces]
        assert (bare[0] != bare[1]).sum() <= 0.02 * bare[0].sum()  # hair moves a little with what lies below it


def test_the_truth_wears_the_garment_and_stands_where_the_photo_shows_the_user(drawn):
    for change in drawn:
        worn = segmentation.region(change.truth, segmentation.TARGET_LABELS[change.kind])
        assert (worn.mean((1, 2)) > 0.01).all()
        for photo, truth in zip(change.users[:2], change.truth[:2], strict=True):
            face = photo[truth == segmentation.ID["face"]].astype(float)
            if len(face) > 20:  # skin is redder than it is blue
                assert (face[:, 0] - face[:, 2]).mean() > 10
    assert not np.array_equal(drawn[0].truth[0], drawn[0].truth[1])


def test_several_pieces_do_not_lie_flat():
    kinds = {}
    for number in (12, 0):  # the first of both kinds
        change = changes.draw(number, "train", (32, 24), 0.86)
        kinds[change.kind] = change.flat
    assert kinds["outfit"] is None and kinds["upper"].shape == (32, 24, 3)


def test_coats_come_off_with_a_top_and_scarves_stay():
    """Whoever shows a pose wears and carries things that are nobody else's."""
    scarf, worn, seen = segmentation.ID["scarf"], {"coat": 0, "scarf": 0}, set()
    for number in range(0, 24, 2):
        exchange = exchanges.sample(np.random.default_rng(number), number, "train")
        more = exchanges.layered(np.random.default_rng(number), exchange)
        names = [[thing if isinstance(thing, str) else thing.name for thing in things]
                 for things in (more.own, more.extras[0])]  # fmt: skip
        assert more.given == exchange.given and more.kept == exchange.kept
        if exchange.kind == "lower":
            assert more is exchange
            continue
        worn["coat"] += "coat" in names[0] and "coat" not in names[1]
        worn["scarf"] += "scarf" in names[1]
    assert min(worn.values()) > 0
    for number in (1, 2, 4, 5):
        change = changes.draw(number, "train", SIZE, 0.86)
        for kept, truth in zip(change.kept, change.truth, strict=True):
            there = (kept == scarf).sum()
            assert abs((truth == scarf).sum() - there) <= 0.3 * there + 2
            seen.add(bool(there))
    assert seen == {False, True}
