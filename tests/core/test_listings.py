"""Folders and lists as strangers have them: hidden files, byte-order marks, names with spaces."""

import pytest

from vton_jax.core import listings
from vton_jax.core.errors import UserError

BOM = b"\xef\xbb\xbf"


def test_hidden_files_are_none(tmp_path):
    for name in ("b.jpg", "a.JPG", "._b.jpg", ".DS_Store", "deep/c.jpg", "deep/._c.jpg", ".trash/d.jpg", "e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.jpg").mkdir()

    def names(*patterns, **more):
        return [path.relative_to(tmp_path).as_posix() for path in listings.files_in(tmp_path, *patterns, **more)]

    assert names("*.jpg") == ["b.jpg"]
    assert names(suffixes=(".jpg",)) == ["a.JPG", "b.jpg"]
    assert names("**/*.jpg") == ["b.jpg", "deep/c.jpg"]
    assert listings.files_in(tmp_path / "nowhere") == []
    below = tmp_path / ".cache" / "photos"  # a hidden folder above is the user's own choice
    below.mkdir(parents=True)
    (below / "a.jpg").write_bytes(b"x")
    assert len(listings.files_in(below)) == 1


@pytest.mark.parametrize(
    ("line", "pair"),
    [
        ("000003_0.jpg 000003_1.jpg", ("000003_0.jpg", "000003_1.jpg")),
        ("  a.jpg\tb.png  ", ("a.jpg", "b.png")),
        ("my photo.jpg\ta shirt.jpg", ("my photo.jpg", "a shirt.jpg")),
        ("a b", ("a", "b")),
        ("a.jpg b.jpg 1", ("a.jpg", "b.jpg")),
        ("a.jpg b.jpg unpaired", ("a.jpg", "b.jpg")),
    ],
)
def test_pairs(line, pair):
    assert listings.pair_of(line) == pair


@pytest.mark.parametrize(
    "line", ["my photo.jpg shirt.jpg", "photo.jpg a shirt.jpg", "a photo.jpg", "a photo.jpg 2", "a.jpg", "a.jpg\t"]
)
def test_a_name_with_a_space_gives_no_other_pair(tmp_path, line):
    (tmp_path / "pairs.txt").write_text(f"a.jpg b.jpg\n\n{line}\n")
    with pytest.raises(UserError, match=r"pairs.txt, line 3, .*tab between names that have spaces"):
        listings.read_pairs(tmp_path / "pairs.txt")


def test_hidden_names_in_a_list_are_refused(tmp_path):
    (tmp_path / "pairs.txt").write_text("._a.jpg a.jpg\n")
    with pytest.raises(UserError, match=r"line 1, .*begins with a dot"):
        listings.read_pairs(tmp_path / "pairs.txt")


def test_byte_order_marks_and_other_encodings(tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_bytes(BOM + "a.jpg b.jpg\r\nä.jpg ö.jpg\r\n".encode())
    assert listings.read_pairs(path) == [("a.jpg", "b.jpg"), ("ä.jpg", "ö.jpg")]
    path.write_bytes(BOM + b"from,to\r\na,b\r\n")
    assert listings.read_table(path) == [{"from": "a", "to": "b"}]
    path.write_bytes("a.jpg b.jpg\n".encode("utf-16"))
    with pytest.raises(UserError, match="save it as UTF-8"):
        listings.read_pairs(path)
    with pytest.raises(UserError, match=r"none.txt cannot be read \(No such file"):
        listings.read_lines(tmp_path / "none.txt")
