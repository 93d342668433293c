"""URLs that must lead nowhere: every notation of every address that is not public, and what parsers misread."""

# ruff: noqa: RUF001 - characters that look alike are what is tested

from collections.abc import Mapping, Sequence

HOSTS: Mapping[str, Sequence[str]] = {
    "loopback": (
        "127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254", "[::1]", "[0:0:0:0:0:0:0:1]", "[0000::0001]",
        "localhost", "LOCALHOST", "localhost.", "a.localhost", "a.b.localhost.", "localhost.localhost",
    ),
    "loopback as a number": (
        "2130706433", "0x7f000001", "0X7F000001", "017700000001", "0x7f.0.0.1", "0177.0.0.1", "0x7f.1", "127.1",
        "127.0.1", "0177.1", "0x7f.0x0.0x0.0x1", "00000177.0.0.1", "127.0.0.01", "127.0.0.0x1", "127.0x1", "0127.0.0.1",
        "2130706433.", "127.1.", "0x7f.1.", "127.0.0.1.",
    ),
    "unspecified": ("0.0.0.0", "0", "0x0", "00", "000.000.000.000", "0.0", "[::]", "[0::0]", "0.0.0.1", "0.1.2.3"),
    "private": (
        "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.255.255",
        "167772161", "0xa000001", "012.0.0.1", "10.1", "3232235521", "0xc0a80001", "192.168.1", "0300.0250.0.1",
        "2886729729", "0xac.0x10.0.1",
        "[fc00::1]", "[fd00::1]", "[fdff:ffff::1]", "[fd12:3456:789a:1::1]",
    ),
    "link-local": ("169.254.0.1", "169.254.255.254", "[fe80::1]", "[febf::1]", "[fe80::a9fe:a9fe]", "[fec0::1]"),
    "carrier-grade NAT": ("100.64.0.1", "100.127.255.254", "100.64.1", "0x64400001", "1681915905"),
    "metadata": (
        "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.16689662", "0xa9.0xfe.0xa9.0xfe",
        "169.254.43518", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16", "[fd00:ec2::254]",
        "[fd00:ec2::23]", "[fd20:ce::254]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "169.254.169.254.",
    ),
    "multicast and broadcast": (
        "224.0.0.1", "239.255.255.250", "255.255.255.255", "4294967295", "0xffffffff", "[ff02::1]", "[ff0e::1]",
        "[ff05::2]",
    ),
    "reserved": (
        "240.0.0.1", "250.1.1.1", "192.0.0.1", "192.0.0.170", "192.88.99.1", "198.18.0.1", "198.19.255.254",
        "[100::1]", "[2001::1]", "[2001:20::1]", "[5f00::1]", "[4000::1]", "[2001:2::1]", "[1::1]",
    ),
    "documentation": ("192.0.2.1", "198.51.100.1", "203.0.113.1", "[2001:db8::1]", "[3fff::1]", "[3fff:fff::1]"),
    "IPv4-mapped": (
        "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::FFFF:7F00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::ffff:10.0.0.1]",
        "[::ffff:a00:1]", "[::ffff:192.168.0.1]", "[::ffff:100.64.0.1]", "[::ffff:0.0.0.0]", "[::ffff:8.8.8.8]",
    ),
    "IPv4-compatible": ("[::127.0.0.1]", "[::7f00:1]", "[::10.0.0.1]", "[::169.254.169.254]", "[::8.8.8.8]"),
    "IPv4-translated": ("[::ffff:0:127.0.0.1]", "[::ffff:0:7f00:1]"),
    "NAT64": (
        "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::10.0.0.1]", "[64:ff9b::c0a8:1]", "[64:ff9b:1::7f00:1]",
        "[64:ff9b:1::8.8.8.8]", "[64:ff9b::808:808]",
    ),
    "6to4 and Teredo": (
        "[2002:7f00:1::]", "[2002:a00:1::1]", "[2002:c0a8:1::]", "[2002:a9fe:a9fe::]", "[2002:808:808::]",
        "[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "[2001:0:7f00:1::]", "[2001:0:a9fe:a9fe::1]",
    ),
    "digits of other scripts": (
        "１２７.０.０.１", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1", "①②⑦.⓪.⓪.①", "①⑥⑨.②⑤④.①⑥⑨.②⑤④", "𝟏𝟐𝟕.𝟎.𝟎.𝟏",
        "𝟙𝟚𝟟.𝟘.𝟘.𝟙", "¹²⁷.⁰.⁰.¹", "₁₂₇.₀.₀.₁", "١٢٧.٠.٠.١", "१२७.०.०.१", "ｌｏｃａｌｈｏｓｔ", "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
        "loca\u00adlhost", "l\u2060ocalhost", "127.0.0.1\u200b", "２１３０７０６４３３", "０x7f.1",
    ),
    "percent, zones, brackets": (
        "%31%32%37.0.0.1", "127%2e0%2e0%2e1", "%6cocalhost", "localhost%00", "[fe80::1%eth0]", "[fe80::1%25eth0]",
        "[::1%lo]", "[::1%25lo]", "[::1", "::1", "[127.0.0.1]", "[v1.fe80::1]", "[::1]x", "x[::1]", "[]", "[::1].",
    ),
    "user names": (
        "idp.example@127.0.0.1", "127.0.0.1@idp.example", "idp.example:443@127.0.0.1", "a:b@localhost", "@127.0.0.1",
        ":@127.0.0.1", "idp.example%40127.0.0.1", "idp.example\\@127.0.0.1", "127.0.0.1#@idp.example",
        "127.0.0.1?@idp.example", "127.0.0.1\\.idp.example", "idp.example#.127.0.0.1",
    ),
    "characters": (
        "127.0.0.1\t", "\t127.0.0.1", "127.0.0.1\n", "127.0.0.1\r\nHost: idp.example", "127.0.0.1\x00", " 127.0.0.1",
        "127.0.0.1 ", "idp.example\u2028", "127.0.0.1\x7f", "127.0.0.1 idp.example", "idp.ex\u202eample",
    ),
    "names that are no names": (
        "a..b", ".", "..", ".idp.example", "a" * 64 + ".com", "xn--a", "1.2.3.4.5", "256.1.1.1",
        "foo.0x7f", "foo.1", "{{host}}", "a b", "a,b", "a;b", "a*b", "8.8.8.8.",
    ),
}  # fmt: skip
"""Hosts of an https URL; where a plain public address stands among them, its notation is what is hostile."""

