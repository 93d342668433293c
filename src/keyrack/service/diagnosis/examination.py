"""Examines a client at its provider, all parts at the same time and within a bound, and changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from keyrack.clock import Clock
from keyrack.errors import KeyrackError, ProviderError, ProviderUnavailable
from keyrack.oauth import authorization_code, oauth1, pkce
from keyrack.oauth.diagnosis import authorization_answer, discovery
from keyrack.oauth.diagnosis.client_rules import judge_key, judge_offline, judge_redirect_uri, judge_secret_end
from keyrack.oauth.diagnosis.findings import Finding, Level, Places, worst_first, worst_of
from keyrack.oauth.id_token import new_nonce
from keyrack.oauth.issuer import metadata_requests
from keyrack.oauth.profiles.kinds import Grant
from keyrack.oauth.provider_text import printable
from keyrack.oauth.state import new_state
from keyrack.oauth.wire import QueryRequest
from keyrack.provider.client import ProviderClient
from keyrack.provider.faults import Reason
from keyrack.provider.probe import ProbeResult
from keyrack.provider.uri_guard import check_uri
from keyrack.service.clients.auth_client_profile import origin_of
from keyrack.service.consents.return_url import origin_of_page
from keyrack.service.diagnosis.exchanges import Exchange, Exchanges
from keyrack.service.diagnosis.subject import Subject
from keyrack.service.diagnosis.token_attempts import TokenAttempts
from keyrack.service.secrets.refresh.provider_limiter import ProviderLimiter

LONGEST = 20.0
"""Seconds that a diagnosis takes at most."""
_SOON = timedelta(days=21)
_LONGEST_NAMES = 300
_FIXED = "An auth client's addresses cannot be changed: make another client."
_ADDRESSES = ("authorization_endpoint", "token_endpoint", "refresh_endpoint", "revocation_endpoint", "issuer")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found of a client.

    Attributes:
        kind: its type as a resource.
        id: its id.
        name: what people know it by.
        at: when it was examined.
        findings: the worst first.
        exchanges: what was sent, and what came back.
    """

    kind: str
    id: str
    name: str
    at: datetime
    findings: Sequence[Finding]
    exchanges: Sequence[Exchange]

    @property
    def level(self) -> Level:
        """The worst that was found."""
        return worst_of(self.findings)


