# ruff: noqa: RUF001 - characters that look alike are what is tested

import pytest
from yarl import URL

from keyrack.errors import Problem, ValidationFailed
from keyrack.provider.uri_guard import MAX_URI_LENGTH, check_uri, parse_uri

ACCEPTED = [
    "https://login.example.com/oauth2/token",
    "https://example.com",
    "HTTPS://EXAMPLE.COM/Token",
    "https://example.com./token",
    "https://example.com:8443/token?tenant=a&x=%2F",
    "https://example.com?token",
    "https://bücher.example/token",
    "https://xn--bcher-kva.example/token",
    "https://a_b.example/",
    "https://8.8.8.8/token",
    "https://[2606:4700:4700::1111]:443/token",
    "https://1and1.example/",
    "https://example.com/a@b:c",
    "https://0x.example/",
]
LOCAL = [
    "https://127.0.0.1/",
    "https://10.1.2.3:8443/t",
    "https://172.20.0.1/",
    "https://192.168.0.1/",
    "https://169.254.1.1/",
    "https://100.64.0.1/",
    "https://[::1]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::FFFF:7f00:1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b::808:808]/",
    "https://[fe80::1]/",
    "https://[fd00::1]/",
    "https://localhost/",
    "https://LOCALHOST:2/",
    "https://localhost./",
    "https://api.localhost/",
    "https://api.localhost./",
    "https://ｌｏｃａｌｈｏｓｔ/",
    "https://１２７.０.０.１/",
    "https://127。0。0。1/",
    "https://①②⑦.0.0.1/",
    "http://127.0.0.1/",
    "http://example.com/",
]
REFUSED = [
    # addresses in disguise: to some resolver each of these is 127.0.0.1 or 0.0.0.0
    "https://2130706433/", "https://0x7f000001/", "https://0X7F.1/", "https://127.1/", "https://127.0.1/",
    "https://017700000001/", "https://0177.0.0.1/", "https://0127.0.0.1/", "https://0/", "https://0x/",
    "https://127.0.0.1./", "https://0x7f.1./", "https://127.0.0.0x1/", "https://１２７.１/", "https://256.256.256.256/",
    "https://1.2.3.4.5/", "https://foo.0x7f/", "https://foo.1/", "https://8.8.8.8./", "https://4294967297/",
    # never an authorization server
    "https://0.0.0.0/", "https://[::]/", "https://224.0.0.1/", "https://255.255.255.255/", "https://169.254.169.254/",
    "https://[fd00:ec2::254]/", "https://[2002:7f00:1::]/", "https://[2001::1]/", "https://[::127.0.0.1]/",
    # not a plain absolute URL
    "", "/token", "//example.com/", "example.com", "https:example.com", "https:/example.com", "https://", "https:///t",
    "https://?x", "ftp://example.com/", "file:///etc/passwd", "javascript:alert(1)", "gopher://example.com/",
    "ws://example.com/", "{{tokenUri}}", "https://{{host}}/", "https://a{b}.example/", "https://a,b/", "https://a;b/",
    "https://a..b/", "https://./", "https://example.com../", "https://.example.com/", "https://" + "a" * 64 + ".com/",
    "https://" + "a." * 130 + "com/", "https://xn--a/",
    # user name, fragment, zone, percent, brackets
    "https://u@example.com/", "https://u:p@example.com/", "https://@example.com/", "https://:@example.com/",
    "https://example.com@evil.example/", "https://example.com:443@evil.example", "https://example.com#",
    "https://example.com/#f", "https://example.com#@evil.example/", "https://%31%32%37.0.0.1/", "https://a%2eb/",
    "https://example.com%00.evil/", "https://[fe80::1%eth0]/", "https://[fe80::1%25eth0]/", "https://[::1",
    "https://::1/", "https://[v1.a]/", "https://[127.0.0.1]/", "https://[::1]x/", "https://x[::1]/", "https://[]/",
    # whitespace, control characters, backslashes
    " https://example.com/", "https://example.com/ ", "https://example.com/a b", "https://exa mple.com/",
    "\thttps://example.com/", "https://exa\tmple.com/", "https://example.com/\r\nX: y", "https://example.com\n",
    "https://example.com/\x00", "https://example.com/\x7f", "https://example.com\\@evil.example/",
    "https://example.com/\\x", "https:\\\\example.com/", "https://example.com/\u2028", "https://example.com/\u00a0",
    "https://exa\u200bmple.com/", "https://exa\u00admple.com/", "https://example.com/\ud800", "https://\ud800/",
    "https://example.com/\u202e", "https://exa℀mple.com/",
    # ports
    "https://example.com:0/", "https://example.com:65536/", "https://example.com:99999/", "https://example.com:/",
    "https://example.com:-1/", "https://example.com:+80/", "https://example.com:８０/", "https://example.com:80:80/",
    "https://example.com:a/", "https://example.com:000443000/",
    "https://example.com/" + "a" * MAX_URI_LENGTH,
    # other protocols' ports
    "https://example.com:22/", "https://example.com:25/hook", "https://example.com:6667?a", "https://[2606:4700::1]:22/",
    "https://example.com:10080/", "https://8.8.8.8:53/", "https://example.com:0022/",
]  # fmt: skip


@pytest.mark.parametrize("uri", ACCEPTED)
@pytest.mark.parametrize("allow_insecure", [False, True])
def test_plain_public_urls_are_accepted(uri: str, *, allow_insecure: bool) -> None:
    check_uri(uri, allow_insecure=allow_insecure)


@pytest.mark.parametrize("uri", LOCAL)
def test_http_and_private_hosts_need_the_deployment_setting(uri: str) -> None:
    check_uri(uri, allow_insecure=True)
    with pytest.raises(ValidationFailed):
        check_uri(uri, allow_insecure=False)


@pytest.mark.parametrize("uri", REFUSED)
@pytest.mark.parametrize("allow_insecure", [False, True])
def test_everything_else_is_refused(uri: str, *, allow_insecure: bool) -> None:
    with pytest.raises(ValidationFailed):
        check_uri(uri, allow_insecure=allow_insecure)


def test_the_problem_names_the_member_and_not_the_uri() -> None:
    with pytest.raises(ValidationFailed) as refused:
        check_uri("https://127.0.0.1/?key=s3cret", allow_insecure=False, pointer="/data/attributes/token_uri")
    detail = "The host of the URI is a local, private or reserved address."
    cure = " The operator can allow local and private ones with KEYRACK_ALLOW_INSECURE_PROVIDERS."
    assert refused.value.problems == (Problem(detail + cure, "/data/attributes/token_uri"),)
    assert refused.value.__context__ is None
    with pytest.raises(ValidationFailed) as never:
        check_uri("https://169.254.169.254/", allow_insecure=True)
    assert str(never.value) == detail, "no setting allows it"
    with pytest.raises(ValidationFailed, match=r"must use https\. .* with KEYRACK_ALLOW_INSECURE_PROVIDERS\.$"):
        check_uri("http://as.example/token", allow_insecure=False)


def test_the_parsed_url_is_what_is_connected_to() -> None:
    url = parse_uri("https://ｅxample.com:8443/t?a=1", allow_insecure=False)
    assert url == URL("https://example.com:8443/t?a=1")
    assert url.raw_host == "example.com"
