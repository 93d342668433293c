"""Examines what the installation reaches, and whether it is reached: its own address, mail, providers."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from keyrack.clock import Clock
from keyrack.errors import ConfigurationError, ValidationFailed
from keyrack.ids import new_id
from keyrack.mail.smtp import MailClient, MailNotSent, mail_server
from keyrack.provider.client import ProviderClient
from keyrack.provider.own_address import OwnAnswer, ask_own_address
from keyrack.provider.trust import authorities_of
from keyrack.service.operator.doctor.findings import Finding, error, ok, warning
from keyrack.settings import PREFIX, Settings
from keyrack.store.core.store import Store
from keyrack.store.installation_grants import InstallationGrants

_SECONDS = 10.0
_SOON = timedelta(days=14)
_MOST_PROVIDERS = 5
_OK = 200
_MAIL_REASONS = {
    "authentication": "it refuses the user name or password",
    "timeout": "it gave no answer in time",
    "tls": "no TLS connection can be made, or its certificate is not accepted",
    "connect": "it cannot be reached",
    "not_supported": "it offers no STARTTLS",
}


async def own_address_findings(settings: Settings, clock: Clock) -> list[Finding]:
    """Examine whether the public address leads here, and its certificate."""
    if settings.public_url is None:
        return []
    request_id = f"doctor-{new_id()}"
    tls = authorities_of(settings.ca_file).new_context()
    answer = await ask_own_address(settings.public_url, request_id, tls, _SECONDS)
    return list(_own_address(settings.public_url, answer, clock()))


def _own_address(url: str, answer: OwnAnswer, now: datetime) -> Iterator[Finding]:
    where, shown = f"{PREFIX}PUBLIC_URL", urlsplit(url).netloc
    proxy = "Let the proxy in front pass requests on as they came, with their path and headers."
    if answer.fault is not None:
        change = (
            "Correct the setting, the name or the proxy; asked from here, it may also be that only others reach it."
        )
        yield warning("public_url", f"{shown}: {answer.fault}.", change, where)
    elif answer.status != _OK:
        yield error("public_url", f"{shown}/healthz answers {answer.status or 'no HTTP'}, not 200.", proxy, where)
    elif not answer.echoed:
        seen = f"What answers at {shown} is not Keyrack, or headers are lost on the way."
        yield error("public_url", seen, proxy, where)
    else:
        yield ok("public_url", f"{shown} leads to Keyrack.")
    if answer.certificate_ends is not None:
        seen = f"The certificate of {shown} ends on {answer.certificate_ends:%Y-%m-%d}."
        if answer.certificate_ends <= now + _SOON:
            yield warning("tls", seen, "Renew it where TLS ends: at the proxy.", shown)
        else:
            yield ok("tls", seen)


async def mail_findings(settings: Settings) -> list[Finding]:
    """Examine whether mail could be handed in; none is."""
    where = f"{PREFIX}SMTP_URL"
    if settings.smtp_url is None:
        change = "Set it, or pass setup links on by other ways."
        return [warning("mail", "No mail server is set: reminders and setup links are not sent.", change, where)]
    try:
        server = mail_server(settings.smtp_url)
    except ConfigurationError as fault:
        return [error("mail", f"{fault}.", "Correct the setting.", where)]
    tls = authorities_of(settings.ca_file).new_context
    insecure = settings.allow_insecure_smtp
    client = MailClient(server, tls, timeout=min(_SECONDS, settings.smtp_timeout), allow_insecure=insecure)
    try:
        await client.check()
    except MailNotSent as fault:
        reason = _MAIL_REASONS.get(fault.reason, f"it answers {fault.reason}")
        return [error("mail", f"{server.host} port {server.port}: {reason}.", "Correct the setting.", where)]
    return [ok("mail", f"{server.host} takes mail from here.")]


async def outgoing_findings(store: Store, provider: ProviderClient) -> list[Finding]:
    """Examine whether the providers that most grants are at can be reached: connect, and send nothing."""
    grants: dict[str, int] = {}
    async with store.installation() as unit:
        for origin, _, count in await InstallationGrants(unit).counts():
            if origin and "{" not in origin:
                grants[origin] = grants.get(origin, 0) + count
    most = sorted(grants, key=lambda origin: (-grants[origin], origin))[:_MOST_PROVIDERS]
    return [await _reached(provider, origin, grants[origin]) for origin in most]


async def _reached(provider: ProviderClient, origin: str, grants: int) -> Finding:
    change = "Look at name resolution, firewall and proxy of this machine; keyrack doctor client says more."
    try:
        found = await provider.probe(origin)
    except ValidationFailed as fault:
        return error("outgoing", f"{origin}, of {grants} grants, cannot be called: {fault}.", change, origin)
    if found.reason is None:
        return ok("outgoing", f"{origin}, of {grants} grants, can be reached.")
    why = f"{found.reason.value}{'' if found.fault is None else f' ({found.fault})'}"
    return error("outgoing", f"{origin}, of {grants} grants, cannot be reached: {why}.", change, origin)
