"""`/console/account/two-step`: turning the second step of signing in on and off (decision 29)."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.qr_code import qr_code
from keyrack.console.core.requests import visitor_of
from keyrack.console.core.visit import Visit
from keyrack.console.identity.attempts import attempt_of
from keyrack.crypto.secret import Secret
from keyrack.crypto.totp import otpauth_uri
from keyrack.errors import RateLimited, StateConflict
from keyrack.service.identity.console_sign_in import SignedIn, WrongPassword
from keyrack.service.identity.one_time_codes import WrongCode
from keyrack.service.identity.two_step import TwoStep

_PATH = "/console/account/two-step"
_DONE = {
    "off": "Two-step sign-in is off. Your password alone signs you in.",
    "changed": "This has changed meanwhile, perhaps in another tab. Nothing was done.",
}
_NOT_YOURS = "That is not your password."
_Proven = Callable[[SignedIn, str, str, str], Awaitable[Sequence[Secret] | None]]


@dataclass(frozen=True, slots=True)
class _Wrong:
    """What was wrong with what somebody sent to prove who they are."""

    status: int = 200
    of_code: str = ""
    of_secret: str = ""


_NOTHING = _Wrong()


@get("/account/two-step", media_type=MediaType.HTML)
async def two_step_page(visit: NamedDependency[Visit], two_step: NamedDependency[TwoStep]) -> Response[str]:
    """Show whether it is on, and how to turn it on or off."""
    return await _page(visit, two_step)


@post("/account/two-step/begin", media_type=MediaType.HTML)
async def two_step_begun(visit: NamedDependency[Visit], two_step: NamedDependency[TwoStep]) -> Response[str]:
    """Make a secret for an app."""
    await visit.form()
    try:
        await two_step.begin(visit.signed_in)
    except StateConflict:
        return visit.go(_PATH, done="changed")
    return visit.go(_PATH)


@post("/account/two-step/confirm", media_type=MediaType.HTML)
async def two_step_confirmed(visit: NamedDependency[Visit], two_step: NamedDependency[TwoStep]) -> Response[str]:
    """Turn it on, and show the recovery codes this once."""
    done = await _proven(visit, two_step.confirm)
    if isinstance(done, _Wrong):
        return await _page(visit, two_step, done)
    return visit.go(_PATH, done="changed") if done is None else _codes_page(visit, done)


@get("/account/two-step/recovery-codes", media_type=MediaType.HTML)
async def recovery_codes_page(visit: NamedDependency[Visit], two_step: NamedDependency[TwoStep]) -> Response[str]:
    """Ask whether new recovery codes are to take the place of those that are left."""
    return await _proof_page(visit, two_step, "identity/recovery_codes.html")


@post("/account/two-step/recovery-codes", media_type=MediaType.HTML)
async def recovery_codes_renewed(visit: NamedDependency[Visit], two_step: NamedDependency[TwoStep]) -> Response[str]:
    """Make new recovery codes, and show them this once."""
    done = await _proven(visit, two_step.renew_recovery_codes)
    if isinstance(done, _Wrong):
        return await _proof_page(visit, two_step, "identity/recovery_codes.html", done)
    return visit.go(_PATH, done="changed") if done is None else _codes_page(visit, done)


@get("/account/two-step/disable", media_type=MediaType.HTML)
async def two_step_disable_page(visit: NamedDependency[Visit], two_step: NamedDependency[TwoStep]) -> Response[str]:
    """Ask whether it is to be turned off."""
    return await _proof_page(visit, two_step, "identity/two_step_disable.html")


@post("/account/two-step/disable", media_type=MediaType.HTML)
async def two_step_disabled(visit: NamedDependency[Visit], two_step: NamedDependency[TwoStep]) -> Response[str]:
    """Turn it off."""

    async def disable(signed_in: SignedIn, code: str, password: str, source: str) -> Sequence[Secret]:
        await two_step.disable(signed_in, code, password, source)
        return ()

    done = await _proven(visit, disable)
    if isinstance(done, _Wrong):
        return await _proof_page(visit, two_step, "identity/two_step_disable.html", done)
    return visit.go(_PATH, done="changed" if done is None else "off")


async def _proven(visit: Visit, use: _Proven) -> Sequence[Secret] | _Wrong | None:
    """Do something with the code and the password that were sent; None: there is nothing to be done any more."""
    fields = await visit.form()
    attempt = await attempt_of(visit.request, visit.console, visit.who.name)
    try:
        attempt.count()
        source = visitor_of(visit.request).source
        made = await use(visit.signed_in, fields.get("code", ""), fields.get("password", ""), source)
    except WrongPassword:
        return _Wrong(400, of_secret=_NOT_YOURS)
    except WrongCode:
        return _Wrong(400, of_code="That code is wrong, or was used before. Wait for the next one.")
    except RateLimited as error:
        return _Wrong(429, of_code=f"Too many attempts. Wait {error.retry_after} seconds, then try again.")
    except StateConflict:
        attempt.was_right(signed_in=False)
        return None
    attempt.was_right()
    return made


async def _page(visit: Visit, two_step: TwoStep, wrong: _Wrong = _NOTHING) -> Response[str]:
    status = await two_step.status(visit.signed_in)
    secret, uri = "", ""
    if status.secret is not None:
        secret, uri = status.secret.reveal(), otpauth_uri(status.secret, _issuer(visit), visit.who.name)
    return visit.page(
        "identity/two_step.html",
        status=wrong.status,
        since=status.since,
        recovery_codes=status.recovery_codes,
        secret=" ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        uri=uri,
        picture=qr_code(uri) if uri else "",
        done=visit.done(_DONE),
        wrong=wrong,
    )


async def _proof_page(visit: Visit, two_step: TwoStep, template: str, wrong: _Wrong = _NOTHING) -> Response[str]:
    status = await two_step.status(visit.signed_in)
    if status.since is None:
        return visit.go(_PATH)
    return visit.page(template, status=wrong.status, recovery_codes=status.recovery_codes, wrong=wrong)


def _codes_page(visit: Visit, codes: Sequence[Secret]) -> Response[str]:
    return visit.page("identity/recovery_codes_made.html", codes=[each.reveal() for each in codes])


def _issuer(visit: Visit) -> str:
    """Return for what the app shows its codes: with our host, as somebody may use several installations."""
    host = urlsplit(visit.console.public_url or "").hostname
    return "Keyrack" if host is None else f"Keyrack {host}"
