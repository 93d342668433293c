"""The story the demo plays: two tenants share a component and never see each other's keys (issue 2.2)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from keyrack.cli.demo_stage import Role, Stage

MakeUser = Callable[[str, str, bool], Awaitable[tuple[Role, str]]]
"""Creates a user on the command line: email, tenant id, tenant admin or not; returns the role and the user's id."""

Approve = Callable[[str], Awaitable[str]]
"""Takes an authorization URL through a browser and returns the text of the last page."""


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

    support: Role
    acme: Role
    acme_ids: dict[str, str]
    provider: str
    clients: dict[str, tuple[str, str]]


async def play(stage: Stage, cast: Cast, make_user: MakeUser, approve: Approve) -> None:
    """Play the whole story.

    Raises:
        Unexpected: a step did not hold.
    """
    story = _Story(stage, cast, make_user, approve)
    await story.acme_builds_a_component()
    await story.globex_arrives()
    await story.globex_cannot_use_it_yet()
    await story.globex_brings_its_own_client()
    await story.an_integrator_connects()
    await story.each_tenant_runs_with_its_own_keys()
    await story.the_client_is_in_use()
    await story.the_client_goes()
    await story.a_provider_without_refresh_tokens()
    await story.the_audit_log()


class _Story:
    def __init__(self, stage: Stage, cast: Cast, make_user: MakeUser, approve: Approve) -> None:
        self.stage, self.cast, self.make_user, self.approve = stage, cast, make_user, approve
        self.component = self.tenant = self.workspace = self.contract = self.client = ""
        self.flow = ""
        self.admin = self.integrator = cast.acme

    async def acme_builds_a_component(self) -> None:
        stage, ids = self.stage, self.cast.acme_ids
        stage.say("Acme's team makes the component pizza-van and sets its own keys")
        self.component = await self._component("pizza-van", "/token")
        key, secret = self.cast.clients["Acme"]
        env = {"type": "component-env", "attributes": {"vars": {"PIZZAVAN_KEY": key, "PIZZAVAN_SECRET": secret}}}
        await stage.call(self.cast.acme, "PUT", f"/v2/components/{self.component}/env", {"data": env}, expect=200)
        stage.say("Support makes it global, for every tenant")
        await self._make_global(self.component)
        stage.note(f"Acme is tenant {ids['tenant_id']}, its component {self.component}")

    async def globex_arrives(self) -> None:
        stage = self.stage
        stage.say("A second tenant: Globex, with an admin and an integrator")
        attributes = {
            "name": "Globex", "app_domain": "globex.localhost", "code": "", "mandrill_email_from": "it@globex.example",
        }  # fmt: skip
        body = {"data": {"type": "tenant", "attributes": attributes}}
        self.tenant = (await stage.call(self.cast.support, "POST", "/v2/tenants", body, expect=201))["data"]["id"]
        self.admin, admin_id = await self.make_user("admin@globex.example", self.tenant, True)
        self.integrator, integrator_id = await self.make_user("ida@globex.example", self.tenant, False)
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

    async def globex_cannot_use_it_yet(self) -> None:
        stage = self.stage
        stage.say("Globex does not see pizza-van, cannot connect it, and cannot read Acme's keys")
        stage.hold(not await self._sees(), "pizza-van is not in Globex's list")
        refused = await self._start(self.component, expect=409)
        stage.hold(
            refused["errors"][0]["code"] == "oauth_client_missing", "connecting is refused: oauth_client_missing"
        )
        await stage.call(self.admin, "GET", f"/v2/components/{self.component}/env", expect=403)
        stage.hold(condition=True, claim="nobody at Globex can read Acme's variables")

    async def globex_brings_its_own_client(self) -> None:
        stage, path = self.stage, f"/v2/tenants/{self.tenant}/oauth-clients"
        stage.say("Globex's admin creates Globex's own OAuth client for it")
        created = await stage.call(self.admin, "POST", path, self._client_body(self.component), expect=201)
        self.client = created["data"]["id"]
        stage.say("There is one per component: a second one is refused")
        await stage.call(self.admin, "POST", path, self._client_body(self.component), expect=409)
        stage.hold(await self._sees(), "pizza-van has appeared in Globex's list")

    async def an_integrator_connects(self) -> None:
        stage = self.stage
        stage.say("An integrator connects an account")
        consent = await self._connect(self.component)
        stage.hold(consent["attributes"]["status"] == "completed", "the consent is completed")
        credential = consent["relationships"]["credential"]["data"]["id"]
        found = await stage.call(self.integrator, "GET", f"/v2/credentials/{credential}", expect=200)
        oauth = found["data"]["attributes"]["keys"]["oauth"]
        stage.hold(bool(oauth.get("refresh_token")), "the credential is stored with its refresh token")
        self.credential = credential

    async def each_tenant_runs_with_its_own_keys(self) -> None:
        stage = self.stage
        stage.say("What the component finds in its environment, in Globex and in Acme")
        for tenant, workspace in (("Globex", self.workspace), ("Acme", self.cast.acme_ids["workspace_id"])):
            path = f"/v2/workspaces/{workspace}/components/{self.component}/runtime-env"
            answer = await stage.call(self.cast.support, "GET", path, expect=200)
            variables = answer["data"]["attributes"]["vars"]
            mine = self.cast.clients[tenant]
            given = (variables["PIZZAVAN_KEY"], variables["PIZZAVAN_SECRET"])
            stage.hold(given == mine, f"in {tenant} it runs with {tenant}'s own keys")

    async def the_client_is_in_use(self) -> None:
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
        stage.hold(counts == (1, 1, 1), "usage: 1 flow, 1 credential, 1 workspace")

    async def the_client_goes(self) -> None:
        stage = self.stage
        stage.say("The flow goes, then the client; the component disappears from Globex again")
        await stage.call(self.integrator, "DELETE", f"/v2/flows/{self.flow}", expect=204)
        await stage.call(self.admin, "DELETE", f"/v2/tenants/{self.tenant}/oauth-clients/{self.client}", expect=204)
        stage.hold(not await self._sees(), "pizza-van is gone from Globex's list")

    async def a_provider_without_refresh_tokens(self) -> None:
        stage = self.stage
        stage.say("A provider that gives no refresh token: the consent fails and says what to do")
        component = await self._component("tram-times", "/token?sim=no_refresh_token")
        await self._make_global(component)
        path = f"/v2/tenants/{self.tenant}/oauth-clients"
        await stage.call(self.admin, "POST", path, self._client_body(component), expect=201)
        consent = await self._connect(component, play_browser=True)
        stage.hold(consent["attributes"]["status"] == "failed", "the consent failed, nothing was stored")
        stage.hold("access_type" in consent["attributes"]["error"], "it says which parameter to add")

    async def the_audit_log(self) -> None:
        stage = self.stage
        stage.say("Globex's audit log: who did what")
        path = f"/v2/tenants/{self.tenant}/audit-events"
        events = (await stage.call(self.admin, "GET", path, expect=200))["data"]
        actions = {(event["attributes"]["actor"], event["attributes"]["action"]) for event in events}
        stage.hold((self.admin.name, "oauth-client.create") in actions, "it lists the client the admin created")
        stage.hold((self.integrator.name, "consent.complete") in actions, "and the account the integrator connected")

    async def _component(self, name: str, token_path: str) -> str:
        team = {"team": {"data": {"id": self.cast.acme_ids["team_id"], "type": "team"}}}
        body = {"data": {"type": "component", "attributes": {"name": name}, "relationships": team}}
        made = await self.stage.call(self.cast.acme, "POST", "/v2/components", body, expect=201)
        component_id: str = made["data"]["id"]
        attributes = {"descriptor": _descriptor(self.cast.provider, token_path)}
        body = {"data": {"type": "version", "attributes": attributes}}
        await self.stage.call(self.cast.acme, "POST", f"/v2/components/{component_id}/versions", body, expect=201)
        return component_id

    async def _make_global(self, component_id: str) -> None:
        body = {"data": {"type": "component", "id": component_id, "attributes": {"access": "global"}}}
        await self.stage.call(self.cast.support, "PATCH", f"/v2/components/{component_id}", body, expect=200)

    async def _sees(self) -> bool:
        path = f"/v2/workspaces/{self.workspace}/components"
        listed = await self.stage.call(self.integrator, "GET", path, expect=200)
        return self.component in {component["id"] for component in listed["data"]}

    async def _team(self) -> str:
        path = f"/v2/components/{self.component}"
        found = await self.stage.call(self.integrator, "GET", path, expect=200)
        name: str = found["data"]["attributes"]["team_name"]
        return name

    def _client_body(self, component_id: str) -> dict[str, Any]:
        client_id, secret = self.cast.clients["Globex"]
        component = {"component": {"data": {"id": component_id, "type": "component"}}}
        attributes = {"client_id": client_id, "client_secret": secret}
        return {"data": {"type": "oauth-client", "attributes": attributes, "relationships": component}}

    async def _start(self, component_id: str, *, expect: int) -> Any:
        component = {"component": {"data": {"id": component_id, "type": "component"}}}
        body = {"data": {"type": "oauth-consent", "attributes": {"name": "Ida's"}, "relationships": component}}
        path = f"/v2/workspaces/{self.workspace}/oauth-consents"
        return await self.stage.call(self.integrator, "POST", path, body, expect=expect)

    async def _connect(self, component_id: str, *, play_browser: bool = False) -> Any:
        started = (await self._start(component_id, expect=201))["data"]
        url = started["attributes"]["authorization_url"]
        await (self.stage.approve(url) if play_browser else self.approve(url))
        path = f"/v2/workspaces/{self.workspace}/oauth-consents/{started['id']}"
        return (await self.stage.call(self.integrator, "GET", path, expect=200))["data"]


def _descriptor(provider: str, token_path: str) -> dict[str, Any]:
    return {
        "title": "Pizza Van",
        "description": "Orders pizza from the van around the corner",
        "envVars": {"PIZZAVAN_KEY": {"required": True}, "PIZZAVAN_SECRET": {"required": True}},
        "useOAuthClient": True,
        "credentials": {
            "fields": {"oauth": {"label": "Authentication", "viewClass": "OAuthFieldView", "required": True}},
            "oauth2": {
                "client_id": "{{PIZZAVAN_KEY}}",
                "client_secret": "{{PIZZAVAN_SECRET}}",
                "auth_uri": f"{provider}/authorize",
                "token_uri": f"{provider}{token_path}",
                "scopes": ["orders"],
            },
        },
        "actions": {"placeOrder": {"title": "Place an order", "main": "./order.js"}},
    }
