"""Files for people: who is named can read them, nobody else; every wrong word is an error of its own."""

from collections.abc import Sequence

import pytest
from pyrage import x25519

from keyrack.crypto import age
from keyrack.errors import ConfigurationError

ALICE, BOB, EVE = (x25519.Identity.generate() for _ in range(3))
CLEAR = b"canary-4711"


def of(*people: x25519.Identity) -> list[str]:
    return [str(each.to_public()) for each in people]


def test_each_recipient_can_read_a_file_and_nobody_else() -> None:
    sealed = age.seal(CLEAR, of(ALICE, BOB))
    assert CLEAR not in sealed
    assert age.open_sealed(sealed, str(ALICE)) == CLEAR
    assert age.open_sealed(sealed, str(BOB)) == CLEAR
    with pytest.raises(ConfigurationError, match="encrypted to others"):
        age.open_sealed(sealed, str(EVE))


def test_an_identity_file_is_read_as_age_keygen_writes_it() -> None:
    sealed = age.seal(CLEAR, of(BOB))
    written = f"# created: today\n# public key: {ALICE.to_public()}\n{ALICE}\n\n  {BOB}  \n"
    assert age.open_sealed(sealed, written) == CLEAR


@pytest.mark.parametrize("written", ["", "\n", "# AGE-SECRET-KEY-1", "canary-no-key", "canary # x"])
def test_a_file_without_an_identity_is_told_and_not_shown(written: str) -> None:
    with pytest.raises(ConfigurationError, match="no age identity") as raised:
        age.open_sealed(age.seal(CLEAR, of(ALICE)), written)
    assert "canary" not in str(raised.value)


def test_a_damaged_file_does_not_open() -> None:
    sealed = age.seal(CLEAR, of(ALICE))
    for damaged in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), b"nothing of the kind"):
        with pytest.raises(ConfigurationError, match="damaged"):
            age.open_sealed(damaged, str(ALICE))


@pytest.mark.parametrize(
    ("recipients", "why"),
    [
        ((), "only exported to a recipient"),
        (["canary"], "no age recipient"),
        ([*of(ALICE), "canary"], "no age recipient"),
    ],
)
def test_a_wrong_recipient_is_told_before_anything_is_sealed(recipients: Sequence[str], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as raised:
        age.require_recipients(recipients)
    assert "canary" not in str(raised.value)
    with pytest.raises(ConfigurationError, match=why):
        age.seal(CLEAR, recipients)
    age.require_recipients(of(ALICE, BOB))


def test_both_forms_of_an_encrypted_file_are_known() -> None:
    assert age.is_encrypted(age.seal(CLEAR, of(ALICE)))
    assert age.is_encrypted(b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl")
    assert not age.is_encrypted(b'{"tenants": "age-encryption.org/v1"}')
    assert not age.is_encrypted(b"")