class Examiner:
    """Examines clients.

    Args:
        provider: calls, within the bounds of address, time and size that hold for every call.
        limiter: lets calls through, each tenant in its turn.
        clock: the time.
        has_public_url: whether the operator has set the base of our addresses.
        allow_insecure: accept http URLs and private addresses.
        longest: seconds.
    """

    def __init__(
        self,
        provider: ProviderClient,
        limiter: ProviderLimiter,
        clock: Clock,
        *,
        has_public_url: bool,
        allow_insecure: bool,
        longest: float = LONGEST,
    ) -> None:
        self._provider = provider
        self._limiter = limiter
        self._clock = clock
        self._has_public_url = has_public_url
        self._allow_insecure = allow_insecure
        self._longest = longest

    async def examine(self, subject: Subject, *, for_operator: bool = False) -> Diagnosis:
        """Examine a client; no transaction may be open.

        Args:
            subject: the client.
            for_operator: tell why an address cannot be reached, which tells something of the network inside.
        """
        at, profile = self._clock(), subject.profile
        secrets = [profile.client_secret, *subject.secrets, *([] if profile.signer is None else [profile.signer.key])]
        exchanges = Exchanges(self._provider, self._limiter, subject.tenant_id, secrets)
        parts: dict[str, Callable[[], Awaitable[Sequence[Finding]]]] = {}
        for origin, (uri, name) in _origins(subject).items():
            parts[f"tls of {origin}"] = lambda uri=uri, name=name: self._reached(  # type: ignore[misc]  # bound now
                subject, uri, name, for_operator=for_operator
            )
        if profile.token_endpoint:
            parts["client_authentication"] = lambda: self._attempts(subject, exchanges)
            parts["discovery"] = lambda: self._discovered(subject, exchanges)
        if profile.authorization_endpoint and profile.temporary_credentials_endpoint is None:
            parts["authorization_endpoint"] = lambda: self._authorization(subject, exchanges)
        findings = [*subject.findings, *self._known(subject, at), *await self._all(parts)]
        if subject.kind == "auth-client":
            findings = [_with_hint(finding, subject.places) for finding in findings]
        return Diagnosis(subject.kind, subject.id, subject.name, at, worst_first(findings), tuple(exchanges.kept))

    def _known(self, subject: Subject, at: datetime) -> Sequence[Finding]:
        """Return what can be told without asking anybody."""
        secret, provider = subject.places["client_secret"], subject.profile.provider
        comes_back = provider is None or provider.grant in {Grant.AUTHORIZATION_CODE, Grant.OAUTH1}
        found = [
            judge_redirect_uri(subject.redirect_uri, is_set=self._has_public_url) if comes_back else None,
            judge_secret_end(subject.secret_ends_at, at, secret),
            judge_key(subject.profile, subject.places),
        ]
        return [finding for finding in found if finding is not None]

    async def _all(self, parts: Mapping[str, Callable[[], Awaitable[Sequence[Finding]]]]) -> Sequence[Finding]:
        """Run all parts; what is not finished in time is told as such."""
        tasks = {name: asyncio.ensure_future(part()) for name, part in parts.items()}
        try:
            if tasks:
                await asyncio.wait(tasks.values(), timeout=self._longest)
        finally:
            for task in tasks.values():
                task.cancel()
            ended = await asyncio.gather(*tasks.values(), return_exceptions=True)
        found: list[Finding] = []
        for name, result in zip(tasks, ended, strict=True):
            if isinstance(result, asyncio.CancelledError):
                seen = f"This was not finished within {self._longest:.0f} seconds."
                found.append(Finding(name.partition(" ")[0], Level.warning, seen, "Try again later."))
            elif isinstance(result, KeyrackError):
                found.append(Finding(name.partition(" ")[0], Level.error, str(result)))
            elif isinstance(result, BaseException):
                raise result
            else:
                found += result
        return found

    async def _reached(self, subject: Subject, uri: str, name: str, *, for_operator: bool) -> Sequence[Finding]:
        result = await self._provider.probe(uri, tenant_id=subject.tenant_id)
        return [_of_probe(result, uri, name, subject.places, self._clock(), for_operator=for_operator)]

    async def _attempts(self, subject: Subject, exchanges: Exchanges) -> Sequence[Finding]:
        profile = subject.profile
        check_uri(profile.token_endpoint, allow_insecure=self._allow_insecure)
        if profile.temporary_credentials_endpoint is not None:
            return await self._temporary(subject, exchanges)
        grant = Grant.AUTHORIZATION_CODE if profile.provider is None else profile.provider.grant
        if grant is not Grant.AUTHORIZATION_CODE:
            seen = f"Cannot tell: nothing is tried with the grant {grant}, which would give tokens."
            return [Finding("client_authentication", Level.notice, seen)]
        return await TokenAttempts(subject, exchanges, self._clock).findings()

    async def _temporary(self, subject: Subject, exchanges: Exchanges) -> Sequence[Finding]:
        """Ask for temporary credentials, which end by themselves (RFC 5849 section 2.1)."""
        profile = subject.profile
        check_uri(profile.temporary_credentials_endpoint or "", allow_insecure=self._allow_insecure)
        callback = subject.redirect_uri or "oob"
        request = oauth1.build_temporary_request(profile, callback=callback, at=self._clock())
        try:
            answer = await exchanges.send("Request for temporary credentials", request, shows=False)
            oauth1.process_temporary_response(answer, sent=(profile.client_secret,))
        except ProviderError as error:
            seen = f"The provider gives no temporary credentials: {error} {' '.join(error.failure.said.values())}"
            change = "Compare consumer key and secret, and the callback address, with what the provider has."
            return [Finding("client_authentication", Level.error, seen, change, subject.places["client_secret"])]
        except ProviderUnavailable as error:
            return [Finding("client_authentication", Level.warning, f"Cannot tell: {error}", "Try again later.")]
        return [Finding("client_authentication", Level.ok, "The provider gives temporary credentials (OAuth 1.0a).")]

    async def _discovered(self, subject: Subject, exchanges: Exchanges) -> Sequence[Finding]:
        profile = subject.profile
        if profile.temporary_credentials_endpoint is not None:
            return []
        for issuer in [profile.issuer] if profile.issuer else discovery.likely_issuers(profile):
            for request in metadata_requests(issuer):
                check_uri(request.url, allow_insecure=self._allow_insecure)
                try:
                    answer = await exchanges.send("Metadata of the server", request)
                except ProviderUnavailable:
                    continue
                members = discovery.members_of_metadata(answer)
                if members is None:
                    continue
                if profile.issuer or origin_of_page(members["issuer"]) == origin_of_page(issuer):
                    return list(discovery.compare(members, profile, subject.scopes, subject.places))
        if profile.issuer:
            seen = f"The issuer {profile.issuer} does not say anything of itself (RFC 8414)."
            change = "Check the issuer; callbacks and ID tokens are judged by it."
            return [Finding(discovery.CHECK, Level.warning, seen, change, subject.places["issuer"])]
        return [Finding(discovery.CHECK, Level.notice, "The server does not say anything of itself that was found.")]

    async def _authorization(self, subject: Subject, exchanges: Exchanges) -> Sequence[Finding]:
        profile, scope = subject.profile, " ".join(subject.scopes)
        url = authorization_code.build_authorization_url(
            profile,
            redirect_uri=subject.redirect_uri or "https://keyrack.invalid/callback/oauth2",
            state=new_state(),
            scope=scope,
            code_challenge=profile.code_challenge(pkce.new_verifier()),
            nonce=new_nonce() if authorization_code.sends_nonce(profile, scope) else None,
            extra=subject.extra,
        )
        found = list(judge_offline(url, subject.scopes, subject.places))
        if "#" in url or subject.redirect_uri is None or (profile.provider and profile.provider.authorization.pushed):
            return found
        check_uri(url, allow_insecure=self._allow_insecure)
        request = QueryRequest(url, (), headers=(("Accept", "text/html"),))
        try:
            answer = await exchanges.send("Authorization request, as of a browser without cookies", request)
        except ProviderUnavailable as error:
            seen = f"Cannot tell whether the authorization request is taken: {error}"
            return [*found, Finding(authorization_answer.CHECK, Level.warning, seen)]
        sent = (profile.client_secret, *subject.secrets)
        return [*found, authorization_answer.judge_page(answer, subject.redirect_uri, subject.places, sent)]


