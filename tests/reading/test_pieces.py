"""Stray pieces of labels."""

import numpy as np
import pytest

from vton_jax.core.segmentation import ID
from vton_jax.reading.pieces import absorbed

UPPER, DRESS, PANTS, LEG = (ID[name] for name in ("upper-clothes", "dress", "pants", "left-leg"))


def labels_and_probabilities(sure=0.55, size=(256, 192)):
    """A top over trousers; a stray piece of a dress within the top, whose probability is `sure`, the top's the rest."""
    labels = np.zeros(size, np.uint8)
    labels[40:140, 60:130], labels[140:240, 60:130] = UPPER, PANTS
    probabilities = np.zeros((*size, 18), np.float32)
    np.put_along_axis(probabilities, labels[..., None].astype(int), 1, -1)
    labels[80:90, 80:90] = DRESS
    probabilities[80:90, 80:90, UPPER], probabilities[80:90, 80:90, DRESS] = 1 - sure, sure
    return labels, probabilities


@pytest.mark.parametrize("sure, stays", [(0.55, False), (0.9, True)])
def test_a_piece_goes_where_its_outline_costs_more_than_what_speaks_for_it(sure, stays):
    """40 pixels of outline against a hundred that are ln(.55 / .45) = .2 nats surer of the dress, or 2.2."""
    labels, probabilities = labels_and_probabilities(sure)
    before, found = labels.copy(), absorbed(labels, probabilities)
    expected = labels if stays else np.where(labels == DRESS, UPPER, labels)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(labels, before)  # what was given stays as it is
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(absorbed(labels[:, ::-1], probabilities[:, ::-1]), expected[:, ::-1])
    large = [np.repeat(np.repeat(of, 2, 0), 2, 1) for of in (labels, probabilities, expected)]
    if not stays:  # a hundred pixels of outline here are two hundred there, of areas four times as large
        np.testing.assert_array_equal(absorbed(*large[:2]), large[2])


def test_somebody_stays_whole_and_what_lies_alone_goes():
    labels, probabilities = labels_and_probabilities()
    leg, alone, hole = np.s_[240:250, 70:75], np.s_[10:13, 10:13], np.s_[100:103, 100:103]
    for at, label, other in ((leg, LEG, 0), (alone, LEG, 0), (hole, 0, UPPER)):
        labels[at], probabilities[at] = label, 0
        probabilities[(*at, label)], probabilities[(*at, other)] = 0.51, 0.49
    found = absorbed(labels, probabilities)
    assert (found[leg] > 0).all() and (found[alone] == 0).all() and (found[hole] == UPPER).all()


def test_one_label_alone_stays():
    labels = np.full((16, 12), PANTS, np.uint8)
    np.testing.assert_array_equal(absorbed(labels, np.full((16, 12, 18), 1 / 18, np.float32)), labels)
