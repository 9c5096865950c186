import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.storage.errors import Corrupt
from plaudit.storage.seal import CHECKSUM_BYTES, seal, unseal
from tests.engine.builders import DETERMINISTIC

NO_MATCH = r"^a\.sqlite: row 1: its checksum does not match"


@DETERMINISTIC
@given(st.binary(), st.text(st.characters(codec="utf-8")))
def test_what_is_sealed_can_be_unsealed(content: bytes, identity: str) -> None:
    assert unseal(seal(content, identity), identity, "a.sqlite: row 1") == content


def test_seals_are_what_they_were() -> None:
    """They are in files."""
    assert seal(b"content", "user 7").hex() == "461482de636f6e74656e74"


@pytest.mark.parametrize("content", [b"", b"c", b"content" * 9])
def test_any_flipped_bit_is_noticed(content: bytes) -> None:
    sealed = seal(content, "user 7")
    for bit in range(8 * len(sealed)):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Corrupt, match=NO_MATCH):
            unseal(bytes(flipped), "user 7", "a.sqlite: row 1")


@pytest.mark.parametrize("other", ["", "user 8", "user 7 ", "user  7", "User 7"])
def test_content_under_another_name_is_noticed(other: str) -> None:
    with pytest.raises(Corrupt, match=NO_MATCH):
        unseal(seal(b"content", "user 7"), other, "a.sqlite: row 1")


@pytest.mark.parametrize("length", range(CHECKSUM_BYTES + 7))
def test_an_end_that_is_missing_is_noticed(length: int) -> None:
    with pytest.raises(Corrupt, match=NO_MATCH):
        unseal(seal(b"content", "user 7")[:length], "user 7", "a.sqlite: row 1")


def test_nothing_is_no_content() -> None:
    with pytest.raises(Corrupt, match=NO_MATCH):
        unseal(None, "user 7", "a.sqlite: row 1")