def _origins(subject: Subject) -> Mapping[str, tuple[str, str]]:
    """Return an address of each server that the client names, with what it is; each server is connected to once."""
    found: dict[str, tuple[str, str]] = {}
    for name in _ADDRESSES:
        uri = getattr(subject.profile, name)
        if uri and urlsplit(uri).netloc:
            found.setdefault(origin_of(uri), (uri, name))
    return found


def _of_probe(
    result: ProbeResult, uri: str, name: str, places: Places, now: datetime, *, for_operator: bool
) -> Finding:
    parts = urlsplit(uri)
    server, place = f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}", places[name]
    if result.reason is not None:
        return Finding("endpoint", Level.error, f"{server}: {_why(result, for_operator=for_operator)}",
                       "Check the address; if it is right, ask the provider, or who runs this network.",
                       place)  # fmt: skip
    if result.tls is None:
        seen = f"{server} can be reached, without TLS: secrets and tokens go there in the clear."
        return Finding("endpoint", Level.warning, seen, "Use an https address.", place)
    seen = f"{server} can be reached with {result.tls}"
    if result.certificate is None:
        return Finding("endpoint", Level.ok, f"{seen}.")
    ends = result.certificate.ends_at
    seen = f"{seen}; its certificate is good until {ends.date().isoformat()}."
    if ends <= now + _SOON:
        return Finding("endpoint", Level.notice, seen, "Expect that the provider renews its certificate.", place)
    return Finding("endpoint", Level.ok, seen)


def _why(result: ProbeResult, *, for_operator: bool) -> str:
    """Return why there is no connection; whether a name resolves and to what is told to operators only."""
    if result.reason is Reason.TLS:
        seen = f"no secure connection: {result.fault or 'TLS failed'}"
        if result.certificate is None:
            return f"{seen}."
        names = printable(", ".join(result.certificate.names) or "no name", _LONGEST_NAMES)
        ends = result.certificate.ends_at.isoformat(timespec="seconds")
        return f"{seen}; its certificate is for {names}, and good until {ends}."
    if result.reason in {Reason.DNS, Reason.FORBIDDEN_ADDRESS} and not for_operator:
        return "the name does not resolve, or its address is not one that may be called."
    return {
        Reason.DNS: "the name does not resolve.",
        Reason.FORBIDDEN_ADDRESS: "its address is not one that may be called.",
        Reason.TIMEOUT: "no connection came about in time.",
    }.get(result.reason or Reason.CONNECT, "no connection could be made.")


def _with_hint(finding: Finding, places: Places) -> Finding:
    """Return a finding of an auth client, with what to do about an address, which cannot change (contract 14.3)."""
    fixed = {places[name] for name in _ADDRESSES}
    if finding.place not in fixed or not finding.change:
        return finding
    return replace(finding, change=f"{finding.change} {_FIXED}")