WHOLE: Mapping[str, Sequence[str]] = {
    "schemes": (
        "http://idp.example/", "http://127.0.0.1/", "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1:70/_",
        "dict://127.0.0.1:11211/", "ldap://127.0.0.1/", "unix:///var/run/docker.sock", "jar:http://127.0.0.1!/",
        "javascript:alert(1)", "data:text/html,x", "ws://127.0.0.1/", "netdoc:///etc/passwd", "https:127.0.0.1",
        "https:/127.0.0.1", "https:///127.0.0.1", "//127.0.0.1/", "127.0.0.1", "/token", "https://",
        "https:\\\\127.0.0.1", "view-source:https://127.0.0.1/", "https+unix://%2Fvar%2Frun%2Fdocker.sock/",
    ),
    "ports": (
        "https://idp.example:0/", "https://idp.example:22/", "https://idp.example:25/", "https://idp.example:6379/x#",
        "https://idp.example:65536/", "https://idp.example:-1/", "https://idp.example:８０/", "https://idp.example:80:80/",
        "https://idp.example:/", "https://idp.example:0x50/", "https://idp.example:0022/", "https://8.8.8.8:53/",
        "https://[2606:4700::1]:22/", "https://127.0.0.1:443/", "https://localhost:8443/", "https://[::1]:6443/",
    ),
}  # fmt: skip

URLS: Sequence[tuple[str, str]] = tuple(
    (kind, url)
    for kind, urls in {
        **{kind: [f"https://{host}/" for host in hosts] for kind, hosts in HOSTS.items()},
        **WHOLE,
    }.items()
    for url in urls
)
"""Kinds and URLs."""
