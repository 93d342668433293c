"""Plays a provider of OAuth 1.0a for one connection: temporary credentials, authorization, token credentials."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from oauthlib.oauth1 import AccessTokenEndpoint, RequestTokenEndpoint
from oauthlib.oauth1.rfc5849.utils import parse_authorization_header

from keyrack.clock import now
from keyrack.crypto.secret import Secret
from keyrack.oauth.profiles.request_parts import OAuth1
from keyrack.simulator.config import Client
from keyrack.simulator.oauth1_book import OAuth1Book, Validator
from keyrack.simulator.twin.expectation import Difference, Expected, differing, masked
from keyrack.simulator.twin.orders import Reading
from keyrack.simulator.twin.received import FORM, Pair, Received, Reply, Unreadable, pairs_of
from keyrack.simulator.twin.templates import chosen, written

REFUSAL = "token_rejected"
"""`oauth_problem` of a refusal that was asked for."""
_LIFETIME = 600
_LOGIN = "alice"
_UNAUTHORIZED = 401
_OK = 200


@dataclass
class OAuth1Twin:
    """A provider that takes requests of one client, and refuses what differs from its profile.

    Signatures, timestamps and nonces are judged by oauthlib.

    Attributes:
        reading: the profile, the client and the connection.
        refuses: answer the next request with an error.
        differences: what was not as the profile says, of all requests.
        requests: every request that came, as it can be shown: secrets are masked.
        token: the newest token credentials; empty before the first.
        token_secret: their secret.
    """

    reading: Reading
    refuses: bool = False
    differences: list[Difference] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    token: str = ""
    token_secret: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        registered = self.reading.registered
        secret = Secret(registered.client_secret)
        client = Client(client_id=registered.client_id, client_secret=secret, redirect_uris=(registered.redirect_uri,))
        self._book = OAuth1Book(now)
        self._validator = Validator({client.client_id: client}, self._book, _LIFETIME)

    @property
    def _oauth1(self) -> OAuth1:
        return self.reading.profile.oauth1 or OAuth1()

    def open_in_browser(self, url: str) -> str:
        """Be the user's browser at an authorization address, and a user who agrees (RFC 5849 section 2.2).

        Returns:
            Where the browser is sent back to; empty if the twin has refused, which is then among the differences.
        """
        received, before = Received("GET", url), len(self.differences)
        found = self.reading.endpoint("authorization")
        if found is None or received.address != found[0]:
            self._differs("authorization", f"it goes to {received.address}", "/endpoints/authorization")
            return ""
        sent = self._pairs("authorization", received.query)
        temporary = self._book.temporary(next((each.value for each in sent if each.name == "oauth_token"), ""))
        expected = {
            "oauth_token": Expected("/oauth1", "" if temporary is None else temporary.token, secret=True),
            **{pair.name: Expected("/endpoints/authorization", pair.value) for pair in found[1]},
            **self._said("/authorization/parameters", self.reading.profile.authorization.parameters),
        }
        scopes = self.reading.profile.scopes
        if scopes.default and "scope" not in expected:
            expected["scope"] = Expected("/scopes/default", scopes.separator.join(scopes.default))
        self._show("authorization", received, sent, expected)
        for what, pointer in differing("the parameter", expected, sent, "/authorization/parameters"):
            self._differs("authorization", what, pointer)
        if temporary is None or len(self.differences) > before:
            return ""
        verifier = self._book.authorize(temporary, _LOGIN)
        return f"{temporary.callback}?{urlencode({'oauth_token': temporary.token, 'oauth_verifier': verifier})}"

    def serve(self, received: Received) -> Reply:
        """Answer a request of Keyrack's own; what differs from the profile is refused and kept."""
        protocol = self._protocol(received)
        name = "token" if "oauth_verifier" in protocol else "temporary_credentials"
        found, before = self.reading.endpoint(name), len(self.differences)
        if found is None or received.address != found[0]:
            self._differs(name, f"it went to {received.address}", f"/endpoints/{name}")
            return Reply(404, urlencode({"oauth_problem": "not_found"}), content_type=FORM)
        sent = self._pairs(name, received.query)
        expected = {pair.name: Expected(f"/endpoints/{name}", pair.value) for pair in found[1]}
        if name == "temporary_credentials":
            expected |= self._said("/oauth1/request_parameters", self._oauth1.request_parameters)
        self._show(name, received, sent, expected)
        for what, pointer in differing("the parameter", expected, sent, "/oauth1/request_parameters"):
            self._differs(name, what, pointer)
        if received.method != "POST" or received.body:
            self._differs(name, "it must be a POST without a body", "/oauth1")
        if protocol.get("oauth_signature_method") != self._oauth1.signature_method:
            said = protocol.get("oauth_signature_method")
            self._differs(name, f"it is signed with {said}", "/oauth1/signature_method")
        if self.refuses:
            self.refuses = False
            return Reply(_UNAUTHORIZED, urlencode({"oauth_problem": REFUSAL}), content_type=FORM)
        status, text = self._judged(name, received)
        if status != _OK:
            self._differs(name, f"oauthlib refuses it with status {status}: {text}", "/oauth1")
        if len(self.differences) > before:
            return Reply(_UNAUTHORIZED, urlencode({"oauth_problem": "parameter_rejected"}), content_type=FORM)
        if name == "token":
            given = dict(parse_qsl(text))
            self.token, self.token_secret = given["oauth_token"], given["oauth_token_secret"]
        return Reply(_OK, text, content_type=FORM)

    def _judged(self, name: str, received: Received) -> tuple[int, str]:
        headers = {"Authorization": received.header("authorization") or ""}
        try:
            if name == "token":
                endpoint = AccessTokenEndpoint(self._validator)
                _, text, status = endpoint.create_access_token_response(received.url, "POST", "", headers)
            else:
                endpoint = RequestTokenEndpoint(self._validator)
                _, text, status = endpoint.create_request_token_response(received.url, "POST", "", headers)
        except ValueError as wrong:
            return 400, str(wrong)
        return status, text or ""

    def _said(self, pointer: str, own: Mapping[str, Any]) -> dict[str, Expected]:
        """Return parameters that the profile adds; a template without a value for its placeholders is left out."""
        expected = {}
        for name, value in own.items():
            if isinstance(value, bool):
                expected[name] = Expected(f"{pointer}/{name}", str(value).lower())
            elif isinstance(value, int):
                expected[name] = Expected(f"{pointer}/{name}", str(value))
            elif value is not None and (text := chosen(value, self.reading.public)) is not None:
                expected[name] = Expected(f"{pointer}/{name}", written(text, self.reading.public))
        return expected

    def _protocol(self, received: Received) -> dict[str, str]:
        """Return the protocol parameters, which are in the `Authorization` header (RFC 5849 section 3.5.1)."""
        try:
            return dict(parse_authorization_header(received.header("authorization") or ""))
        except ValueError:
            return {}

    def _pairs(self, request: str, query: str) -> list[Pair]:
        try:
            return pairs_of(query)
        except Unreadable as wrong:
            self._differs(request, str(wrong), "/endpoints")
            return []

    def _show(self, request: str, received: Received, sent: list[Pair], expected: Mapping[str, Expected]) -> None:
        shown = {"request": request, "method": received.method, "address": received.address}
        self.requests.append({**shown, "parameters": masked(sent, expected)})

    def _differs(self, request: str, what: str, pointer: str) -> None:
        self.differences.append(Difference(request, what, pointer))
