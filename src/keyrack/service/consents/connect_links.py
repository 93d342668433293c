"""Makes connect links, with which people without an account connect one for a workspace, and tells their outcome.

What a person does with one is `connect_page`; what becomes of it, `connect_outcome` (decision 26).
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

from keyrack.clock import Clock
from keyrack.crypto.secret import Secret, derived
from keyrack.errors import NotFound
from keyrack.ids import new_id
from keyrack.model.consents import ConnectLink, ConnectLinkStatus
from keyrack.model.identity import Principal
from keyrack.model.once import Once
from keyrack.oauth.state import new_state
from keyrack.service.authz.access import Access
from keyrack.service.consents.return_url import checked_origin, checked_return_url, with_result
from keyrack.service.consents.start import ConsentStart
from keyrack.service.consents.values import ConsentHandlers, NewConsent
from keyrack.store.connect_links import ConnectLinkRows
from keyrack.store.connect_themes import ConnectThemeRows
from keyrack.validation.unvalidated import Unvalidated

PATH = "/connect"
"""Where the links lead; the secret part of one is in its query, which no log has (contract 0.18)."""

TARGET = "connect-link"
"""What the audit log calls one."""

SHORTEST, LONGEST, USUAL = timedelta(minutes=1), timedelta(days=7), timedelta(hours=1)
"""For how long a link can be good, and is unless its maker says otherwise."""

_ORIGIN_POINTER = "/data/attributes/opener_origin"


@dataclass(frozen=True, slots=True)
class NewConnectLink:
    """What a caller sends to make a connect link.

    Attributes:
        consent: what is to be connected, as a consent is started with.
        opener_origin: the origin of the page that opens the link in a popup and is told the outcome, as it was sent.
        lifetime: for how long somebody can go on from its page.
    """

    consent: NewConsent
    opener_origin: str | None
    lifetime: timedelta


@dataclass(frozen=True, slots=True)
class MadeConnectLink:
    """A link that was just made, with its address, which is known this once."""

    link: ConnectLink
    url: Secret


class ConnectLinks:
    """For those who may start consents.

    Args:
        access: the way into every operation.
        start: judges what is to be connected.
        targets: what consents make.
        clock: the time.
    """

    def __init__(self, access: Access, start: ConsentStart, targets: ConsentHandlers, clock: Clock) -> None:
        self._access = access
        self._start = start
        self._targets = targets
        self._clock = clock

    async def create(
        self, who: Principal, workspace_id: str, new: Unvalidated[NewConnectLink], once: Once | None = None
    ) -> MadeConnectLink:
        """Make a link; it is returned this once.

        Args:
            who: the caller.
            workspace_id: where.
            new: what it is for.
            once: of a form that may be sent twice: one that was made of it already is returned again.

        What could not be connected now is refused now. It is judged again when somebody uses the link.

        Raises:
            ValidationFailed: the body is wrong, the origin is none, the return URL is foreign.
            QuotaExceeded: too many links and consents of the tenant are pending.
            KeyrackError: as starting the consent does.
        """
        async with self._access.workspace(who, workspace_id, "connect-link.create") as scope:
            wanted, _, base = await self._start.judge(scope, Unvalidated(lambda: new.validated().consent))
            given, now = new.validated(), self._clock()
            link_id, token = (new_id(), new_state()) if once is None else (once.id, _token_of(once.seed))
            made = None if once is None else await ConnectLinkRows(scope.unit).find(once.id)
            if made is not None and made.workspace_id == workspace_id and made.user_id == who.id:
                scope.audit_target(TARGET, made.id)
                return MadeConnectLink(made, Secret(f"{base}{PATH}?link={token}"))
            back = with_result(wanted.return_url, "connect_link_id", link_id)
            allowed = () if back is None else await ConnectThemeRows(scope.unit).return_origins()
            asked = replace(
                wanted,
                return_url=None if back is None else checked_return_url(back, base, allowed),
                bound=True,
                connect_link_id=link_id,
            )
            link = ConnectLink(
                id=link_id,
                tenant_id=scope.unit.tenant_id,
                workspace_id=workspace_id,
                user_id=who.id,
                wanted=asdict(asked),
                opener_origin=_opener(given.opener_origin),
                created_at=now,
                expires_at=now + given.lifetime,
            )
            await ConnectLinkRows(scope.unit).add(link, connect_link_hash(token))
            scope.audit_target(TARGET, link.id)
        return MadeConnectLink(link, Secret(f"{base}{PATH}?link={token}"))

    async def list(
        self, who: Principal, workspace_id: str, status: ConnectLinkStatus | None = None, *, limit: int, offset: int
    ) -> tuple[Sequence[ConnectLink], int]:
        """List the caller's own links in a workspace, perhaps of one status, the newest first; return a page, total."""
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require(*self._targets.permissions)
            found, total = await ConnectLinkRows(scope.unit).page(
                workspace_id, who.id, status, limit=limit, offset=offset
            )
            now = self._clock()
            return [replace(link, status=link.status_at(now)) for link in found], total

    async def get(self, who: Principal, workspace_id: str, link_id: str) -> ConnectLink:
        """Return a link to the one who made it.

        Raises:
            NotFound: there is none, or somebody else made it.
        """
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require(*self._targets.permissions)
            link = await ConnectLinkRows(scope.unit).find(link_id)
            if link is None or link.workspace_id != workspace_id or link.user_id != who.id:
                if link is not None:
                    self._access.counts.denied(who, scope.place.tenant_id, ("connect-link", link_id))
                raise NotFound("there is no such connect link of yours")
            return replace(link, status=link.status_at(self._clock()))


def _token_of(seed: Secret) -> str:
    """Return the secret part of a link that a page has in store: always the same one for a seed of 256 random bits."""
    return urlsafe_b64encode(derived(seed, "connect link")).decode().rstrip("=")


def connect_link_hash(token: str) -> str:
    """Return the hash under which a link is found by its secret part: 64 hex characters, never those of another."""
    text = token.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=32, person=b"keyrack connect").hexdigest()


def _opener(given: str | None) -> str | None:
    return None if given is None else checked_origin(given, _ORIGIN_POINTER)
