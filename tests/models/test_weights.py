"""Files of weights: where they lie, and networks rebuilt from them."""

import numpy as np
import pytest

from vton_jax.core.errors import UserError
from vton_jax.models import weights
from vton_jax.models.reader_cnn import ReaderCNN


def test_a_networks_file_is_the_released_one_or_lies_in_a_folder(tmp_path):
    assert weights.path_of("reader_cnn") == weights.released("reader_cnn") == weights.FOLDER / "reader_cnn.safetensors"
    assert weights.path_of("reader_cnn", str(tmp_path)) == tmp_path / "reader_cnn.safetensors"


def test_a_network_is_rebuilt_from_its_file(tmp_path):
    params = {"params": {"layer": {"kernel": np.ones((2, 3), np.float32)}}}
    path = weights.path_of("reader_cnn", tmp_path)
    weights.save(path, params, {"model": "reader_cnn", "widths": [8, 16], "size": [64, 48]}, {"mean": np.zeros(2)})
    network, loaded, extra, settings = weights.load_network("reader_cnn", ReaderCNN, path)
    assert network == ReaderCNN(widths=(8, 16)) and settings["size"] == [64, 48]
    np.testing.assert_array_equal(loaded["params"]["layer"]["kernel"], params["params"]["layer"]["kernel"])
    np.testing.assert_array_equal(extra["mean"], np.zeros(2))
    # A network that is trained anew for an arm has another file, not another name.
    assert weights.load_network("reader_cnn_joint", ReaderCNN, path)[0] == network
    with pytest.raises(UserError, match="of 'reader_cnn', not of 're_map_cnn'"):
        weights.load_network("re_map_cnn", ReaderCNN, path)
