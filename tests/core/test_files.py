"""Files that appear whole or not at all."""

import os

import pytest

from vton_jax.core import files
from vton_jax.core.errors import UserError


def test_texts_are_written_whole_and_as_they_are(tmp_path):
    path = tmp_path / "new" / "folder" / "a.csv"
    files.write_text(path, "ä\r\nb\n")
    assert path.read_bytes() == "ä\r\nb\n".encode()
    files.write_text(path, "another")
    assert path.read_text() == "another" and os.listdir(path.parent) == ["a.csv"]


def test_what_breaks_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.npz"
    files.write_bytes(path, b"the old one")
    with pytest.raises(KeyError), files.replacing(path) as temporary:
        assert temporary.name.startswith(".") and temporary.suffix == ".npz"
        temporary.write_bytes(b"half")
        raise KeyError
    assert path.read_bytes() == b"the old one" and os.listdir(tmp_path) == ["a.npz"]


def test_what_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    for act in (files.require_writable, lambda path: files.write_text(path, "")):
        with pytest.raises(UserError, match=r"b\.txt cannot be written \(.*\); check the folder"):
            act(tmp_path / "file" / "b.txt")
    with pytest.raises(UserError, match="since it is a folder; name a file"):
        files.write_text(tmp_path / "folder", "")
    # What is no fault of the disk keeps its own name.
    with pytest.raises(KeyError), files.writing(tmp_path / "a"):
        raise KeyError
    files.require_writable(tmp_path / "made" / "a.txt")
    assert os.listdir(tmp_path / "made") == []
