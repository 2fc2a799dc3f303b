"""The coarse target segmentation: each step on hand-made people, the whole on the catalogue's counterfactual truth."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from capsule_people import SIZE, compose, person, places

from vton_jax.core import geometry, label_tables, segmentation
from vton_jax.core.segmentation import ID, UNKNOWN
from vton_jax.core.types import Layout
from vton_jax.layout import body_map, body_parts, coarse_map, completion, garment_types, tucking

shoes = jax.jit(lambda layout: body_parts.shoe_top(body_parts.figure_of(layout)))


def fraction_of(canvas, labels, mask) -> float:
    return float(segmentation.region(np.asarray(canvas), labels)[np.asarray(mask)].mean())


def limb_mask(layout: Layout, name: str, low: float, high: float):
    index = [limb[0] for limb in body_map.LIMBS].index(name)
    _, (near, place), _ = places(layout)
    return (near[index] < 0.6) & (place[index] > low) & (place[index] < high)


def test_shoes_are_as_high_as_the_users():
    donor, boots, low = person(0.5, 2.0), person(2.0, 0.8, shoe_top=1.4), person(2.0, 0.8, shoe_top=1.85)
    found = lambda layout: float(shoes(layout))  # noqa: E731
    assert abs(found(boots) - 1.4) < 0.06 and abs(found(low) - 1.85) < 0.06 and found(person(2.0, 0.8)) == 2.0
    hidden = found(person(2.0, 1.9, shoe_top=1.4))
    assert 1.5 < hidden <= 1.78  # what trousers hide is taken for an ankle boot
    shaft, foot = limb_mask(low, "left-shin", 1.5, 1.8), limb_mask(low, "left-shin", 1.95, 3)
    for user, pose, labels in ((low, boots, segmentation.LEGS), (boots, low, segmentation.SHOES)):
        coarse, _ = compose(user, donor, pose, 0)
        assert fraction_of(coarse, labels, shaft) > 0.9 and fraction_of(coarse, segmentation.SHOES, foot) > 0.9
    # Trousers cover a boot's shaft; the foot stays the pose image's.
    coarse = compose(low, donor, boots, 1)[0]
    assert fraction_of(coarse, (ID["pants"],), shaft) > 0.9 and fraction_of(coarse, segmentation.SHOES, foot) > 0.9


def test_steps_in_order_and_what_each_does():
    user, donor, pose = person(2.0, 2.0), person(0.5, 2.0), person(2.0, 1.0, "skirt")
    coarse, steps = compose(user, donor, pose, 0)
    assert tuple(steps) == coarse_map.STEPS
    steps = {name: np.asarray(step) for name, step in steps.items()}
    assert coarse.dtype == jnp.uint8 and np.array_equal(coarse, steps["add_dress"])
    assert np.array_equal(steps["start"], pose.segmentation)
    was = lambda labels: segmentation.region(pose.segmentation, labels)  # noqa: E731
    assert (steps["remove_hair"][was(segmentation.HAIR)] == UNKNOWN).all()
    assert np.array_equal(steps["remove_hair"][~was(segmentation.HAIR)], pose.segmentation[~was(segmentation.HAIR)])
    of_user = lambda labels: segmentation.region(user.segmentation, labels).sum()  # noqa: E731
    assert segmentation.region(steps["add_hair"], segmentation.HAIR).sum() > 0.85 * of_user(segmentation.HAIR)
    assert not segmentation.region(steps["remove_face"], segmentation.FACE).any()
    assert segmentation.region(steps["add_face"], segmentation.FACE).sum() > 0.85 * of_user(segmentation.FACE)
    assert not segmentation.region(steps["remove_dress"], segmentation.GARMENTS).any()
    assert (steps["remove_dress"][was(segmentation.GARMENTS)] == UNKNOWN).mean() > 0.95
    changed = steps["add_pose_lines"] != steps["remove_dress"]
    assert (steps["remove_dress"][changed] == UNKNOWN).all()
    assert set(np.unique(steps["add_pose_lines"][changed])) <= set(segmentation.ARMS + segmentation.LEGS)
    # Background stays background but where a garment comes to lie.
    back = was((0,))
    others = set(np.unique(np.asarray(coarse)[back])) - {0}
    assert others <= set(segmentation.GARMENTS + segmentation.HAIR + segmentation.FACE)


def test_what_is_known_of_sleeves_outweighs_what_their_layout_shows():
    pose = person(0.0, 2.0)
    for sleeves, covered, bare in (
        ((1.95, 1.99), (0.1, 1.9), None),
        ((0.0, 0.0), None, (0.1, 1.9)),
        ((0.45, 0.75), (0.1, 0.4), (0.85, 1.9)),
    ):
        coarse = compose(pose, person(1.2, 2.0), pose, 0, sleeves=sleeves)[0]
        for limb, place in (("left-upper-arm", 0), ("left-forearm", 1)):
            for where, labels in ((covered, segmentation.UPPER), (bare, segmentation.ARMS)):
                if where and max(where[0], place) + 0.1 < min(where[1], place + 1):
                    mask = limb_mask(pose, limb, max(where[0], place), min(where[1], place + 1))
                    assert fraction_of(coarse, labels, mask) > 0.9


@pytest.mark.parametrize("turn", [0.0, np.pi])
def test_sleeves_come_from_the_donor_never_from_user_or_pose(turn):
    long, short, none = person(2.0, 2.0), person(0.55, 2.0), person(0.0, 2.0)
    for user, donor, pose_sleeve, expected in (
        (long, short, 2.0, "short"),
        (short, long, 0.0, "long"),
        (long, none, 2.0, "no"),
    ):
        pose = person(pose_sleeve, 2.0, turn=turn)
        coarse, _ = compose(user, donor, pose, 0)
        cloth = [
            fraction_of(coarse, segmentation.UPPER, limb_mask(pose, f"{s}-forearm", 1.2, 1.9))
            for s in ("left", "right")
        ]
        skin = [
            fraction_of(coarse, (ID[f"{s}-arm"],), limb_mask(pose, f"{s}-forearm", 1.2, 1.9)) for s in ("left", "right")
        ]
        assert min(cloth if expected == "long" else skin) > 0.9
        upper_arm = fraction_of(coarse, segmentation.UPPER, limb_mask(pose, "left-upper-arm", 0.2, 0.45))
        assert (upper_arm < 0.3) if expected == "no" else (upper_arm > 0.9)


def test_garment_types_replace_what_they_should():
    user, donor, pose = person(2.0, 2.0), person(0.55, 0.6, "skirt"), person(2.0, 1.2)
    labels = {
        kind: set(np.unique(compose(user, donor, pose, k)[0])) for k, kind in enumerate(segmentation.GARMENT_TYPES)
    }
    assert ID["pants"] in labels["upper"] and ID["skirt"] not in labels["upper"]
    assert ID["skirt"] in labels["lower"] and ID["pants"] not in labels["lower"]
    assert ID["skirt"] in labels["outfit"] and ID["pants"] not in labels["outfit"]
    assert not labels["dress"] & set(segmentation.GARMENTS)  # the donor wears none, and nothing goes with one
    lower = compose(user, donor, pose, 1)[0]
    assert (
        fraction_of(lower, segmentation.UPPER, limb_mask(pose, "left-forearm", 1.2, 1.9)) > 0.9
    )  # the user's sleeve stays
    assert fraction_of(lower, segmentation.LEGS, limb_mask(pose, "left-shin", 1.3, 1.9)) > 0.9  # the skirt's hem


def test_a_scarf_stays_with_the_user_whatever_is_exchanged():
    def with_scarf(layout):
        hung = np.asarray(trunk(layout, 0.02, 0.3)) & (np.asarray(layout.segmentation) == ID["upper-clothes"])
        return layout.replace(segmentation=np.where(hung, np.uint8(ID["scarf"]), layout.segmentation))

    made = jax.jit(lambda *given: coarse_map.coarse_target_segmentation(*given)[0])
    user, donor, pose = person(2.0, 2.0), person(0.55, 0.6, "skirt"), person(2.0, 1.2)
    where, kinds = trunk(pose, 0.08, 0.25), segmentation.GARMENT_TYPES
    for kind in ("upper", "lower", "outfit"):
        for own, others in ((with_scarf(user), donor), (user, with_scarf(donor))):
            coarse = made(own, others, with_scarf(pose), jnp.int32(kinds.index(kind)))
            stays = fraction_of(coarse, (ID["scarf"],), where)
            assert stays > 0.9 if own is not user else stays == 0
            assert fraction_of(coarse, segmentation.UPPER, where) > 0.95  # a donor's top goes on below a scarf
            assert fraction_of(coarse, (ID["scarf"],), ~np.asarray(trunk(pose, -0.1, 0.45))) == 0
    # What is worn above or below comes without its donor's scarf, too.
    coarse = compose(user, donor, pose, kinds.index("lower"), beside=with_scarf(person(1.0, 2.0)))[0]
    assert fraction_of(coarse, (ID["scarf"],), where) == 0 and fraction_of(coarse, segmentation.UPPER, where) > 0.9


def trunk(layout: Layout, low: float, high: float):
    """Pixels of the trunk's middle between two fractions of the way from neck to hips."""
    _, _, (fraction, across) = places(layout)
    return (fraction > low) & (fraction < high) & (np.abs(across) < 0.6)


