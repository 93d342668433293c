"""The guard against hostile URLs, for any input (contract 0.11, 19.4)."""

# ruff: noqa: RUF001 - characters that look alike are what is tested

import ipaddress
import socket
import string
from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from keyrack.errors import ValidationFailed
from keyrack.provider.address_guard import ForbiddenAddressError, check_address
from keyrack.provider.uri_guard import check_uri, parse_uri

FORBIDDEN_V4 = st.sampled_from(
    ["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
     "224.0.0.0/4", "240.0.0.0/4"]
).flatmap(lambda block: st.ip_addresses(network=block))  # fmt: skip


def accepted(uri: str, *, allow_insecure: bool = False) -> bool:
    with suppress(ValidationFailed):
        check_uri(uri, allow_insecure=allow_insecure)
        return True
    return False


@st.composite
def spellings(draw: st.DrawFn) -> tuple[ipaddress.IPv4Address, str]:
    """An IPv4 address, written in one of the ways that `inet_aton` takes."""
    address = ipaddress.IPv4Address(draw(FORBIDDEN_V4 | st.ip_addresses(v=4)))
    octets = list(address.packed)
    kept = draw(st.integers(0, 3))
    numbers = [*octets[:kept], int.from_bytes(bytes(octets[kept:]), "big")]
    formats = st.sampled_from(["{}", "0{:o}", "0x{:x}", "0X{:X}", "0x00{:x}", "00{:o}"])
    return address, ".".join(draw(formats).format(number) for number in numbers)


def disguised(text: str) -> st.SearchStrategy[str]:
    """The text with its digits and dots in other scripts that IDNA maps back."""

    def variants(character: str) -> st.SearchStrategy[str]:
        if character == ".":
            return st.sampled_from([".", "。", "．", "｡"])
        return st.sampled_from([character, chr(ord(character) - 0x21 + 0xFF01)])

    return st.tuples(*(variants(character) for character in text)).map("".join)


@given(st.data(), spellings(), st.sampled_from(["", ".", ":443", "/", "/token?x=1"]))
def test_no_spelling_of_a_forbidden_ipv4_address_passes(
    data: st.DataObject, spelled: tuple[ipaddress.IPv4Address, str], tail: str
) -> None:
    address, text = spelled
    assert socket.inet_aton(text) == address.packed, "the strategy makes what a resolver would take"
    uri = f"https://{data.draw(disguised(text))}{tail}"
    if accepted(uri):
        check_address(address, allow_insecure=False)
        assert text == str(address), "only the plain spelling of a public address may pass"


@given(FORBIDDEN_V4, st.sampled_from(["::ffff:0:0", "::", "64:ff9b::", "2002::", "2001::"]))
def test_no_ipv6_form_of_a_forbidden_ipv4_address_passes(address: ipaddress.IPv4Address, prefix: str) -> None:
    shift = 80 if prefix == "2002::" else 0
    embedded = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | int(address) << shift)
    assert not accepted(f"https://[{embedded}]/")
    assert not accepted(f"https://[{embedded.exploded}]/")


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_what_may_be_called_is_global_by_the_standard_library(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    try:
        check_address(address, allow_insecure=False)
    except ForbiddenAddressError:
        return
    if address not in ipaddress.ip_network("64:ff9b::/96"):
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_reserved


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_the_deployment_setting_only_ever_allows_more(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    try:
        check_address(address, allow_insecure=False)
    except ForbiddenAddressError:
        return
    check_address(address, allow_insecure=True)


URI_CHARACTERS = set("%-._~:/?[]@!$&'()*+,;=" + string.ascii_letters + string.digits)
PIECES = st.sampled_from(
    ["https", "http", "://", ":", "/", "//", "@", "#", "?", "\\", "%", "%40", "[", "]", "::1", "127.0.0.1", "localhost",
     "example.com", ".", "。", " ", "\t", "\n", "\x00", "1", "0x7f", ":443", ":0", "u:p@", "\ud800", "é", "\u200b"]
)  # fmt: skip


@given(st.text() | st.lists(PIECES).map("".join) | st.lists(PIECES).map(lambda parts: "https://" + "".join(parts)))
@example("https://a\tb/")
@example("https://@b/")
def test_any_text_is_either_refused_cleanly_or_a_plain_url(uri: str) -> None:
    if not accepted(uri):
        return
    url = parse_uri(uri, allow_insecure=False)
    assert url.scheme == "https"
    assert url.raw_host
    assert url.raw_host.isascii()
    assert url.raw_host.rstrip(".") not in {"localhost", ""}
    assert 0 < (url.port or 0) < 65536
    assert (url.raw_user, url.raw_password, url.raw_fragment) == (None, None, "")
    assert "@" not in uri.partition("://")[2].split("/")[0].split("?")[0]
    assert not set(uri) & set(" \t\r\n\x00\\#")
    assert URL(str(url), encoded=True) == url, "reading it again does not change it"
    again = URL(str(url))  # and a reader that rewrites paths finds the same server
    assert (again.scheme, again.raw_host, again.port) == (url.scheme, url.raw_host, url.port)
    assert set(url.raw_path_qs) <= URI_CHARACTERS


@given(st.text(alphabet=st.characters(categories=["Nd", "No", "Nl", "Po"]), min_size=1, max_size=12))
def test_no_digits_of_any_script_name_a_forbidden_address(host: str) -> None:
    uri = f"https://{host}/"
    if accepted(uri):
        raw = parse_uri(uri, allow_insecure=False).raw_host or ""
        with suppress(OSError):
            check_address(socket.inet_ntoa(socket.inet_aton(raw)), allow_insecure=False)
            return
        assert not raw.rstrip(".").rpartition(".")[2].isdigit()
