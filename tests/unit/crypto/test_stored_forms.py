"""What is stored today opens with what is installed tomorrow: each form, byte by byte."""

import base64

from keyrack.crypto.envelope import DataKey, EncryptionContext
from keyrack.crypto.kek.local import LocalKeys

PLACE = EncryptionContext("acme", "secrets", "row-1", "tokens")
KEY = DataKey("0123456789abcdef01234567", "acme", b"k" * 32)


def test_the_place_of_a_value() -> None:
    written = b"\0\0\0\x04acme\0\0\0\x07secrets\0\0\0\x05row-1\0\0\0\x06tokens"
    assert PLACE.associated_data() == written
    assert EncryptionContext("", "é", "", "").associated_data() == b"\0\0\0\0\0\0\0\x02\xc3\xa9\0\0\0\0\0\0\0\0"


def test_a_sealed_value() -> None:
    sealed = base64.b64decode("AQEjRWeJq83vASNFZyyQLIuXW7CbM9keRJw98zWCj4WaEEzA4Au0SmchWjkvzEKm4DG5UQ==")
    assert KEY.open(PLACE, sealed) == b"canary-4711"
    again = KEY.seal(PLACE, b"canary-4711")
    assert again[:13] == sealed[:13] == b"\x01" + bytes.fromhex(KEY.id)
    assert len(again) == len(sealed) == 13 + 12 + 11 + 16


async def test_a_wrapped_key() -> None:
    keys = LocalKeys([b"o" * 32])
    wrapped = base64.b64decode("huG/gBFD9JqyV3WfJYL1MM7Opz87B8WdXmFC8DviC1z3/yXNi9eZz3LbFYvP1jY5gEPkWJxVLXIBmxAr")
    assert await keys.unwrap("6982ddfafd5385ca", wrapped, b"context") == b"m" * 32
    kek_id, again = await keys.wrap(b"m" * 32, b"context")
    assert kek_id == "6982ddfafd5385ca"
    assert len(again) == len(wrapped) == 12 + 32 + 16
