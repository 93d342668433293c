"""An operator's browser at the console: a service account that is signed in with permissions of a test's choice."""

from collections.abc import Iterator

import pytest

from keyrack.console.core.session_cookie import SessionCookie
from keyrack.crypto.secret import Secret
from keyrack.ids import new_id
from keyrack.model.identity import ConsoleSession, Principal, PrincipalKind
from keyrack.service.identity.console_sign_in import ConsoleSignIn, SignedIn
from support.app import World
from support.console import FIREFOX, ConsoleBrowser

ALL = (
    "global.metrics.get",
    "workspaces.auth_secret.get",
    "tenants.tenant.get",
    "tenants.audit.get",
)
"""What an operator needs to see everything."""


def operator_browser(world: World, patch: pytest.MonkeyPatch, *permissions: str) -> ConsoleBrowser:
    """Return a browser in which a service account is signed in; all others of the installation are it too meanwhile."""
    who = Principal(PrincipalKind.service_account, "a" * 24, "operations", permissions=frozenset(permissions))
    now = world.store.clock()
    session = ConsoleSession("b" * 24, who.id, None, FIREFOX, now, now)

    async def signed_in(*_: object, **__: object) -> SignedIn:
        return SignedIn(who, session)

    patch.setattr(ConsoleSignIn, "signed_in", signed_in)
    browser, cookie = ConsoleBrowser(world.http), SessionCookie(Secret(new_id() + "A" * 19), secure=True)
    name, _, value = cookie.header()["set-cookie"].partition(";")[0].partition("=")
    browser.cookies[name] = value
    return browser


@pytest.fixture
def operating() -> Iterator[pytest.MonkeyPatch]:
    """What signs an operator in, until the test ends."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch
