from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyrack.errors import ValidationFailed
from keyrack.provider.outgoing import encode_form
from support.raw_provider import token_request

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1))
def test_a_form_comes_back_as_it_was_and_cannot_leave_its_line(form: list[tuple[str, str]]) -> None:
    encoded = encode_form(token_request("https://idp.example/", *form))
    assert parse_qsl(encoded.decode(), keep_blank_values=True, strict_parsing=True) == form
    assert encoded.isascii()
    assert not set(encoded) & set(b"\r\n\0 \t")


def test_a_form_that_is_no_text_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValidationFailed) as refused:
        encode_form(token_request("https://idp.example/", ("refresh_token", "canary\ud800")))
    assert "canary" not in str(refused.value)
    assert refused.value.__context__ is None