def test_a_top_goes_into_trousers_or_over_them():
    """The top ends at the hips; in a second picture it was tucked in, and in a third it is cropped."""
    user, pose = person(2.0, 2.0), person(2.0, 1.0, "skirt")
    ends = {"long": 1.0, "tucked": tucking.PROPORTIONS.waist, "cropped": 0.5}
    waist, hips = trunk(pose, 0.8, 0.95), trunk(pose, 1.02, 1.09)
    expected = {
        ("long", "auto"): "top", ("long", "in"): "trousers", ("long", "over"): "top",
        ("tucked", "auto"): "trousers", ("tucked", "in"): "trousers", ("tucked", "over"): "top",
        ("cropped", "auto"): "trousers", ("cropped", "in"): "trousers", ("cropped", "over"): "trousers",
    }  # fmt: skip
    for (length, tuck), what in expected.items():
        donor = person(0.5, 2.0)
        _, _, (fraction, across) = places(donor)
        cloth = segmentation.region(donor.segmentation, segmentation.GARMENTS) & (np.abs(across) < 1) & (fraction > 0)
        halves = np.where(fraction < ends[length], ID["upper-clothes"], ID["pants"])
        donor = donor.replace(segmentation=np.where(cloth, halves, donor.segmentation).astype(np.uint8))
        coarse = compose(user, donor, pose, 0, tuck=tuck)[0]
        labels = segmentation.UPPER if what == "top" else segmentation.LOWER
        assert fraction_of(coarse, labels, waist) > 0.9, (length, tuck)
        assert fraction_of(coarse, segmentation.UPPER, trunk(pose, 0.1, 0.45)) > 0.9
        if (length, tuck) == ("tucked", "over"):  # it hangs, over the hips
            assert fraction_of(coarse, segmentation.UPPER, hips) > 0.9


