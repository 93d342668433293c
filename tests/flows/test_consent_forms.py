"""Consents on the authorization servers' own login and consent pages, over HTTP (issue 2.4)."""

from collections.abc import Callable

from support.app import World
from support.authorization_servers import DjangoOAuth, DjangoOAuthOptions, OidcOptions, OidcProvider, RegisteredClient
from support.browser import Person, person
from support.consent import CALLBACK, add_oauth_client, come_back, oauth_component, query_of, seen, start, stored

StartOidc = Callable[[OidcOptions], OidcProvider]
StartDjango = Callable[[DjangoOAuthOptions], DjangoOAuth]
CLIENT = RegisteredClient(redirect_uris=(CALLBACK,), token_endpoint_auth_method="client_secret_post")


async def begin(keyrack: World, provider: OidcProvider | DjangoOAuth, someone: Person, **oauth2: object) -> str:
    """Start a consent for a component of this provider and open its first page; return the consent's id."""
    descriptor = oauth_component(provider.authorization_endpoint, provider.token_endpoint, **oauth2)
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], "connected", descriptor, access="global")
    await add_oauth_client(keyrack, "Globex", component_id, CLIENT.client_id, CLIENT.client_secret)
    globex = keyrack.tenants["Globex"]
    started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
    await someone.open(started["attributes"]["authorization_url"])
    consent_id: str = started["id"]
    return consent_id


async def test_oidc_login_and_consent(keyrack: World, start_oidc_provider: StartOidc) -> None:
    provider = start_oidc_provider(OidcOptions(clients=(CLIENT,), approval="forms"))
    async with person() as maria:
        consent_id = await begin(
            keyrack, provider, maria, scopes=["openid", "offline_access"], prompt="consent", issuer=provider.issuer
        )
        assert "Enter any login" in maria.text
        await maria.submit(login="maria", password="anything")
        assert "offline access" in maria.text
        assert (await seen(keyrack, "Globex", consent_id))["status"] == "pending"
        await maria.submit()
        assert maria.callback is not None
        assert query_of(maria.callback)["iss"] == provider.issuer
        page = await come_back(keyrack, maria.callback)
    assert page.status_code == 200, page.text
    assert (await seen(keyrack, "Globex", consent_id))["status"] == "completed"
    (credential,) = await stored(keyrack, "Globex")
    assert credential["attributes"]["keys"]["oauth"]["refresh_token"]


async def test_oidc_cancel_is_a_denial(keyrack: World, start_oidc_provider: StartOidc) -> None:
    provider = start_oidc_provider(OidcOptions(clients=(CLIENT,), approval="forms"))
    async with person() as maria:
        consent_id = await begin(keyrack, provider, maria, scopes=["openid", "offline_access"], prompt="consent")
        await maria.submit(login="maria", password="anything")
        await maria.click("/abort")
        assert maria.callback is not None
        page = await come_back(keyrack, maria.callback)
    assert page.status_code == 400
    assert "End-User aborted interaction" in page.text
    ended = await seen(keyrack, "Globex", consent_id)
    assert ended["status"] == "failed"
    assert "access_denied" in ended["error"]
    assert "End-User aborted interaction" in ended["error"]
    assert await stored(keyrack, "Globex") == []


async def test_django_consent_page(keyrack: World, start_django_oauth: StartDjango) -> None:
    provider = start_django_oauth(DjangoOAuthOptions(clients=(CLIENT,), approval="forms"))
    async with person() as maria:
        consent_id = await begin(keyrack, provider, maria, scopes=["read"])
        assert "Read things" in maria.text
        await maria.submit(allow="Authorize")
        assert maria.callback is not None
        page = await come_back(keyrack, maria.callback)
    assert page.status_code == 200, page.text
    assert (await seen(keyrack, "Globex", consent_id))["status"] == "completed"


async def test_django_denial(keyrack: World, start_django_oauth: StartDjango) -> None:
    provider = start_django_oauth(DjangoOAuthOptions(clients=(CLIENT,), approval="forms"))
    async with person() as maria:
        consent_id = await begin(keyrack, provider, maria, scopes=["read"])
        await maria.submit()
        assert maria.callback is not None
        page = await come_back(keyrack, maria.callback)
    assert page.status_code == 400
    assert "access_denied" in (await seen(keyrack, "Globex", consent_id))["error"]
    assert await stored(keyrack, "Globex") == []
