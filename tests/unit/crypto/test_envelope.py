"""A sealed value opens at its own place with its own key, and nowhere else."""

from dataclasses import replace

import pytest

from keyrack.crypto.envelope import DataKey, DecryptionFailed, EncryptionContext, key_id_of

KEY = DataKey("0123456789abcdef01234567", "tenant", b"k" * 32)
PLACE = EncryptionContext("tenant", "oauth_clients", "row", "secret")
CLEAR = b'"canary-4711"'


def test_what_was_sealed_opens_at_its_place() -> None:
    sealed = KEY.seal(PLACE, CLEAR)
    assert KEY.open(PLACE, sealed) == CLEAR
    assert key_id_of(sealed) == KEY.id
    assert CLEAR not in sealed


def test_nothing_is_sealed_twice_alike() -> None:
    assert len({KEY.seal(PLACE, CLEAR) for _ in range(100)}) == 100


@pytest.mark.parametrize("part", ["tenant", "table", "row", "column"])
def test_another_place_does_not_open(part: str) -> None:
    sealed = KEY.seal(PLACE, CLEAR)
    with pytest.raises(DecryptionFailed):
        KEY.open(replace(PLACE, **{part: "another"}), sealed)


def test_no_two_places_have_the_same_associated_data() -> None:
    places = [
        EncryptionContext("a", "b", "c", "d"),
        EncryptionContext("ab", "", "c", "d"),
        EncryptionContext("", "ab", "c", "d"),
        EncryptionContext("a", "bc", "", "d"),
        EncryptionContext("a", "b", "cd", ""),
        EncryptionContext("a", "b", "", "cd"),
        EncryptionContext("a\0", "b", "c", "d"),
        EncryptionContext("a", "\0b", "c", "d"),
    ]
    assert len({place.associated_data() for place in places}) == len(places)


@pytest.mark.parametrize("other", [replace(KEY, material=b"x" * 32), replace(KEY, id="f" * 24)])
def test_another_key_does_not_open(other: DataKey) -> None:
    with pytest.raises(DecryptionFailed):
        other.open(PLACE, KEY.seal(PLACE, CLEAR))


def test_no_changed_bit_goes_unnoticed() -> None:
    sealed = KEY.seal(PLACE, CLEAR)
    for index in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[index] ^= 1
        with pytest.raises(DecryptionFailed):
            KEY.open(PLACE, bytes(damaged))


def test_no_shortened_or_extended_value_opens() -> None:
    sealed = KEY.seal(PLACE, CLEAR)
    for wrong in [*(sealed[:length] for length in range(len(sealed))), sealed + b"\0"]:
        with pytest.raises(DecryptionFailed):
            KEY.open(PLACE, wrong)


def test_a_key_shows_no_material() -> None:
    shown = repr(DataKey("0" * 24, "tenant", b"canary-material-canary-material-"))
    assert "canary" not in shown
