"""Cases: what they hold, and that each number shows the same; clips of one person."""

import numpy as np

from vton_jax.catalogue import cases, exchanges
from vton_jax.core import keypoints, segmentation
from vton_jax.evaluate import catalogue_steps

SIZE = (256, 192)


def test_cases_hold_what_the_suite_asks_for(drawn_cases):
    for name in ("input", "pose", "output", "donor"):
        image, labels = drawn_cases[f"{name}_image"], drawn_cases[f"{name}_segmentation"]
        assert image.shape == (8, *SIZE, 3) and image.dtype == np.uint8
        assert labels.shape == (8, *SIZE) and labels.max() < segmentation.NUM_LABELS
        assert drawn_cases[f"{name}_visible"].any(1).all()
    np.testing.assert_array_equal(drawn_cases["flat"], np.arange(8) % 2 == 1)
    shown = drawn_cases["garment_mask"].mean((1, 2))
    assert (shown > 0.005).all() and (shown < 0.4).all()
    # People are whole; perspective may bring a foot to the edge.
    for name in ("input", "output", "pose"):
        rows = (drawn_cases[f"{name}_segmentation"] > 0).any(2)
        assert rows[:, -1].sum() <= 1 and 0.5 < rows.mean(1).min() < rows.mean(1).max() < 0.97
    assert (np.abs(drawn_cases["height"] / (drawn_cases["output_segmentation"] > 0).any(2).sum(1) - 1) < 0.25).all()
    assert (drawn_cases["turn"] >= 0).all() and (drawn_cases["turn"] <= np.pi + 1e-5).all()
    counted = catalogue_steps.counts(drawn_cases)
    assert counted["donor"] == "flat 4, worn 4"


def test_the_pose_image_shows_the_outputs_pose_on_somebody_else(drawn_cases):
    """Joints that both show lie alike, seen from the neck; the person in the same clothes covers about the same."""
    neck = keypoints.ID["neck"]
    for index in range(8):
        both = drawn_cases["pose_visible"][index] & drawn_cases["output_visible"][index]
        pose, output = (drawn_cases[f"{name}_keypoints"][index] for name in ("pose", "output"))
        if both[neck]:
            apart = np.linalg.norm((pose - pose[neck] - output + output[neck])[both], axis=-1)
            assert np.median(apart) < 0.04 * drawn_cases["height"][index]
        other, own = (drawn_cases[f"{name}_segmentation"][index] > 0 for name in ("other_body", "output"))
        assert (other & own).sum() > 0.5 * (other | own).sum()
        assert (drawn_cases["pose_image"][index] != drawn_cases["output_image"][index]).mean() > 0.3


def test_a_case_depends_on_its_number_alone(drawn_cases):
    again = cases.draw_cases(1, SIZE, "validation", first=3)
    for name, array in again.items():
        np.testing.assert_array_equal(array[0], drawn_cases[name][3], err_msg=name)
    assert cases.cases_of_a_seed(2) == 2 * cases.cases_of_a_seed(1) and not cases.cases_of_a_seed(1) % exchanges.CIRCLE


def test_a_walk_moves_the_user_as_the_other_person_moves():
    photo, flat, shown, truth = cases.draw_walk(0, 3, (64, 48), split="validation")
    assert photo.shape == flat.shape == (64, 48, 3) and shown.shape == truth.shape == (3, 64, 48, 3)
    assert (shown[0] != shown[1]).any() and (truth[0] != truth[1]).any()
    # The place is the photo's and stands still.
    corners = np.stack([photo, *truth]).astype(int)[:, :8, :8]
    assert np.abs(corners - corners[0]).max() <= 12
