"""The story the demo plays: two tenants share a component and never see each other's keys (issue 2.2)."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Protocol

from keyrack.demo.descriptor import descriptor, renewed_descriptor
from keyrack.demo.stage import Actor, Stage, Unexpected

_POLL_SECONDS = 0.5


class MakeUser(Protocol):
    """Creates a user on the command line with the given words; returns the role and the user's id."""

    def __call__(self, title: str, *words: str) -> Awaitable[tuple[Actor, str]]:
        """Create one."""
        ...


@dataclass(frozen=True, slots=True)
class Cast:
    """Who and what the story starts with.

    Attributes:
        support: the service account that may do everything.
        acme: Acme's admin.
        acme_ids: Acme's tenant, contract, workspace and team.
        provider: address of the authorization server.
        clients: client id and secret at the provider, by tenant.
    """

    support: Actor
    acme: Actor
    acme_ids: dict[str, str]
    provider: str
    clients: dict[str, tuple[str, str]]


class Story:
    """The story, and who is in it so far."""

    def __init__(self, stage: Stage, cast: Cast, make_user: MakeUser, *, person: bool) -> None:
        self.stage, self.cast, self.make_user, self.person = stage, cast, make_user, person
        self.component = self.tenant = self.workspace = self.contract = self.client = ""
        self.flow = self.credential = self.auth_client = self.secret = ""
        self.admin = self.integrator = cast.acme

    @property
    def roles(self) -> tuple[Actor, ...]:
        """Everybody who can log in at the end."""
        return (self.cast.support, self.cast.acme, self.admin, self.integrator)

    async def play(self) -> None:
        """Play the whole story.

        Raises:
            Unexpected: a step did not hold.
        """
        await self._acme_builds_a_component()
        await self._globex_arrives()
        await self._globex_cannot_use_it_yet()
        await self._globex_brings_its_own_client()
        await self._an_integrator_connects()
        await self._each_tenant_runs_with_its_own_keys()
        await self._the_client_is_in_use()
        await self._the_client_goes()
        await self._a_provider_without_refresh_tokens()
        await self._a_connection_that_keyrack_renews()
        await self._the_audit_log()

    async def _acme_builds_a_component(self) -> None:
        stage, ids = self.stage, self.cast.acme_ids
        stage.say("Acme's team owns the component pizza-van and keeps Acme's keys in its variables")
        self.component = await self._component("pizza-van", "Pizza Van", "/authorize", "/token")
        key, secret = self.cast.clients["Acme"]
        env = {"type": "component-env", "attributes": {"vars": {"PIZZAVAN_KEY": key, "PIZZAVAN_SECRET": secret}}}
        await stage.call(self.cast.acme, "PUT", f"/v2/components/{self.component}/env", {"data": env}, expect=200)
        stage.note(f"Acme is tenant {ids['tenant_id']}, pizza-van is component {self.component}")
        stage.say("Support makes it global, for every tenant")
        await self._make_global(self.component)

    async def _globex_arrives(self) -> None:
        stage = self.stage
        stage.say("A second tenant: Globex, with an admin and an integrator")
        attributes = {
            "name": "Globex", "app_domain": "globex.localhost", "code": "", "mandrill_email_from": "it@globex.example",
        }  # fmt: skip
        body = {"data": {"type": "tenant", "attributes": attributes}}
        self.tenant = (await stage.call(self.cast.support, "POST", "/v2/tenants", body, expect=201))["data"]["id"]
        tenant = ("--tenant", self.tenant)
        self.admin, admin_id = await self.make_user(
            "Globex admin", "--email", "admin@globex.example", *tenant, "--tenant-admin"
        )
        self.integrator, integrator_id = await self.make_user(
            "Globex integrator", "--email", "ida@globex.example", *tenant
        )
        body = {"data": {"type": "contract", "attributes": {"name": "Globex integrations"}}}
        self.contract = (await stage.call(self.admin, "POST", "/v2/contracts", body, expect=201))["data"]["id"]
        for user_id, roles in ((admin_id, ["owner", "admin"]), (integrator_id, ["member"])):
            body = {"data": {"type": "contract-member", "id": user_id, "attributes": {"roles": roles}}}
            await stage.call(self.admin, "POST", f"/v2/contracts/{self.contract}/members", body, expect=200)
        contract = {"contract": {"data": {"id": self.contract, "type": "contract"}}}
        body = {"data": {"type": "workspace", "attributes": {"name": "Orders"}, "relationships": contract}}
        self.workspace = (await stage.call(self.admin, "POST", "/v2/workspaces", body, expect=200))["data"]["id"]
        body = {"data": {"type": "member", "id": integrator_id, "attributes": {"roles": ["integrator"]}}}
        await stage.call(self.admin, "POST", f"/v2/workspaces/{self.workspace}/members", body, expect=200)

    async def _globex_cannot_use_it_yet(self) -> None:
        stage = self.stage
        stage.say("Globex does not see pizza-van, cannot connect it, and cannot read Acme's keys")
        stage.hold(not await self._sees(), "pizza-van is in none of Globex's lists")
        refused = await self._start(self.component, expect=409)
        stage.hold(
            refused["errors"][0]["code"] == "oauth_client_missing", "connecting is refused: oauth_client_missing"
        )
        acme = self.cast.acme_ids
        for who, hidden in ((self.admin, 403), (self.integrator, 404)):
            for path, refusal in (
                (f"/v2/components/{self.component}/env", hidden),
                (f"/v2/tenants/{acme['tenant_id']}/oauth-clients", 403),
                (f"/v2/workspaces/{acme['workspace_id']}/components/{self.component}/runtime-env", 403),
            ):
                await stage.call(who, "GET", path, expect=refusal, show=False)
        stage.note("every one of them was refused: nobody at Globex can read Acme's keys")

    async def _globex_brings_its_own_client(self) -> None:
        stage, path = self.stage, f"/v2/tenants/{self.tenant}/oauth-clients"
        stage.say("Globex's admin creates Globex's own OAuth client for it")
        created = await stage.call(self.admin, "POST", path, self._client_body(self.component), expect=201)
        self.client = created["data"]["id"]
        stage.say("There is one per component: a second one is refused")
        await stage.call(self.admin, "POST", path, self._client_body(self.component), expect=409)
        stage.hold(await self._sees(), "pizza-van has appeared in Globex's lists")

    async def _an_integrator_connects(self) -> None:
        stage = self.stage
        stage.say("An integrator connects an account")
        consent = await self._connect(self.component, by_a_person=self.person)
        stage.hold(consent["attributes"]["status"] == "completed", "the consent is completed")
        credential = consent["relationships"]["credential"]["data"]["id"]
        found = await stage.call(self.integrator, "GET", f"/v2/credentials/{credential}", expect=200)
        oauth = found["data"]["attributes"]["keys"]["oauth"]
        stage.hold(bool(oauth.get("refresh_token")), "the credential is stored with its refresh token")
        self.credential = credential
        stage.note(f"it is credential {credential}")

    async def _each_tenant_runs_with_its_own_keys(self) -> None:
        stage = self.stage
        stage.say("What the component finds in its environment, in Globex and in Acme")
        for tenant, workspace in (("Globex", self.workspace), ("Acme", self.cast.acme_ids["workspace_id"])):
            path = f"/v2/workspaces/{workspace}/components/{self.component}/runtime-env"
            answer = await stage.call(self.cast.support, "GET", path, expect=200)
            variables = answer["data"]["attributes"]["vars"]
            mine = self.cast.clients[tenant]
            given = (variables["PIZZAVAN_KEY"], variables["PIZZAVAN_SECRET"])
            stage.hold(given == mine, f"in {tenant} PIZZAVAN_KEY and PIZZAVAN_SECRET are {tenant}'s own client")

    async def _the_client_is_in_use(self) -> None:
        stage = self.stage
        stage.say("A flow uses the component")
        node = {
            "id": "step_1", "command": f"{await self._team()}/pizza-van:placeOrder", "name": "Order", "description": "",
            "credentials_id": self.credential,
        }  # fmt: skip
        attributes = {
            "name": "Friday pizza", "type": "ordinary", "default_mapper_type": "jsonata",
            "graph": {"nodes": [node], "edges": []},
        }  # fmt: skip
        workspace = {"workspace": {"data": {"id": self.workspace, "type": "workspace"}}}
        body = {"data": {"type": "flow", "attributes": attributes, "relationships": workspace}}
        self.flow = (await stage.call(self.integrator, "POST", "/v2/flows", body, expect=201))["data"]["id"]
        stage.say("Deleting the client is refused now, and the usage view shows what it would hit")
        path = f"/v2/tenants/{self.tenant}/oauth-clients/{self.client}"
        refused = await stage.call(self.admin, "DELETE", path, expect=409)
        stage.hold("Friday pizza" in refused["errors"][0]["detail"], "the refusal names the flow")
        usage = (await stage.call(self.admin, "GET", f"{path}/usage", expect=200))["data"]["attributes"]
        counts = (len(usage["flows"]), usage["credentials"], usage["workspaces"])
        stage.hold(counts == (1, 1, 1), "the usage view shows 1 flow, 1 credential and 1 workspace")

    async def _the_client_goes(self) -> None:
        stage = self.stage
        stage.say("The flow goes, then the client; the component disappears from Globex again")
        await stage.call(self.integrator, "DELETE", f"/v2/flows/{self.flow}", expect=204)
        await stage.call(self.admin, "DELETE", f"/v2/tenants/{self.tenant}/oauth-clients/{self.client}", expect=204)
        stage.hold(not await self._sees(), "pizza-van is gone from Globex's lists")

    async def _a_provider_without_refresh_tokens(self) -> None:
        stage = self.stage
        stage.say("A provider that gives no refresh token: the consent fails and says what to do")
        # even where a person goes through the first consent, nobody is asked for this one
        paths = ("/authorize?sim=approval:auto", "/token?sim=no_refresh_token")
        component = await self._component("tram-times", "Tram Times", *paths)
        await self._make_global(component)
        path = f"/v2/tenants/{self.tenant}/oauth-clients"
        await stage.call(self.admin, "POST", path, self._client_body(component), expect=201)
        consent = await self._connect(component)
        stage.hold(consent["attributes"]["status"] == "failed", "the consent failed")
        listed = await stage.look(self.integrator, f"/v2/credentials?workspace_id={self.workspace}")
        stored = [credential["id"] for credential in listed["data"]]
        stage.hold(stored == [self.credential], "nothing was stored beside the first credential")
        stage.hold("access_type" in consent["attributes"]["error"], "it says which parameter to add")

    async def _a_connection_that_keyrack_renews(self) -> None:
        stage = self.stage
        stage.say("The second generation: an auth client of Globex's, and a connection whose tokens Keyrack renews")
        team = {"team": {"data": {"id": self.cast.acme_ids["team_id"], "type": "team"}}}
        body = {"data": {"type": "component", "attributes": {"name": "mailbox"}, "relationships": team}}
        component = (await stage.call(self.cast.acme, "POST", "/v2/components", body, expect=201))["data"]["id"]
        body = {"data": {"type": "version", "attributes": {"descriptor": renewed_descriptor("Mailbox")}}}
        await stage.call(self.cast.acme, "POST", f"/v2/components/{component}/versions", body, expect=201)
        await self._make_global(component)
        client = (await stage.call(self.admin, "POST", "/v2/auth-clients", self._auth_client(component), expect=201))[
            "data"
        ]
        self.auth_client = client["id"]
        consent = await self._connect(component, auth_client=self.auth_client)
        stage.hold(consent["attributes"]["status"] == "completed", "the consent is completed")
        self.secret = consent["relationships"]["auth_secret"]["data"]["id"]
        path = f"/v2/workspaces/{self.workspace}/secrets/{self.secret}"
        first = (await stage.call(self.integrator, "GET", path, expect=200))["data"]["attributes"]["credentials"]
        renewed = await stage.call(self.integrator, "POST", f"{path}/refresh", expect=200)
        tokens = renewed["data"]["attributes"]["credentials"]
        stage.hold(tokens["access_token"] != first["access_token"], "asked to, Keyrack has renewed the token")
        stage.note("by itself it does so before a token ends; whoever reads the secret gets one that works")

    async def _the_audit_log(self) -> None:
        stage = self.stage
        stage.say("Globex's audit log: who did what")
        path = f"/v2/tenants/{self.tenant}/audit-events"
        events = (await stage.call(self.admin, "GET", path, expect=200, show=False))["data"]
        told = [event["attributes"] for event in events]
        for event in told:
            who, what, on = event["actor"], event["action"], event["target"]["type"]
            stage.note(f"{event['at'][11:19]}  {who:<20}  {what:<20}  {on:<15}  {event['outcome']}")
        actions = {(event["actor"], event["action"]) for event in told}
        stage.hold((self.admin.name, "oauth-client.create") in actions, "it lists the client the admin created")
        stage.hold((self.integrator.name, "consent.complete") in actions, "and the account the integrator connected")

    async def _component(self, name: str, title: str, authorize_path: str, token_path: str) -> str:
        team = {"team": {"data": {"id": self.cast.acme_ids["team_id"], "type": "team"}}}
        body = {"data": {"type": "component", "attributes": {"name": name}, "relationships": team}}
        made = await self.stage.call(self.cast.acme, "POST", "/v2/components", body, expect=201)
        component_id: str = made["data"]["id"]
        provider = self.cast.provider
        attributes = {"descriptor": descriptor(title, provider + authorize_path, provider + token_path)}
        body = {"data": {"type": "version", "attributes": attributes}}
        await self.stage.call(self.cast.acme, "POST", f"/v2/components/{component_id}/versions", body, expect=201)
        return component_id

    async def _make_global(self, component_id: str) -> None:
        body = {"data": {"type": "component", "id": component_id, "attributes": {"access": "global"}}}
        await self.stage.call(self.cast.support, "PATCH", f"/v2/components/{component_id}", body, expect=200)

    async def _sees(self) -> bool:
        """Tell whether Globex's lists have the component; they must agree."""
        found = []
        for path in (f"/v2/workspaces/{self.workspace}/components", f"/v2/components?contract_id={self.contract}"):
            listed = await self.stage.call(self.integrator, "GET", path, expect=200)
            found.append(self.component in {component["id"] for component in listed["data"]})
        if len(set(found)) > 1:
            raise Unexpected("one list of Globex has the component and the other has not")
        return found[0]

    async def _team(self) -> str:
        path = f"/v2/components/{self.component}"
        found = await self.stage.call(self.integrator, "GET", path, expect=200, show=False)
        name: str = found["data"]["attributes"]["team_name"]
        return name

    def _auth_client(self, component_id: str) -> dict[str, Any]:
        client_id, secret = self.cast.clients["Globex"]
        provider = self.cast.provider
        credentials = {
            "client_id": client_id, "client_secret": secret, "auth_uri": f"{provider}/authorize?sim=approval:auto",
            "token_uri": f"{provider}/token", "revocation_uri": f"{provider}/revoke",
        }  # fmt: skip
        relationships = {
            "tenant": {"data": {"id": self.tenant, "type": "tenant"}},
            "components": {"data": [{"id": component_id, "type": "component"}]},
        }
        attributes = {"name": "Globex mail", "type": "oauth2", "credentials": credentials}
        return {"data": {"type": "auth-client", "attributes": attributes, "relationships": relationships}}

    def _client_body(self, component_id: str) -> dict[str, Any]:
        client_id, secret = self.cast.clients["Globex"]
        component = {"component": {"data": {"id": component_id, "type": "component"}}}
        attributes = {"client_id": client_id, "client_secret": secret}
        return {"data": {"type": "oauth-client", "attributes": attributes, "relationships": component}}

    async def _start(self, component_id: str, *, expect: int, auth_client: str | None = None) -> Any:
        named = {"component": {"data": {"id": component_id, "type": "component"}}}
        if auth_client is not None:
            named["auth_client"] = {"data": {"id": auth_client, "type": "auth-client"}}
        body = {"data": {"type": "oauth-consent", "attributes": {"name": "Ida at work"}, "relationships": named}}
        path = f"/v2/workspaces/{self.workspace}/oauth-consents"
        return await self.stage.call(self.integrator, "POST", path, body, expect=expect)

    async def _connect(self, component_id: str, *, by_a_person: bool = False, auth_client: str | None = None) -> Any:
        """Run a consent and return it as it ended; a person may try again after a failure."""
        again = False
        while True:
            started = (await self._start(component_id, expect=201, auth_client=auth_client))["data"]
            url, path = started["attributes"]["authorization_url"], self._consent_path(started["id"])
            if by_a_person:
                self.stage.ask_a_person(url, again=again)
                while (await self.stage.look(self.integrator, path))["data"]["attributes"]["status"] == "pending":  # noqa: ASYNC110 - it changes in another process
                    await asyncio.sleep(_POLL_SECONDS)
            else:
                await self.stage.play_the_browser(url)
            consent = (await self.stage.call(self.integrator, "GET", path, expect=200))["data"]
            if not by_a_person or consent["attributes"]["status"] == "completed":
                return consent
            again = True

    def _consent_path(self, consent_id: str) -> str:
        return f"/v2/workspaces/{self.workspace}/oauth-consents/{consent_id}"
