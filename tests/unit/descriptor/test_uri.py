"""Contract section 19.4: who a template lets a user send the tenant's secret to."""

import pytest

from keyrack.descriptor.uri import absolute_uri, render_uri
from keyrack.errors import ValidationFailed

HOST = "https://{{x}}.example.com/token"


def refused(template: str, **context: str) -> str:
    with pytest.raises(ValidationFailed) as caught:
        render_uri(template, context, {"x": "/data/attributes/fields/x"}.get)
    (problem,) = caught.value.problems
    for value in context.values():
        assert len(value) < 4 or value not in problem.detail
    return problem.detail


@pytest.mark.parametrize(
    ("template", "context", "uri"),
    [
        (HOST, {"x": "login"}, "https://login.example.com/token"),
        (HOST, {"x": "a.b-c_d"}, "https://a.b-c_d.example.com/token"),
        ("https://{{ a }}{{b}}.example.com", {"a": "eu", "b": "1"}, "https://eu1.example.com"),
        ("https://login.{{x}}", {"x": "acme.example"}, "https://login.acme.example"),
        ("https://{{x}}:8443/t", {"x": "as.example"}, "https://as.example:8443/t"),
        ("https://as.example:{{x}}/t", {"x": "8443"}, "https://as.example:8443/t"),
        ("{{x}}/oauth/token", {"x": "https://as.example:8443/base"}, "https://as.example:8443/base/oauth/token"),
        ("{{x}}", {"x": "http://127.0.0.1:5000/t?a=b&c"}, "http://127.0.0.1:5000/t?a=b&c"),
        ("{{x}}.example.com/t", {"x": "https://login"}, "https://login.example.com/t"),
        (" {{x}} ", {"x": "https://[::1]:9/t"}, "https://[::1]:9/t"),
        ("https://as.example/{{x}}/token", {"x": "te/nant"}, "https://as.example/te/nant/token"),
        ("https://as.example/{{x}}", {"x": "token?a=b"}, "https://as.example/token?a=b"),
        ("https://as.example/t?r={{x}}&s=1", {"x": "https://api?b=@:"}, "https://as.example/t?r=https://api?b=@:&s=1"),
        ("https://as.example/t?r={{x}}", {"x": 'ü|"'}, "https://as.example/t?r=%C3%BC%7C%22"),
        ("https://as.example/t?r=%2f&b=&a=1", {}, "https://as.example/t?r=%2f&b=&a=1"),
    ],
)
def test_what_a_descriptor_allows(template: str, context: dict[str, str], uri: str) -> None:
    assert render_uri(template, context) == uri


@pytest.mark.parametrize(
    "value",
    [
        "evil.com/",
        "evil.com\\",
        "evil.com?",
        "evil.com#",
        "user@",
        "evil.com:443",
        "evil.com%2f",
        "evil.com%00",
        "a b",
        "a\tb",
        "a\nb",
        "a\r\nHost: evil",
        "a\0",
        "a\u00a0",
        "a\u2028",
        "a\u200b",  # vanishes in IDNA mapping
        "a\u00ad",  # likewise
        "evil\u3002com",  # ideographic full stop: a dot to IDNA
        "evil\uff0ecom",  # fullwidth full stop
        "evil\uff61com",  # halfwidth ideographic full stop
        "evil.com\uff0f",  # fullwidth solidus: a slash after NFKC
        "evil.com\u2044",  # fraction slash
        "evil.com\u2215",  # division slash
        "evil.com\uff3c",  # fullwidth reverse solidus
        "evil.com\uff1f",  # fullwidth question mark
        "evil.com\uff03",  # fullwidth number sign
        "evil\uff20",  # fullwidth at
        "evil.com\uff1a443",  # fullwidth colon
        "evil.com\u2100",  # "a/c" after NFKC
        "\u2474",  # "(1)" after NFKC
        "m\u00fcnchen",
        "\ud800",
        "[::1]",
        "a;b",
        "a,b",
        "{{y}}",
        "{{x}}",
        "<b>",
        "'",
    ],
)
def test_hostile_values_in_the_host(value: str) -> None:
    for template in (HOST, "https://login.{{x}}/t", "https://{{x}}", "https://as.example:1{{x}}/t", "//{{x}}/t"):
        assert refused(template, x=value, y="evil").startswith("variable x stands in the")


@pytest.mark.parametrize("value", [".", "..", "a.", ".a", "a..b", "-", "a-", "-a", "a" * 64, "a." * 130 + "a"])
def test_hosts_of_senseless_labels(value: str) -> None:
    assert "host" in refused("https://{{x}}/t", x=value)
    assert "host" in refused("https://a.{{x}}.example.com/t", x=value + "." if value.endswith("-") else value + "..")


