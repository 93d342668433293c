"""Sends mail from the database: at least once, with back-off, by any number of workers (decision 24).

A mail is claimed in one transaction and settled in another; none is open while the mail server is being called. One
whose link or invite has ended meanwhile is not sent any more.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from email.headerregistry import Address
from enum import StrEnum

import structlog

from keyrack import metrics
from keyrack.fair_share import Places
from keyrack.mail.message import Undeliverable, recipient_of, write_message
from keyrack.mail.smtp import MailClient, MailNotSent
from keyrack.model import Json
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.service.authz.access import ALLOWED, FAILED
from keyrack.service.jobs.backoff import BackOff
from keyrack.service.jobs.claimed_jobs import ClaimedJobs, JobKind
from keyrack.service.tenancy.setup_links import LIFETIME
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.invites import ContractInvites
from keyrack.store.mails import ClaimedMail, DueMails, Mails
from keyrack.store.setup_links import SetupLinks

log = structlog.get_logger()

WORKER = Principal(PrincipalKind.system, "", "mail")

BACK_OFF = BackOff(first=timedelta(seconds=10), factor=4, longest=timedelta(hours=1))
"""10 s, 40 s, 160 s … 1 h, until the link has expired."""

_AT_ONCE = 8
_SETTLING = timedelta(seconds=60)


class MailOutcome(StrEnum):
    """What became of a mail."""

    sent = "sent"
    failed = "failed"
    obsolete = "obsolete"
    """What it is about has ended before it could be sent."""


class Mailer:
    """Sends what is due.

    Args:
        store: where the mails are.
        client: what calls the mail server.
        sender: whom mail is from.
        timeout: seconds a call of the client takes at most; a claim is held longer than that.
        patience: seconds a `tick` waits for a slow server before it leaves the mails to the next one.
        back_off: how mails that were not taken are tried again.
    """

    def __init__(
        self,
        store: Store,
        client: MailClient,
        sender: Address,
        *,
        timeout: float,
        patience: float = 1.0,
        back_off: BackOff = BACK_OFF,
    ) -> None:
        self._store = store
        self._client = client
        self._sender = sender
        self._lease = timedelta(seconds=timeout) + _SETTLING
        self._back_off = back_off
        kind = JobKind(any_due=_any_due, claim=self._claim, work=self._work, most=_AT_ONCE, timeout=timeout)
        self._jobs = ClaimedJobs(store, kind, patience)

    async def tick(self) -> int:
        """Start sending what is due; return how many attempts have ended since the last call.

        Raises:
            DatabaseUnavailable: the database cannot be reached; nothing is lost.
        """
        return await self._jobs.tick()

    async def close(self) -> None:
        """Let calls that are under way end; what does not end in time is due again later."""
        await self._jobs.close()

    async def _claim(self, unit: Unit, places: Places) -> Sequence[ClaimedMail]:
        return await DueMails(unit).claim(places, self._lease)

    async def _work(self, mail: ClaimedMail) -> None:
        if mail.content is None:
            await self._finish(mail, MailOutcome.failed, "unreadable")
        elif not await self._is_wanted(mail, mail.content):
            await self._finish(mail, MailOutcome.obsolete, None)
        else:
            await self._send(mail, mail.content)

    async def _is_wanted(self, mail: ClaimedMail, content: Json) -> bool:
        """Tell whether what a mail is about is still there: its link, or else its invite."""
        async with self._store.unit(mail.tenant_id) as unit:
            if (link_id := content.get("setup_link_id")) is not None:
                return await SetupLinks(unit).is_good(link_id)
            return await ContractInvites(unit).by_id(mail.target[1]) is not None

    async def _send(self, mail: ClaimedMail, content: Json) -> None:
        try:
            message = write_message(self._sender, mail.id, content, self._store.clock())
            recipient = recipient_of(content["email"]).addr_spec
            await self._client.send(message, self._sender.addr_spec, recipient)
        except Undeliverable:
            await self._finish(mail, MailOutcome.failed, "address")
        except MailNotSent as error:
            due_at = None if error.for_good else self._next_try(mail)
            if due_at is None:
                await self._finish(mail, MailOutcome.failed, error.reason)
            else:
                await self._postpone(mail, due_at, error.reason)
        else:
            await self._finish(mail, MailOutcome.sent, None)

    def _next_try(self, mail: ClaimedMail) -> datetime | None:
        due_at = self._back_off.next_try(mail.attempts, self._store.clock())
        return None if due_at is None or due_at > mail.created_at + LIFETIME else due_at

    async def _postpone(self, mail: ClaimedMail, due_at: datetime, reason: str) -> None:
        async with self._store.unit(mail.tenant_id, writes=True) as unit:
            await Mails(unit).postpone(mail.id, mail.claim, due_at)
        metrics.mail_attempted("postponed")
        log.warning("mail was not taken; it is tried again", mail=mail.id, attempt=mail.attempts, error=reason)

    async def _finish(self, mail: ClaimedMail, outcome: MailOutcome, reason: str | None) -> None:
        async with self._store.unit(mail.tenant_id, writes=True) as unit:
            finished = await Mails(unit).finish(mail.id, mail.claim, outcome.value)
            if finished and outcome is not MailOutcome.obsolete:
                told = ALLOWED if outcome is MailOutcome.sent else FAILED
                await AuditLog(unit).append(WORKER, "mail.send", mail.target, told)
        metrics.mail_attempted(outcome.value)
        log.info("mail", mail=mail.id, attempt=mail.attempts, outcome=outcome.value, error=reason)


async def _any_due(unit: Unit) -> bool:
    return await DueMails(unit).any()