def test_two_garments_of_two_donors_are_worn_together():
    user, top, skirt, pose = person(2.0, 2.0), person(0.55, 2.0), person(2.0, 0.6, "skirt"), person(2.0, 1.2)
    coarse = compose(user, top, pose, 0, beside=skirt)[0]
    worn = set(np.unique(coarse)) & set(segmentation.GARMENTS)
    assert worn == {ID["upper-clothes"], ID["skirt"]}  # nothing of the user's own
    assert fraction_of(coarse, segmentation.ARMS, limb_mask(pose, "left-forearm", 1.2, 1.9)) > 0.9  # the top's sleeve
    assert fraction_of(coarse, segmentation.LEGS, limb_mask(pose, "left-shin", 1.3, 1.9)) > 0.9  # the skirt's hem


def test_a_belt_around_a_top_leaves_no_stripe():
    user, donor, pose = person(2.0, 2.0), person(0.5, 2.0), person(2.0, 1.0, "skirt")
    _, _, (fraction, _) = places(donor)
    stripe = (fraction > 0.7) & (fraction < 0.8)
    belted = np.where(stripe & (donor.segmentation == ID["upper-clothes"]), ID["belt"], donor.segmentation)
    coarse = compose(user, donor.replace(segmentation=belted.astype(np.uint8)), pose, 0)[0]
    assert fraction_of(coarse, segmentation.UPPER, trunk(pose, 0.6, 0.88)) > 0.95


def test_seen_from_behind_no_face_is_pasted():
    user, donor = person(2.0, 2.0), person(0.5, 2.0)
    pose = person(2.0, 2.0, turn=np.pi)
    coarse, _ = compose(user, donor, pose, 0)
    seen, _, _ = places(pose)
    unit = (np.asarray(geometry.grid(SIZE)) - seen.head) / seen.height / (0.05, 0.07)
    skull = ((unit**2).sum(-1) < 1) & (unit[..., 1] < 0.3)
    assert fraction_of(coarse, segmentation.HAIR, skull) > 0.95


def test_same_person_and_pose_changes_little():
    one = person(0.55, 2.0)
    filled = completion.fill_unknown(compose(one, one, one, 3)[0])
    assert (filled == one.segmentation).mean() > 0.98


def test_batches_and_names():
    layouts = [person(2.0, 2.0), person(0.5, 1.0, "skirt"), person(1.2, 2.0, turn=np.pi)]
    user, donor, pose = layouts
    stack = lambda *all_: jax.tree.map(lambda *a: np.stack(a), *all_)  # noqa: E731
    batch, _ = jax.jit(jax.vmap(coarse_map.coarse_target_segmentation))(
        stack(user, user), stack(donor, donor), stack(pose, pose), jnp.array([0, 1])
    )
    for i, name in enumerate(("upper", "lower")):
        assert int(garment_types.garment_type_index(name)) == i
        assert np.array_equal(batch[i], compose(user, donor, pose, i)[0])
    with pytest.raises(ValueError, match="upper, lower, dress"):
        garment_types.garment_type_index("hat")


def test_counterfactual_truth(drawn_cases):
    """On the catalogue's exact truth, where what is given is worn or lies flat with its wearer's joints."""
    coarse = []
    for index, kind in enumerate(drawn_cases["garment_type"]):
        layouts = (
            Layout(*(drawn_cases[f"{who}_{part}"][index] for part in ("segmentation", "keypoints", "visible")))
            for who in ("input", "donor", "pose")
        )
        coarse.append(np.asarray(compose(*layouts, kind)[0]))
    coarse, truth, pose = np.stack(coarse), drawn_cases["output_segmentation"], drawn_cases["pose_segmentation"]

    def miou(predicted):
        a, b = label_tables.merged(predicted), label_tables.merged(truth)
        return np.mean([((a == k) & (b == k)).sum() / max(((a == k) | (b == k)).sum(), 1) for k in range(10)])

    print("MIOU", miou(coarse), miou(pose), (coarse == UNKNOWN).mean())
    assert miou(coarse) > miou(pose) + 0.1
    assert (coarse == UNKNOWN).mean() < 0.04
