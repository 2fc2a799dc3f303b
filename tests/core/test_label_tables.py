"""The tables of other data sets, by name."""

import numpy as np

from vton_jax.core import label_tables, segmentation


def test_merged_by_name():
    merged = {
        name: label_tables.MERGED_LABELS[label_tables.MERGED_FROM_LABEL[i]] for name, i in segmentation.ID.items()
    }
    assert merged["hat"] == "hair" and merged["left-arm"] == merged["right-arm"] == "arms"
    assert merged["pants"] == "trousers" and merged["left-shoe"] == "shoes" and merged["dress"] == "dress"
    assert set(merged.values()) == set(label_tables.MERGED_LABELS)
    assert label_tables.merged(np.array([0, 255, 17])).tolist() == [0, -1, 5]


def test_lip_by_name():
    assert len(label_tables.LIP_LABELS) == 20 == len(label_tables.LABEL_FROM_LIP)
    for name, label in zip(label_tables.LIP_LABELS, label_tables.LABEL_FROM_LIP, strict=True):
        if name in segmentation.ID:
            assert segmentation.LABELS[label] == name
    assert segmentation.LABELS[label_tables.LABEL_FROM_LIP[7]] == "upper-clothes"  # coat


def test_label_tables_by_name():
    neck = label_tables.LABEL_FROM_CIHP[label_tables.LIP_LABELS.index("jumpsuits")]
    assert segmentation.LABELS[neck] == "face"
    others = np.arange(20) != label_tables.LIP_LABELS.index("jumpsuits")
    np.testing.assert_array_equal(label_tables.LABEL_FROM_CIHP[others], label_tables.LABEL_FROM_LIP[others])
    assert len({tuple(colour) for colour in label_tables.LIP_PALETTE.tolist()}) == 20
    known = {segmentation.LABELS[i] for i in label_tables.LABEL_FROM_PF_AFN if i != segmentation.UNKNOWN}
    assert known == {"background", "upper-clothes"}
