"""Ends a connect link together with the consent that it led to: status, event, and what its page is told (decision 26).

Whatever happens in several tabs, one consent counts for a link, and its outcome is written in the consent's own
transaction: no link makes two credentials, and none stays open beside what it has made.
"""

from keyrack.errors import KeyrackError, StateConflict
from keyrack.model import Json
from keyrack.model.consents import ConnectLink, ConnectLinkStatus, Consent
from keyrack.model.events import EventType
from keyrack.service.consents.failure_text import said_by_provider, told_of
from keyrack.service.consents.values import ConnectReport, ConsentHandlers
from keyrack.store.connect_links import ConnectLinkRows
from keyrack.store.core.unit import Unit
from keyrack.store.outbox import Outbox

_DENIALS = frozenset(
    {"access_denied", "consent_required", "user_cancelled_authorize", "user_cancelled_login", "authorization_declined"}
)
"""Codes with which providers say that the person did not agree (RFC 6749 section 4.1.2.1; OpenID Connect; LinkedIn;
Microsoft)."""


class ConnectOutcomes:
    """What becomes of connect links.

    Args:
        targets: what consents make.
    """

    def __init__(self, targets: ConsentHandlers) -> None:
        self._targets = targets

    async def require_current(self, unit: Unit, consent: Consent) -> None:
        """Refuse a consent that another one has replaced for its connect link, before its code is used.

        Raises:
            StateConflict: it does not count, or the link was used.
        """
        link_id = consent.context.connect_link_id
        if link_id is None:
            return
        link = await ConnectLinkRows(unit).find(link_id)
        if link is None or link.status is not ConnectLinkStatus.opened or link.consent_id != consent.id:
            raise StateConflict("the link was used or opened anew in another tab")

    async def connected(self, unit: Unit, consent: Consent, result_id: str) -> None:
        """Note what a consent has made.

        Raises:
            StateConflict: another consent counts for the link; nothing may be stored.
        """
        link_id = consent.context.connect_link_id
        if link_id is None:
            return
        status = ConnectLinkStatus.connected
        if not await ConnectLinkRows(unit).end(link_id, consent.id, status, result_id=result_id):
            raise StateConflict("the link was used or opened anew in another tab")
        facts = {**_facts(consent, status), self._targets.of(consent.auth_client_id).parameter: result_id}
        await Outbox(unit).add(EventType.connect_link_connected, facts)

    async def failed(self, unit: Unit, consent: Consent, error: KeyrackError) -> None:
        """Note why a consent has made nothing; not where another one counts for the link."""
        link_id = consent.context.connect_link_id
        if link_id is None:
            return
        denied = said_by_provider(error).get("error") in _DENIALS
        status = ConnectLinkStatus.denied if denied else ConnectLinkStatus.failed
        if await ConnectLinkRows(unit).end(link_id, consent.id, status, error=told_of(error)):
            await Outbox(unit).add(EventType.connect_link_failed, _facts(consent, status))

    async def report(self, unit: Unit, consent: Consent) -> ConnectReport | None:
        """Return what the page is told that opened the link; None if the link names none."""
        link_id = consent.context.connect_link_id
        link = None if link_id is None else await ConnectLinkRows(unit).find(link_id)
        if link is None or link.opener_origin is None:
            return None
        return ConnectReport(link.opener_origin, self._told(link, consent, unit))

    def _told(self, link: ConnectLink, consent: Consent, unit: Unit) -> dict[str, str]:
        told = {"status": link.status_at(unit.clock()).value, "connect_link_id": link.id}
        if link.result_id is not None:
            told[self._targets.of(consent.auth_client_id).parameter] = link.result_id
        return told


def _facts(consent: Consent, status: ConnectLinkStatus) -> Json:
    return {
        "connect_link_id": consent.context.connect_link_id,
        "workspace_id": consent.workspace_id,
        "status": status.value,
    }
