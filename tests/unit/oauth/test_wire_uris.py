"""URLs go on the wire as they are stored, but for what could not be sent (contract 24.29)."""

import pytest

from keyrack.oauth.uri import wire_uri


@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        ("https://p.example/a%2Fb;c/../d?x=[1]&y=%2D", "https://p.example/a%2Fb;c/../d?x=[1]&y=%2D"),
        ("HTTPS://P.Example:8443/A", "https://p.example:8443/A"),
        ("https://bücher.example", "https://xn--bcher-kva.example/"),
        ("https://p.example?x=1", "https://p.example/?x=1"),
        ('https://p.example/é"<>?a b', "https://p.example/%C3%A9%22%3C%3E?a%20b"),
        ("https://p.example/100%/%zz/%4", "https://p.example/100%25/%25zz/%254"),
    ],
)
def test_only_what_could_not_be_sent_is_encoded(stored: str, sent: str) -> None:
    assert wire_uri(stored) == sent


@pytest.mark.parametrize("stored", ["p.example/a", "/a", "", "https:p.example"])
def test_what_is_not_absolute_is_refused(stored: str) -> None:
    with pytest.raises(ValueError, match="not an absolute URL"):
        wire_uri(stored)