@pytest.mark.parametrize(
    "value", ["2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "1.2.3.4.5", "256.1.1.1", "0x"]
)
def test_ambiguous_notations_of_addresses(value: str) -> None:
    assert "no valid host" in refused("https://{{x}}/t", x=value)
    assert "no valid host" in refused("https://as.{{x}}/t", x=value)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{x}}://as.example/t", "https"),
        ("{{x}}", "as.example/t"),
        ("{{x}}", "//as.example/t"),
        ("{{x}}", "ftp://as.example"),
        ("{{x}}", "javascript:alert(1)"),
        ("{{x}}", "file:///etc/passwd"),
        ("{{x}}", "https://"),
        ("{{x}}", "https:///t"),
        ("{{x}}", "https:as.example"),
        ("{{x}}", "https:/as.example"),
        ("{{x}}", "https:\\\\as.example"),
        ("{{x}}", "https://user:pw@as.example/t"),
        ("{{x}}", "https://as.example\\@evil.com"),
        ("{{x}}", "https://as.example/t#fragment"),
        ("{{x}}", "https://as.example:0/t"),
        ("{{x}}", "https://as.example:65536/t"),
        ("{{x}}", "https://as.example:/t"),
        ("{{x}}", "https://as.example:8_0/t"),
        ("{{x}}", " https://as.example/t"),
        ("{{x}}", "https://as\n.example/t"),
        ("{{x}}", "https://as\uff0eexample/t"),
        ("{{x}}", "https://[::1/t"),
        ("{{x}}", "https://[v1.x]/t"),
        ("{{x}}", "https://[fe80::1%25eth0]/t"),
        ("{{x}}", "https://as.example/{{y}}"),
        ("{{x}}", "https://as.example/" + "a" * 5000),
        ("{{x}}.example.com/t", "https://evil.com/"),
        ("{{x}}.example.com/t", "https://evil.com?"),
        ("{{x}}:443/t", "https://evil.com/a"),
    ],
)
def test_values_that_start_a_uri(template: str, value: str) -> None:
    assert "variable x starts a URI and " in refused(template, x=value)


@pytest.mark.parametrize(
    "value", ["a b", "a\r\nX: 1", "a\0", "a#b", "a\\b", "a\u2028b", "a\u202eb", "\ud800", "{{y}}", "a}"]
)
def test_hostile_values_behind_the_host(value: str) -> None:
    for template in ("https://as.example/{{x}}/t", "https://as.example/t?a={{x}}", "https://{{y}}/t/{{x}}"):
        assert "variable x stands in a URI" in refused(template, x=value, y="as.example")


@pytest.mark.parametrize("value", [".", "..", "a/../..", "%2e%2E", ".%2e"])
def test_a_path_cannot_be_climbed(value: str) -> None:
    assert "segment" in refused("https://as.example/tenants/{{x}}/token", x=value)
    assert "segment" in refused("https://as.example/tenants/{{y}}{{x}}/token", y="b/", x=value)


def test_a_path_cannot_be_cut_off() -> None:
    assert "cut off the rest" in refused("https://as.example/{{x}}/token", x="evil?")


def test_the_scheme_may_not_vary() -> None:
    assert "scheme" in refused("http{{x}}://as.example/t", x="s")
    assert "scheme" in refused("https:{{x}}", x="//evil.com")
    assert "scheme" in refused("https:/{{x}}", x="/evil.com")


def test_two_variables_are_each_held_to_their_place() -> None:
    with pytest.raises(ValidationFailed) as caught:
        render_uri("https://{{a}}{{b}}.example.com/{{c}}", {"a": "evil.com", "b": "/", "c": "x y"})
    details = [problem.detail for problem in caught.value.problems]
    assert len(details) == 2
    assert details[0].startswith("variable b stands in the host")
    assert details[1].startswith("variable c stands in a URI")


def test_the_host_goes_on_after_a_variable_that_starts_the_uri() -> None:
    assert "variable b stands in the host" in refused("{{a}}{{b}}", a="https://as.example", b="/evil")


@pytest.mark.parametrize("context", [{}, {"x": ""}])
def test_a_missing_value_is_named_with_its_pointer(context: dict[str, str]) -> None:
    with pytest.raises(ValidationFailed) as caught:
        render_uri(HOST, context, lambda name: f"/fields/{name}")
    (problem,) = caught.value.problems
    assert (problem.detail, problem.pointer) == ("variable x has no value", "/fields/x")


@pytest.mark.parametrize(
    "template", ["", "as.example", "https://a@b/t", "https://as.example/#f", "https://{{ }}/t", "/t"]
)
def test_a_descriptors_own_mistakes(template: str) -> None:
    assert refused(template).startswith("the URI made from the descriptor ")


def test_an_absolute_uri_keeps_what_it_says() -> None:
    uri = "HTTPS://As.Example/%7Ea/;b=c,d?x=%2F&y=[1]!$'()*+"
    assert absolute_uri(uri) == uri
