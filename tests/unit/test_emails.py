"""Emails that a reader takes for one are one, or are refused (issue 9.11)."""

import unicodedata

import pytest

from keyrack.validation.emails import email_key, fault_of

SAME = [
    ("Ann@A.example", "ann@a.example"),
    ("zo\u00eb@a.example", unicodedata.normalize("NFD", "zo\u00eb@a.example")),
    ("\uff41nn@a.example", "ann@a.example"),
    ("ann\uff20a.example", "ann@a.example"),
    ("\u212aim@a.example", "kim@a.example"),
    ("ad\u0131n@a.example", "adin@a.example"),
    ("AD\u0130N@a.example", "adin@a.example"),
    ("adi\u0307n@a.example", "adin@a.example"),
    ("lo\u017fs@a.example", "loss@a.example"),
    ("stra\u00dfe@a.example", "STRASSE@a.example"),
    ("a\u200bnn@a.example", "ann@a.example"),
    ("ann\u00ad@a.example", "ann@a.example"),
    ("\u202eann@a.example", "ann@a.example"),
    ("ann@a\u3002example", "ann@a.example"),
    ("ann@b\u00fccher.example", "ann@xn--bcher-kva.example"),
    ("ann@B\u00dcCHER.example", "ann@XN--BCHER-KVA.example"),
    ("\ufb01x@a.example", "fix@a.example"),
]
REFUSED = [
    "a\u200bnn@a.example", "ann\u00ad@a.example", "\u202eann@a.example", "ann\x1b@a.example", "an\u3164n@a.example",
    "ann\ufe0f@a.example", "\U000e0041nn@a.example", "ann\uff20b@a.example", "a\uff1ann@a.example",
    "\u0430nn@a.example", "ann@\u0430pple.example", "ann@xn--pple-43d.example", "no-at.example", "a@b@c.example",
    "a:b@c.example", "a b@c.example", "a\u00a0b@c.example", "@a.example", "ann@", "an\u0378n@a.example",
]  # fmt: skip
TAKEN = [
    "ann+tag@a.example", "zo\u00eb@b\u00fccher.example", "\u0438\u0432\u0430\u043d-dev@a.example",
    "\u65e5\u672c@a.example", "o'hara@a.example", "\u0438\u0432\u0430\u043d@\u043f\u043e\u0447\u0442\u0430.example",
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_spellings_are_one_email(one: str, other: str) -> None:
    assert email_key(one) == email_key(other)


@pytest.mark.parametrize("email", REFUSED)
def test_what_misleads_a_reader_is_refused(email: str) -> None:
    assert fault_of(email) is not None


@pytest.mark.parametrize("email", TAKEN)
def test_other_emails_are_taken(email: str) -> None:
    assert fault_of(email) is None
    assert email_key(email_key(email)) == email_key(email)


def test_different_emails_stay_different() -> None:
    assert len({email_key(email) for email in TAKEN}) == len(TAKEN)
    assert email_key("ann@a.example") != email_key("anm@a.example")
    assert email_key("prometheus") == "prometheus"
