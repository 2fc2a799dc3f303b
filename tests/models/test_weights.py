"""Files of weights: where they lie, and networks rebuilt from them."""

import numpy as np
import pytest

from vton_jax.core.errors import UserError
from vton_jax.models import weights
from vton_jax.models.parser_cnn import ParserCNN


def test_a_networks_file_is_the_released_one_or_lies_in_a_folder(tmp_path):
    assert weights.path_of("parser_cnn") == weights.released("parser_cnn") == weights.FOLDER / "parser_cnn.safetensors"
    assert weights.path_of("parser_cnn", str(tmp_path)) == tmp_path / "parser_cnn.safetensors"


def test_a_network_is_rebuilt_from_its_file(tmp_path):
    params = {"params": {"layer": {"kernel": np.ones((2, 3), np.float32)}}}
    path = weights.path_of("parser_cnn", tmp_path)
    weights.save(path, params, {"model": "parser_cnn", "widths": [8, 16], "size": [64, 48]}, {"mean": np.zeros(2)})
    network, loaded, extra, settings = weights.load_network("parser_cnn", ParserCNN, path)
    assert network == ParserCNN(widths=(8, 16)) and settings["size"] == [64, 48]
    np.testing.assert_array_equal(loaded["params"]["layer"]["kernel"], params["params"]["layer"]["kernel"])
    np.testing.assert_array_equal(extra["mean"], np.zeros(2))
    # A network that is trained anew for an arm has another file, not another name.
    assert weights.load_network("parser_cnn_joint", ParserCNN, path)[0] == network
    with pytest.raises(UserError, match="of 'parser_cnn', not of 'garment_cnn'"):
        weights.load_network("garment_cnn", ParserCNN, path)
