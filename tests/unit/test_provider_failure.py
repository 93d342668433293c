"""What is told of a failed call to a provider: `meta` of the error document, and nothing else."""

import json
from dataclasses import fields
from typing import Any

import pytest

from keyrack.api.core.errors import error_document
from keyrack.errors import ProviderError, ProviderFailure, ProviderUnavailable
from keyrack.oauth.refusal import refusal
from keyrack.oauth.wire import RawResponse
from keyrack.provider.faults import Reason, unavailable
from keyrack.service.secrets.refresh.leased_refresh import _kept

SHOWN: dict[str, Any] = {
    "reason": "closed",
    "sent": True,
    "received": True,
    "status": 503,
    "retry_after": 7,
    "error": "temporarily_unavailable",
    "error_description": "Later.",
    "error_uri": "https://as.example/later",
}
HIDDEN: dict[str, Any] = {"exact_reason": "dns", "codes": ("c0de",), "is_page": True, "null_members": ()}


def told(error: ProviderError | ProviderUnavailable) -> object:
    _, body, _ = error_document(error)
    return json.loads(body)["errors"][0].get("meta")


def test_all_that_may_be_shown_is_and_nothing_else() -> None:
    failure = ProviderFailure(**SHOWN, **HIDDEN)
    assert SHOWN.keys() | HIDDEN.keys() == {field.name for field in fields(failure)}
    assert failure.meta == told(ProviderUnavailable(failure=failure)) == SHOWN
    assert not {"dns", "c0de"} & set(repr(failure).split("'")), "what is not shown is not printed either"


@pytest.mark.parametrize("error", [ProviderError(), ProviderUnavailable(), ProviderError("No.", ProviderFailure())])
def test_where_nothing_is_known_there_is_no_meta(error: ProviderError | ProviderUnavailable) -> None:
    assert error.meta is None
    assert told(error) is None


def test_false_and_what_was_kept_as_null_are_told() -> None:
    assert ProviderFailure(reason="busy", sent=False).meta == {"reason": "busy", "sent": False}
    rejection = {"error": "invalid_client", "error_description": None, "status": 401}
    assert told(ProviderError("Rejected.", _kept(rejection))) == rejection
    assert told(ProviderError("Rejected.", _kept({"error": "invalid_client", "status": 400}))) == {
        "error": "invalid_client",
        "status": 400,
    }


def test_what_a_name_resolves_to_is_kept_from_tenants() -> None:
    assert told(unavailable(Reason.DNS, sent=False)) == told(unavailable(Reason.FORBIDDEN_ADDRESS, sent=False))


def test_a_refusal_tells_the_shown_code_alone() -> None:
    error = refusal(RawResponse(400, {}, b""), {"error": "invalid_grant", "suberror": "bad_token"}, "Refused")
    assert error.failure.codes == ("invalid_grant", "bad_token")
    assert told(error) == {"status": 400, "error": "invalid_grant"}
