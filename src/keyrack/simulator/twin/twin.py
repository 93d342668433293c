"""Plays one provider for one connection: authorization, tokens, refreshes, userinfo, revocation."""

import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from keyrack.oauth.profiles.kinds import Grant, Pkce
from keyrack.simulator.twin.answers import error_answer, nth, put, tokens_answer
from keyrack.simulator.twin.direct_grants import GRANT_TYPES, direct_order
from keyrack.simulator.twin.expectation import Expected, differing, masked
from keyrack.simulator.twin.orders import (
    authorization_parameters,
    code_order,
    device_code_order,
    device_order,
    exchange_order,
    pushed_order,
    pushed_parameters,
    refresh_order,
)
from keyrack.simulator.twin.received import Pair, Received, Reply, Unreadable, pairs_of, unescaped
from keyrack.simulator.twin.state import values_of
from keyrack.simulator.twin.token_questions import TokenQuestions

LIFETIME = 5400
"""Seconds that access tokens live, where the answer says so."""
REFUSAL = "The twin was told to refuse."
"""`error_description` of a refusal that was asked for."""
USER_CODE, VERIFICATION_URI = "TWIN-CODE", "https://twin.example/device"
"""What a person is to enter where, with the grant for devices."""
_METADATA = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")


@dataclass(frozen=True, slots=True)
class _Code:
    challenge: str
    scopes: tuple[str, ...]


