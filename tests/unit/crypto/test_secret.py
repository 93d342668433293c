"""A secret shows itself nowhere but through `reveal`."""

import copy
import json
import pickle
import traceback

import msgspec
import pytest

from keyrack.crypto.secret import Secret

CANARY = "canary-4711"
SECRET = Secret(CANARY)


@pytest.mark.parametrize(
    "shown",
    [str(SECRET), repr(SECRET), f"{SECRET}", f"{SECRET!r:>40}", f"{SECRET:>10}", " ".join(["x", str(SECRET)]),
     f"{SECRET} {SECRET!s}", repr([SECRET]), repr({"key": SECRET}), ascii(SECRET)],
)  # fmt: skip
def test_no_way_of_printing_shows_it(shown: str) -> None:
    assert CANARY not in shown
    assert "***" in shown


def test_a_format_is_that_of_the_mask() -> None:
    assert f"{SECRET:>10}" == "       ***"
    assert (repr(SECRET), str(SECRET)) == ("Secret(***)", "***")


def test_no_serialiser_takes_it() -> None:
    for serialise in (pickle.dumps, copy.deepcopy, json.dumps, msgspec.json.encode):
        with pytest.raises(TypeError) as raised:
            serialise(SECRET)
        assert CANARY not in str(raised.value)
    assert not hasattr(SECRET, "__dict__")


def test_a_traceback_with_local_variables_does_not_show_it() -> None:
    def fail(secret: Secret) -> None:
        held = {"inside": [secret]}
        raise ValueError(held)

    with pytest.raises(ValueError, match="inside") as raised:
        fail(SECRET)
    lines = traceback.TracebackException.from_exception(raised.value, capture_locals=True).format()
    assert CANARY not in "".join(line for line in lines if "secret" in line or "held" in line)


def test_equal_secrets_are_equal_and_hash_alike() -> None:
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert Secret("\ud800") != Secret("a")
    assert Secret("a") != Secret("\ud800")
    assert Secret("\ud800") == Secret("\ud800")
    assert hash(Secret("a")) != hash("a")
    assert hash(Secret("a")) != hash(Secret("b"))


def test_truth_is_whether_there_is_something() -> None:
    assert Secret("x")
    assert not Secret("")
    assert Secret(CANARY).reveal() == CANARY
