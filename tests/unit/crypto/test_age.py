"""Files for people: who is named can read them, nobody else; every wrong word is an error of its own."""

import io
from collections.abc import Callable, Sequence

import pytest
from pyrage import x25519

from keyrack.crypto import age
from keyrack.errors import ConfigurationError

ALICE, BOB, EVE = (x25519.Identity.generate() for _ in range(3))
CLEAR = b"canary-4711"


def sealed_to(clear: bytes, recipients: Sequence[str]) -> bytes:
    target = io.BytesIO()
    with age.sealing(target, recipients) as source:
        source.write(clear)
    return target.getvalue()


def opened(content: bytes, authentication: str) -> bytes:
    with age.opening(io.BytesIO(content), authentication) as source:
        return source.read()


def of(*people: x25519.Identity) -> list[str]:
    return [str(each.to_public()) for each in people]


def test_each_recipient_can_read_a_file_and_nobody_else() -> None:
    sealed = sealed_to(CLEAR, of(ALICE, BOB))
    assert CLEAR not in sealed
    assert opened(sealed, str(ALICE)) == CLEAR
    assert opened(sealed, str(BOB)) == CLEAR
    with pytest.raises(ConfigurationError, match="encrypted to others"):
        opened(sealed, str(EVE))


def test_an_identity_file_is_read_as_age_keygen_writes_it() -> None:
    sealed = sealed_to(CLEAR, of(BOB))
    written = f"# created: today\n# public key: {ALICE.to_public()}\n{ALICE}\n\n  {BOB}  \n"
    assert opened(sealed, written) == CLEAR


@pytest.mark.parametrize("written", ["", "\n", "# AGE-SECRET-KEY-1", "canary-no-key", "canary # x"])
def test_a_file_without_an_identity_is_told_and_not_shown(written: str) -> None:
    with pytest.raises(ConfigurationError, match="no age identity") as raised:
        opened(sealed_to(CLEAR, of(ALICE)), written)
    assert "canary" not in str(raised.value)


def test_a_damaged_file_does_not_open() -> None:
    sealed = sealed_to(CLEAR, of(ALICE))
    for damaged in (sealed[:-1], sealed[:-1] + bytes([sealed[-1] ^ 1]), b"nothing of the kind"):
        with pytest.raises(ConfigurationError, match="damaged"):
            opened(damaged, str(ALICE))


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
        sealed_to(CLEAR, recipients)
    age.require_recipients(of(ALICE, BOB))


def test_both_forms_of_an_encrypted_file_are_known() -> None:
    assert age.is_encrypted(sealed_to(CLEAR, of(ALICE)))
    assert age.is_encrypted(b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl")
    assert not age.is_encrypted(b'{"tenants": "age-encryption.org/v1"}')
    assert not age.is_encrypted(b"")


LARGE = bytes(range(256)) * 20_000


def test_what_is_larger_than_a_pipe_comes_through_in_pieces() -> None:
    sealed = sealed_to(LARGE, of(ALICE))
    with age.opening(io.BytesIO(sealed), str(ALICE)) as source:
        assert b"".join(iter(lambda: source.read(10_000), b"")) == LARGE
    with age.opening(io.BytesIO(sealed), str(ALICE)) as source:
        assert source.read(10) == LARGE[:10]  # nobody waits for the rest
    with pytest.raises(ConfigurationError, match="damaged"), age.opening(io.BytesIO(sealed[:-9]), str(ALICE)) as source:
        source.read()


class Full(io.BytesIO):
    """A disk without room."""

    def write(self, content: object) -> int:
        del content
        raise OSError(28, "No space left on device")


def test_a_target_that_takes_no_more_is_told() -> None:
    with pytest.raises(OSError, match="No space"), age.sealing(Full(), of(ALICE)) as source:
        source.write(LARGE)


def written_half() -> None:
    with age.sealing(io.BytesIO(), of(ALICE)) as source:
        source.write(b"half")
        raise ZeroDivisionError


def read_half() -> None:
    with age.opening(io.BytesIO(sealed_to(LARGE, of(ALICE))), str(ALICE)) as source:
        source.read(5)
        raise ZeroDivisionError


@pytest.mark.parametrize("broken", [written_half, read_half])
def test_what_breaks_the_work_is_told_and_nothing_else(broken: Callable[[], None]) -> None:
    with pytest.raises(ZeroDivisionError):
        broken()