@dataclass
class Twin(TokenQuestions):
    """A provider that takes requests of one client and one connection, and refuses what differs from its profile."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._codes: dict[str, _Code] = {}
        self._first_token = ""  # that waits to be exchanged
        self._device_code = ""
        self._pushed: dict[str, dict[str, Any]] = {}
        self._serving: Mapping[str, Callable[[Received], Reply]] = {
            "exchange": self._exchange,
            "token": self._token,
            "refresh": self._refresh,
            "revocation": self._revoke,
            "introspection": self._introspect,
            "device_authorization": self._device,
            "pushed_authorization": self._push,
            "userinfo": self._userinfo,
            "after_connecting": self._called,
            "issuer": self._metadata,
        }

    @property
    def gives_refresh_tokens(self) -> bool:
        """Whether there are refresh tokens: not where the profile says that tokens do not end, and no more of them."""
        said, lifetimes = self.profile, self.profile.lifetimes
        more = (said.refresh, said.endpoints.refresh, lifetimes.refresh_token, lifetimes.rotates)
        if said.grant in GRANT_TYPES and said.grant is not Grant.PASSWORD:
            return False  # they are not needed (RFC 6749 section 4.4.3)
        return lifetimes.access_token != 0 or any(each is not None for each in more)

    @property
    def renews(self) -> bool:
        """Whether there are new tokens for old ones: for refresh tokens, or since nobody has to agree."""
        return self.gives_refresh_tokens or self.profile.grant in GRANT_TYPES

    @property
    def is_one_token(self) -> bool:
        """Whether the access token is the refresh token too: where the profile has both in one place."""
        answer = self.profile.answer
        return nth(answer.refresh_token, self.turn) == nth(answer.access_token, self.turn)

    @property
    def says_lifetime(self) -> bool:
        """Whether the answer to a code says how long the token lives: not where the profile says it instead."""
        return self.profile.lifetimes.access_token is None

    @property
    def says_why(self) -> bool:
        """Whether an error has a text beside its code: not where the profile has both in one place."""
        return nth(self.profile.answer.error, 0) != nth(self.profile.answer.error_description, 0)

    def open_in_browser(self, url: str) -> str:
        """Be the user's browser at an authorization address, and a user who agrees.

        Returns:
            Where the browser is sent back to; empty if the twin has refused, which is then among the differences.
        """
        received = Received("GET", url)
        before = len(self.differences)
        found = self._reading.endpoint("authorization")
        if found is None:
            self._differs("authorization", "the profile has no such endpoint", "/endpoints/authorization")
            return ""
        if received.address != found[0]:
            self._differs("authorization", f"it goes to {received.address} and not to {found[0]}", "/endpoints")
        sent = self._of_browser(received)
        pushed = self._pushed_as(sent) if self.profile.authorization.pushed else None
        expected = authorization_parameters(self._reading) if pushed is None else pushed[0]
        shown = {"request": "authorization", "method": "GET", "address": received.address}
        self.requests.append({**shown, "parameters": masked(sent, expected)})
        for what, pointer in differing("the parameter", expected, sent, "/authorization/parameters"):
            self._differs("authorization", what, pointer)
        if len(self.differences) > before:
            return ""
        return self._back({each.name: each.value for each in sent} if pushed is None else pushed[1])

    def _pushed_as(self, sent: Sequence[Pair]) -> tuple[Mapping[str, Expected], dict[str, Any]]:
        """Return what an address must have whose request was pushed, and what was pushed; it counts once."""
        named = next((str(each.value) for each in sent if each.name == "request_uri"), "")
        pushed = self._pushed.pop(named, None)
        if pushed is None:
            self._differs("authorization", "nothing was pushed under its request_uri", "/authorization/pushed")
        return pushed_parameters(self._reading, named), pushed or {}

    def serve(self, received: Received) -> Reply:
        """Answer a request of Keyrack's own; what differs from the profile is refused and kept."""
        name = self._name(received)
        if name is None:
            where = f"{received.method} {received.address}"
            self._differs("unknown", f"{where} was asked, where the profile has nothing", "/endpoints")
            return Reply(404, {"error": "not_found"})
        return self._serving[name](received)

    def _of_browser(self, received: Received) -> list[Pair]:
        """Return the parameters of an authorization address, those that are sent as they are as they were sent."""
        said = self.profile.authorization
        fragment = received.fragment
        if fragment != said.in_fragment:
            self._differs("authorization", f"the fragment is {fragment!r}", "/authorization/in_fragment")
        try:
            sent = pairs_of(received.query)
        except Unreadable as wrong:
            self._differs("authorization", str(wrong), "/authorization")
            return []
        plain = [each for each in sent if "*" in said.unencoded or each.name in said.unencoded]
        return [Pair(each.name, unescaped(each), each.raw) if each in plain else each for each in sent]

    def _back(self, sent: Mapping[str, str]) -> str:
        def of(name: str) -> str:
            return sent.get(self.profile.authorization.rename.get(name, name), "")

        code = secrets.token_urlsafe(24)
        self._codes[code] = _Code(of("code_challenge"), self._reading.scopes)
        callback = self.profile.callback
        answer = {callback.code: code, callback.state: of("state")}
        for name in callback.learned:
            if name in self.told:
                answer[name] = self._reading.learned[name] = self.told[name]
        issuer = self._reading.endpoint("issuer")
        if issuer is not None:
            answer["iss"] = issuer[0]
        joint = "&" if "?" in self.registered.redirect_uri else "?"
        return f"{self.registered.redirect_uri}{joint}{urlencode(answer)}"

    def _name(self, received: Received) -> str | None:
        """Return which of the provider's endpoints a request is for."""
        endpoints = [name for name in self._serving if name not in {"revocation", "after_connecting"}]
        at = [name for name in endpoints if (self._reading.endpoint(name) or ("",))[0] == received.address]
        for name, orders in (("revocation", self._revocations()), ("after_connecting", self._calls())):
            at += [name for order in orders.values() if order.address == received.address]
        shown = values_of(received)
        if "exchange" in at and not (self._first_token and self._first_token in shown):
            at.remove("exchange")
        if "exchange" in at:
            return "exchange"
        if "token" in at and "refresh" in at:
            at.remove("token" if self.refresh_token and self.refresh_token in shown else "refresh")
        issuer = self._reading.endpoint("issuer")
        if not at and issuer is not None and any(received.address.endswith(each) for each in _METADATA):
            return "issuer"
        return at[0] if at else None

    def _token(self, received: Received) -> Reply:
        if self.profile.grant in GRANT_TYPES:
            return self._direct(received)
        if self.profile.grant is Grant.DEVICE_CODE:
            return self._device_token(received)
        code = next((each for each in values_of(received) if each in self._codes), None)
        known = self._codes.pop(code) if code is not None else _Code("", ())
        refused = self._refused(received, code_order(self._reading, code or "a code", known.challenge))
        if refused is not None:
            return refused
        self._scopes = known.scopes
        reply = self._first_tokens()
        if self.profile.exchange is not None:
            self._first_token = self.access_token
        return reply

    def _device(self, received: Received) -> Reply:
        refused = self._refused(received, device_order(self._reading))
        if refused is not None:
            return refused
        self._device_code, self.agrees = secrets.token_urlsafe(24), False
        self._scopes = self._reading.scopes
        codes = {"device_code": self._device_code, "user_code": USER_CODE, "verification_uri": VERIFICATION_URI}
        return Reply(200, {**codes, "expires_in": 600, "interval": 1})

    def _device_token(self, received: Received) -> Reply:
        refused = self._refused(received, device_code_order(self._reading, self._device_code))
        if refused is not None:
            return refused
        if not self.agrees:
            return Reply(*error_answer(self.profile.answer, "authorization_pending", "Nobody has entered the code."))
        self._device_code = ""
        return self._first_tokens()

    def _push(self, received: Received) -> Reply:
        refused = self._refused(received, pushed_order(self._reading))
        if refused is not None:
            return refused
        request_uri = f"urn:ietf:params:oauth:request_uri:{secrets.token_urlsafe(16)}"
        self._pushed[request_uri] = {each.name: each.value for each in pairs_of(received.body.decode())}
        return Reply(201, {"request_uri": request_uri, "expires_in": 60})

    def _exchange(self, received: Received) -> Reply:
        refused = self._refused(received, exchange_order(self._reading, self._first_token))
        if refused is not None:
            return refused
        self._first_token = ""
        return self._first_tokens()

    def _direct(self, received: Received) -> Reply:
        refused = self._refused(received, direct_order(self._reading))
        if refused is not None:
            return refused
        if self.refuses:
            return self._refusal()
        self._scopes = self._reading.scopes
        return self._tokens(LIFETIME, with_refresh_token=False) if self.access_token else self._first_tokens()

    def _first_tokens(self) -> Reply:
        if self.gives_refresh_tokens:
            self.refresh_token = secrets.token_urlsafe(32)
        lifetime = LIFETIME if self.says_lifetime or self.turn else None
        return self._tokens(lifetime, with_refresh_token=self.gives_refresh_tokens)

    def _refusal(self) -> Reply:
        self.refuses = False
        code = nth(self.profile.answer.final_errors, 0) if self.profile.answer.final_errors else "invalid_grant"
        return Reply(*error_answer(self.profile.answer, code, REFUSAL))

    def _refresh(self, received: Received) -> Reply:
        refused = self._refused(received, refresh_order(self._reading, self.refresh_token, self._scopes))
        if refused is not None:
            return refused
        if self.refuses:
            return self._refusal()
        rotates = bool(self.profile.lifetimes.rotates)
        if rotates:
            self.refresh_token = secrets.token_urlsafe(32)
        return self._tokens(LIFETIME, with_refresh_token=rotates)

    def _new_token(self) -> str:
        """Return a new access token; where the profile reads claims of it, a JWT that nobody has signed."""
        claims: dict[str, Any] = {}
        for name, path in self.profile.answer.token_claims.items():
            put(claims, path, self.told[name])
            self._reading.learned[name] = self.told[name]
        if not claims:
            return secrets.token_urlsafe(32)
        parts = ({"alg": "RS256", "typ": "JWT"}, {**claims, "jti": secrets.token_urlsafe(8)})
        texts = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
        return ".".join([*texts, secrets.token_urlsafe(32)])

    def _tokens(self, lifetime: int | None, *, with_refresh_token: bool) -> Reply:
        self.access_token = self._new_token()
        tokens: dict[str, Any] = {"access_token": self.access_token}
        if self.is_one_token and self.gives_refresh_tokens:
            self.refresh_token = self.access_token
        elif with_refresh_token:
            tokens["refresh_token"] = self.refresh_token
        if lifetime is not None:
            tokens["expires_in"] = lifetime
        if self._scopes:
            tokens["scope"] = self.profile.scopes.separator.join(self._scopes)
        more = {path: self.told[path] for path in self.profile.answer.learned if path in self.told}
        self._reading.learned.update(more)
        if self._reading.endpoint("userinfo") is None:
            more |= self._account()
        return Reply(200, tokens_answer(self.profile.answer, tokens, more, self.turn))

    def _metadata(self, received: Received) -> Reply:
        del received
        names = ("authorization", "token", "revocation", "introspection", "userinfo")
        found = {name: self._reading.endpoint(name) for name in names}
        document: dict[str, Any] = {f"{name}_endpoint": at[0] for name, at in found.items() if at is not None}
        issuer = self._reading.endpoint("issuer")
        document["issuer"] = "" if issuer is None else issuer[0]
        document["response_types_supported"] = ["code"]
        document["authorization_response_iss_parameter_supported"] = True
        if self.profile.pkce is not Pkce.OFF:
            document["code_challenge_methods_supported"] = [self.profile.pkce.value]
        return Reply(200, document)
