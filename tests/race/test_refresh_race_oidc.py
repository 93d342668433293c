"""A real server whose winner's token dies when two refresh at once: oidc-provider with rotation (issue 3.8)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2

from keyrack.store.auth_secrets import AuthSecrets
from support.app import BASE, relationship
from support.authorization_servers import OidcOptions, OidcProvider, RegisteredClient
from support.consent import CALLBACK, approve
from support.grants import add_auth_client, change, stored
from support.running import read_all, several_serving

READERS = 60
ROUNDS = 3


async def test_every_rounds_token_works(
    postgres_url: str, tmp_path: Path, start_oidc_provider: Callable[[OidcOptions], OidcProvider]
) -> None:
    registered = RegisteredClient(redirect_uris=(CALLBACK,), token_endpoint_auth_method="client_secret_post")
    provider = start_oidc_provider(OidcOptions(clients=(registered,), rotate=True))
    async with several_serving(tmp_path, postgres_url, public_url=BASE) as (keyrack, servers):
        acme = keyrack.tenants["Acme"]
        client = await add_auth_client(
            keyrack.store,
            acme.id,
            provider.token_endpoint,
            auth_uri=provider.authorization_endpoint,
            client_id=registered.client_id,
            client_secret=registered.client_secret,
        )
        data = {
            "type": "oauth-consent",
            "attributes": {"scopes": "openid offline_access", "additional_params": {"prompt": "consent"}},
            "relationships": {"auth_client": relationship("auth-client", client.id)},
        }
        path = f"/v2/workspaces/{acme.workspace_id}/oauth-consents"
        started = (await acme.integrator.post(path, {"data": data})).json()["data"]
        back = await keyrack.http.get(await approve(started["attributes"]["authorization_url"]))
        assert back.status_code == 200, back.text
        ended = (await acme.integrator.get(f"{path}/{started['id']}")).json()["data"]
        async with keyrack.store.unit(acme.id) as unit:
            secret = await AuthSecrets(unit).find(ended["relationships"]["auth_secret"]["data"]["id"])
        assert secret is not None
        for _ in range(ROUNDS):
            expired = await change(keyrack.store, secret, expires_at=datetime.now(UTC) - timedelta(seconds=1))
            found = await read_all(keyrack, servers, [expired], READERS)
            (token,) = found[expired.id]
            assert token != expired.credentials["access_token"]
            async with httpx2.AsyncClient() as http:
                answer = await http.get(provider.userinfo_endpoint, headers={"authorization": f"Bearer {token}"})
            assert answer.status_code == 200, answer.text
            after = await stored(keyrack.store, expired)
            assert after.generation == expired.generation + 1, "one refresh a round"
            assert after.credentials["refresh_token"] != expired.credentials["refresh_token"]
