"""One of everything a tenant can have, with recognisable values in it (canaries), made over the API."""

from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Table, insert, select, update

from keyrack import clock
from keyrack.crypto.secret import Secret
from keyrack.ids import new_id
from keyrack.model.audit import ChainedEvent, Checkpoint
from keyrack.model.containment import ContainedGrant, FreezeKind, GrantStatus
from keyrack.model.identity import PrincipalKind
from keyrack.model.single_sign_on import AuthenticationContext, AuthenticationRequest, SingleSignOn, TestResult
from keyrack.store import schema as s
from keyrack.store.accounts import ServiceAccounts
from keyrack.store.attempts import Attempt, AttemptKind, Attempts
from keyrack.store.audit_chain import AuditChain
from keyrack.store.audit_sent import AuditSent
from keyrack.store.authentication_requests import AuthenticationRequests
from keyrack.store.authenticators import Authenticators, PendingSignIns
from keyrack.store.console_sessions import ConsoleSessions
from keyrack.store.contained_grants import ContainedGrants
from keyrack.store.core.process_id import node_id
from keyrack.store.core.unit import Unit
from keyrack.store.device_polls import DevicePollRows
from keyrack.store.freezes import Freezes
from keyrack.store.import_batches import ImportBatches, ImportEntries, ImportEntry
from keyrack.store.lease_clock import LEASE_NOW, since_boot_ms
from keyrack.store.mails import Mails
from keyrack.store.revocations import Revocations, Subject
from keyrack.store.single_sign_on import LinkedIdentities, SingleSignOnRows
from support.app import Caller, TenantInTest, World, relationship
from support.auth_clients import MCP_SERVER, auth_client
from support.auth_clients import make as make_client
from support.consent import add_oauth_client, oauth_component, start
from support.flows import flow_body, graph_of, node, user_team
from support.images import png
from support.secrets import make, resource

TWO_STEPS: dict[str, Any] = {
    "title": "Calendar",
    "authClientTypes": ["oauth2"],
    "triggers": {"due": {"title": "Due"}},
}


@dataclass
class Estate:
    """What a tenant has.

    Attributes:
        name: the tenant's, as `World.tenants` knows it.
        tenant: whose it is.
        ids: by the names of path parameters, and some more that only bodies name.
        canaries: values that only some may see, by what they are.
        people: callers by name: `owner` of the workspace, `admin` of the tenant and nothing else, `developer` in the
            contract (its owner and admin, of the team), `joiner` who is in the contract only.
    """

    name: str
    tenant: TenantInTest
    ids: dict[str, str] = field(default_factory=dict)
    canaries: dict[str, str] = field(default_factory=dict)
    people: dict[str, Caller] = field(default_factory=dict)

    def canary(self, what: str) -> str:
        """Return a value to plant."""
        return self.canaries.setdefault(what, f"canary-{self.tenant.id[-6:]}-{what.replace(' ', '-')}")


async def build_estate(world: World, name: str) -> Estate:
    """Fill a tenant of the world with one of everything."""
    tenant = world.tenants[name]
    made = Estate(name, tenant)
    made.ids |= {"tenant_id": tenant.id, "contract_id": tenant.contract_id, "workspace_id": tenant.workspace_id}
    made.ids |= {"provider_name": "slack", "test_id": new_id()}  # of a test of single sign-on that nobody has begun
    made.ids |= {"team_id": tenant.team_id, "step_id": "step_1", "team_name": user_team(tenant)}
    await _people(world, made)
    await _components(world, made)
    await _second_generation(made)
    await _first_generation(made)
    await _flow(made)
    await _around(made)
    await _service_account(world, made)
    return made


async def _people(world: World, made: Estate) -> None:
    tenant, admin = made.tenant, made.tenant.admin
    domain = admin.name.partition("@")[2]
    made.people["admin"] = await world.add_user(tenant.id, f"chief@{domain}", tenant_roles=["tenant-admin"])
    for name, contract_roles, workspace_roles in (
        ("owner", ["member"], ["owner"]),
        ("developer", ["owner", "admin"], []),
        ("joiner", ["member"], []),
        ("leaver", ["member"], ["guest"]),
    ):
        person = made.people[name] = await world.add_user(tenant.id, f"{name}@{domain}")
        body = {"type": "contract-member", "id": person.id, "attributes": {"roles": contract_roles}}
        resource(await admin.post(f"/v2/contracts/{tenant.contract_id}/members", {"data": body}))
        if workspace_roles:
            body = {"type": "member", "id": person.id, "attributes": {"roles": workspace_roles}}
            resource(await admin.post(f"/v2/workspaces/{tenant.workspace_id}/members", {"data": body}))
    joins = {"data": {"type": "user", "id": made.people["developer"].id}}
    resource(await admin.post(f"/v2/teams/{tenant.team_id}/relationships/members", joins))
    made.ids |= {"user_id": made.people["leaver"].id, "joiner_id": made.people["joiner"].id}
    made.ids |= {"stranger_id": tenant.stranger.id, "developer_id": made.people["developer"].id}
    newcomer = {"first_name": "New", "last_name": "Comer", "email": f"newcomer@{domain}", "password": "correct h0rse"}
    added = await admin.post("/v2/users", {"data": {"type": "user", "attributes": newcomer}})
    made.ids["newcomer_id"] = resource(added, 201)["id"]  # has no API key yet
    linked = resource(await admin.post(f"/v2/users/{made.ids['newcomer_id']}/setup-links"), 201)
    made.ids["link_id"] = linked["id"]
    made.canaries["setup link"] = linked["attributes"]["url"].partition("link=")[2]
    made.canaries["email of a member"] = made.people["leaver"].name
    made.canaries["email of a user"] = made.tenant.stranger.name
    made.canaries["API key"] = made.people["leaver"].api_key


async def _components(world: World, made: Estate) -> None:
    tenant, admin = made.tenant, made.tenant.admin
    prefix = made.ids["team_name"]
    first = oauth_component("https://login.example.com/auth", "https://login.example.com/token")
    first["triggers"] = {"due": {"title": "Due"}}
    first["title"] = made.canary("component title")
    names = {"component_id": ("connected", first), "second_id": ("calendar", TWO_STEPS)}
    for key, (name, descriptor) in names.items():
        made.ids[key] = await world.add_component(tenant, f"{prefix}-{name}", descriptor, access="tenant")
    made.ids["unused_id"] = await world.add_component(tenant, f"{prefix}-unused", {"title": "Unused"}, access="tenant")
    for key, component in (("revision", "component_id"), ("unused_revision", "unused_id")):
        versions = await admin.get(f"/v2/components/{made.ids[component]}/versions")
        made.ids[key] = versions.json()["data"][0]["id"]
    variables: dict[str, Any] = {"type": "component-env", "attributes": {"vars": {"OTHER": made.canary("env var")}}}
    keys: dict[str, Any] = {"type": "component-env", "attributes": {"vars": {"APP_SECRET": made.canary("owner's key")}}}
    keys["attributes"]["vars"] |= variables["attributes"]["vars"]
    resource(await admin.put(f"/v2/components/{made.ids['component_id']}/env", {"data": keys}))
    resource(await admin.put(f"/v2/components/{made.ids['unused_id']}/env", {"data": variables}))
    key, secret = made.canary("OAuth client id"), made.canary("OAuth client secret")
    oauth_client = await add_oauth_client(world, made.name, made.ids["component_id"], key, secret)
    made.ids["oauth_client_id"] = oauth_client
    lone = await add_oauth_client(world, made.name, made.ids["unused_id"], key, secret)
    made.ids["lone_oauth_client_id"] = lone
    deleted = await add_oauth_client(world, made.name, made.ids["second_id"], key, made.canary("deleted secret"))
    assert (await admin.delete(f"/v2/tenants/{tenant.id}/oauth-clients/{deleted}")).status_code == 204
    made.ids["deleted_client_id"] = deleted
    new_secret = {"type": "client-secret-rotation", "attributes": {"client_secret": made.canary("new secret")}}
    rotation = f"/v2/tenants/{tenant.id}/oauth-clients/{lone}/secret-rotation"
    resource(await admin.post(rotation, {"data": new_secret}), 201)
    team = {"type": "team", "relationships": {"contract": relationship("contract", tenant.contract_id)}}
    made.ids["lone_team_id"] = resource(await admin.post("/v2/teams", {"data": team}), 201)["id"]


async def _second_generation(made: Estate) -> None:
    tenant, who = made.tenant, made.tenant.integrator
    credentials = {
        "client_id": "app",
        "client_secret": made.canary("auth client secret"),
        "auth_uri": "https://login.example.com/authorize",
        "token_uri": "https://login.example.com/token",
    }
    second = [made.ids["second_id"]]
    in_workspace, in_tenant = ("workspace", tenant.workspace_id), ("tenant", tenant.id)
    name, of_mcp = made.canary("auth client name"), {**credentials, "resource": MCP_SERVER}
    made.ids["auth_client_id"] = await make_client(who, auth_client(second, in_workspace, of_mcp, name=name))
    made.ids["lone_auth_client_id"] = await make_client(who, auth_client(second, in_workspace, credentials))
    deleted = await make_client(who, auth_client(second, in_workspace, credentials, name=made.canary("deleted name")))
    assert (await who.delete(f"/v2/auth-clients/{deleted}")).status_code == 204
    made.ids["deleted_auth_client_id"] = deleted
    made.ids["tenant_auth_client_id"] = await make_client(tenant.admin, auth_client(second, in_tenant, credentials))
    new_secret = {"type": "client-secret-rotation", "attributes": {"client_secret": made.canaries["new secret"]}}
    rotation = f"/v2/auth-clients/{made.ids['lone_auth_client_id']}/secret-rotation"
    resource(await who.post(rotation, {"data": new_secret}), 201)
    tokens = {"access_token": made.canary("access token of a secret")}  # without a refresh token: never refreshed
    client = made.ids["auth_client_id"]
    secret = await make(who, tenant.workspace_id, client, tokens, name=made.canary("secret name"))
    made.ids["secret_id"] = secret["id"]
    made.ids["lone_secret_id"] = (await make(who, tenant.workspace_id, client, tokens))["id"]


async def _first_generation(made: Estate) -> None:
    who, workspace = made.tenant.integrator, made.tenant.workspace_id
    tokens = {
        "access_token": made.canary("access token of a credential"),
        "refresh_token": made.canary("refresh token"),
    }
    about = {"component": relationship("component", made.ids["component_id"])}
    about["workspace"] = relationship("workspace", workspace)
    for key, name in (("credential_id", made.canary("credential name")), ("lone_credential_id", "Lone")):
        data = {"type": "credential", "attributes": {"name": name, "keys": {"oauth": tokens}}, "relationships": about}
        made.ids[key] = resource(await who.post("/v2/credentials", {"data": data}), 201)["id"]
    started = resource(await start(who, workspace, made.ids["component_id"]), 201)
    made.ids["consent_id"] = started["id"]
    about = {"component": relationship("component", made.ids["component_id"])}
    asked = {"type": "connect-link", "attributes": {"name": "Linked"}, "relationships": about}
    linked = resource(await who.post(f"/v2/workspaces/{workspace}/connect-links", {"data": asked}), 201)
    made.ids["connect_link_id"] = linked["id"]
    made.canaries["connect link"] = linked["attributes"]["url"].partition("link=")[2]
    made.canaries["state of a consent"] = started["attributes"]["authorization_url"].partition("state=")[2]


async def _flow(made: Estate) -> None:
    who, team = made.tenant.integrator, made.ids["team_name"]
    graph = graph_of(
        node(f"{team}/{team}-connected:due", credentials_id=made.ids["credential_id"]),
        node(f"{team}/{team}-calendar:due", "step_2", secret_id=made.ids["secret_id"]),
    )
    body = flow_body(made.tenant.workspace_id, graph=graph, name=made.canary("flow name"))
    made.ids["flow_id"] = resource(await who.post("/v2/flows", body), 201)["id"]
    versions = await who.get(f"/v2/flows/{made.ids['flow_id']}/versions")
    made.ids["version"] = versions.json()["data"][0]["id"]
    draft = {"type": "flow-draft", "attributes": {"graph": graph_of()}}
    resource(await who.put(f"/v2/flows/{made.ids['flow_id']}/draft", {"data": draft}))
    resource(await who.post(f"/v2/flows/{made.ids['flow_id']}/start"), 202)


async def _around(made: Estate) -> None:
    tenant, admin = made.tenant, made.tenant.admin
    hook = {"type": "webhook", "attributes": {"url": f"https://{made.canary('webhook')}.example/"}}
    webhook = resource(await admin.post(f"/v2/tenants/{tenant.id}/webhooks", {"data": hook}), 201)
    made.ids["webhook_id"] = webhook["id"]
    theme: dict[str, Any] = {"display_name": made.canary("display name"), "logo_data": b64encode(png()).decode()}
    theme["return_origins"] = ["https://app.example"]
    themed = {"data": {"type": "connect-theme", "attributes": theme}}
    shown = resource(await admin.patch(f"/v2/tenants/{tenant.id}/connect-theme", themed))
    made.ids["digest"] = shown["attributes"]["logo"]["url"].rpartition("/")[2]
    made.canaries["webhook secret"] = webhook["attributes"]["secret"]
    happened = resource(await admin.post(f"/v2/tenants/{tenant.id}/webhooks/{webhook['id']}/test"), 202)
    made.ids["event_id"] = happened["id"]
    invite = {"email": tenant.stranger.name, "roles": ["member"]}
    invites = f"/v2/contracts/{tenant.contract_id}/invites"
    made.ids["invite_id"] = resource(
        await admin.post(invites, {"data": {"type": "contract-invite", "attributes": invite}})
    )["id"]
    key = await tenant.integrator.get("/v2/users/me/api-keys")
    made.ids["key_id"] = key.json()["data"][0]["id"]
    custom = {"data": {"type": "contract", "attributes": {"custom_data": {"kept": made.canary("custom data")}}}}
    resource(await admin.patch(f"/v2/contracts/{tenant.contract_id}", custom))
    registry = {"docker_registry": {"password": made.canary("registry password")}}
    resource(await admin.patch(f"/v2/teams/{tenant.team_id}", {"data": {"type": "team", "attributes": registry}}))


async def _service_account(world: World, made: Estate) -> None:
    """Add one beside the tenant: it belongs to the installation, as all of them do."""
    async with world.store.installation(writes=True) as unit:
        account = await ServiceAccounts(unit).add(made.canary("service account"), ["global.metrics.get"])
    made.ids["service_account_id"] = account.id


HAPPENED_AT = datetime(2031, 1, 1, tzinfo=UTC)
"""When the tenant's one event happened that was delivered; no other tenant's is as late."""

_LEASE_MS = 60_000


async def _single_sign_on(unit: Unit, user_id: str) -> dict[str, str]:
    """Let the tenant have single sign-on, a user that is linked, and a test of it that is under way."""
    made = {"issuer": "https://id.example", "subject": "text", "request_id": new_id()}
    at = clock.now()
    settings = SingleSignOn(
        id="", tenant_id="", issuer=made["issuer"], client_id="c", client_auth="none", client_secret=Secret(""),
        domains=["one.example"], creates_users=False, allows_passwords=True, created_at=at, updated_at=at,
    )  # fmt: skip
    await SingleSignOnRows(unit).put(settings)
    await LinkedIdentities(unit).add(user_id, made["issuer"], made["subject"], None)
    context = AuthenticationContext(made["issuer"], "c", "https://x.example", Secret("v"), "n", "")
    request = AuthenticationRequest(made["request_id"], user_id, "b" * 64, context, at, at + timedelta(days=1))
    await AuthenticationRequests(unit).add(request, "a state")
    await AuthenticationRequests(unit).finish_test(request.id, TestResult(works=True, told="text"))
    return made


async def _chain(unit: Unit) -> None:
    """Put all events of the tenant's log but the last one into its hash chain, and keep a checkpoint of the second."""
    chain, (*events, _) = AuditChain(unit), await AuditChain(unit).tail(1000)
    await chain.hold()
    entries = [ChainedEvent(event, number, b"h" * 32) for number, event in enumerate(events, 1)]
    await chain.place(entries)
    await AuditSent(unit).claim(unit.clock())
    for entry in (entries[1], entries[-1]):
        checkpoint = Checkpoint(entry.sequence, entry.hash, unit.clock(), new_id(), b"s" * 64)
        await chain.move(checkpoint)
        await chain.keep(checkpoint)


async def put_under_way(unit: Unit, estate: Estate) -> dict[str, str]:
    """Add the rows to a tenant; return names for their ids, as parameters of the store's methods have them."""
    ids = estate.ids
    made = {"claim": new_id(), "link_hash": "a link", "exchanging_id": await _exchanging(unit, ids["consent_id"])}
    made |= {"attempt_id": await _attempt(unit, ids["secret_id"]), "job_id": await _revocation(unit, estate)}
    made |= {"mail_id": await _mail(unit, ids["newcomer_id"])}
    frozen = await Freezes(unit).add(FreezeKind.client, ids["lone_auth_client_id"], "text")
    await Freezes(unit).lift(frozen.id)
    contained = ContainedGrant(unit.tenant_id, ids["secret_id"], GrantStatus.dead, {"why": "text"}, unit.clock())
    await ContainedGrants(unit).note(frozen.id, contained)
    made |= {"freeze_id": frozen.id}
    await _chain(unit)
    user, owner = PrincipalKind.user, ids["user_id"]
    made |= {"session_id": (await ConsoleSessions(unit).add(user, owner, new_id(), None, "text")).id}
    await Authenticators(unit).begin(user, owner, Secret("A" * 32), made["session_id"])
    await PendingSignIns(unit).add(user, owner, f"pending of {owner}", unit.clock())
    made |= {"owner_id": owner, "authenticator_id": await _only(unit, s.authenticators)}
    made |= {"pending_id": await _only(unit, s.pending_sign_ins)}
    made |= await _single_sign_on(unit, ids["user_id"])
    made |= await _import(unit, ids["secret_id"])
    await _deliveries(unit, ids["event_id"], made["claim"])
    await DevicePollRows(unit).add(ids["consent_id"], 5, unit.clock())
    consents, clients, secrets, users, invites = s.consents, s.auth_clients, s.auth_secrets, s.users, s.contract_invites
    for statement in (
        update(consents)
        .where(consents.c.id == ids["consent_id"])
        .values(link_hash=made["link_hash"], browser_hash="text"),
        update(clients)
        .where(clients.c.id == ids["auth_client_id"])
        .values(rejection={"error": "x"}, probe_at=clock.now()),
        update(secrets)
        .where(secrets.c.id == ids["secret_id"])
        .values(lease_owner=node_id(), lease_until=LEASE_NOW + _LEASE_MS),
        update(s.revocations).where(s.revocations.c.id == made["job_id"]).values(claim=made["claim"]),
        update(users).where(users.c.id == ids["user_id"]).values(tenant_roles=["tenant-admin"]),
        update(invites)
        .where(invites.c.id == ids["invite_id"])
        .values(workspace_id=ids["workspace_id"], workspace_roles=["guest"]),
        update(s.setup_links).where(s.setup_links.c.id == ids["link_id"]).values(link_hash=made["link_hash"]),
        update(s.connect_links)
        .where(s.connect_links.c.id == ids["connect_link_id"])
        .values(link_hash=made["link_hash"], status="opened", consent_id=ids["consent_id"], browser_hash="text"),
        update(s.device_polls).where(s.device_polls.c.id == ids["consent_id"]).values(claim=made["claim"]),
        update(s.mails).where(s.mails.c.id == made["mail_id"]).values(claim=made["claim"]),
        update(s.oauth_clients)
        .where(s.oauth_clients.c.id == ids["oauth_client_id"])
        .values(secret_expires_at=clock.now(), reminder_at=clock.now()),
        update(users)
        .where(users.c.id == ids["user_id"])
        .values(password_hash="$argon2id$text", password_set_at=clock.now()),
    ):
        assert (await unit.connection.execute(statement, {"lease_now": since_boot_ms()})).rowcount == 1
    return made


async def _exchanging(unit: Unit, consent_id: str) -> str:
    """Add a consent whose code is being exchanged."""
    c, other = s.consents.c, new_id()
    row = (await unit.connection.execute(select(s.consents).where(c.id == consent_id))).one()
    context = await unit.open(s.consents, consent_id, "sealed_memory", row.sealed_memory)
    values = {**row._asdict(), "id": other, "state_hash": other, "status": "exchanging"}
    values["sealed_memory"] = await unit.seal(s.consents, other, "sealed_memory", context)
    await unit.connection.execute(insert(s.consents).values(values))
    return other


async def _import(unit: Unit, secret_id: str) -> dict[str, str]:
    """Add an import with a secret that awaits its cutover, a copy of another."""
    batch, c, other = await ImportBatches(unit).obtain("nango", "an import"), s.auth_secrets.c, new_id()
    entry = ImportEntry("nango", "auth-secret", "connection", batch.id, other, 1, unit.clock())
    await ImportEntries(unit).add([entry])
    row = (await unit.connection.execute(select(s.auth_secrets).where(c.id == secret_id))).one()
    credentials = await unit.open(s.auth_secrets, secret_id, "sealed_credentials", row.sealed_credentials)
    values = {**row._asdict(), "id": other, "cutover_batch_id": batch.id}
    values["sealed_credentials"] = await unit.seal(s.auth_secrets, other, "sealed_credentials", credentials)
    await unit.connection.execute(insert(s.auth_secrets).values(values))
    return {"batch_id": batch.id, "source": "nango", "external_key": entry.external_key, "waiting_id": other}


async def _attempt(unit: Unit, secret_id: str) -> str:
    attempt = Attempt(new_id(), unit.tenant_id, AttemptKind.refresh, secret_id, 0, 0, node_id(), clock.now())
    await Attempts(unit).begin(attempt)
    return attempt.id


async def _revocation(unit: Unit, estate: Estate) -> str:
    ids = estate.ids
    order = {"token": "at"}
    await Revocations(unit).add(Subject(ids["secret_id"], ids["workspace_id"], ids["auth_client_id"]), order)
    r = s.revocations.c
    found: str = (await unit.connection.execute(select(r.id).where(r.tenant_id == unit.tenant_id))).scalar_one()
    return found


async def _only(unit: Unit, table: Table) -> str:
    """Return the id of the one row that the tenant has in a table."""
    found: str = (
        await unit.connection.execute(select(table.c.id).where(table.c.tenant_id == unit.tenant_id))
    ).scalar_one()
    return found


async def _mail(unit: Unit, user_id: str) -> str:
    await Mails(unit).add(("user", user_id), {"email": "somebody@acme.example"})
    m = s.mails.c
    found: str = (await unit.connection.execute(select(m.id).where(m.tenant_id == unit.tenant_id))).scalar_one()
    return found


async def _deliveries(unit: Unit, event_id: str, claim: str) -> None:
    """Let one event have been delivered, late, under a claim that holds; another is on its way."""
    e, d, other = s.events.c, s.deliveries.c, new_id()
    event = (await unit.connection.execute(select(s.events).where(e.id == event_id))).one()
    delivery = (await unit.connection.execute(select(s.deliveries).where(d.event_id == event_id))).one()
    earlier = HAPPENED_AT - timedelta(days=365 * 4)
    await unit.connection.execute(insert(s.events).values({**event._asdict(), "id": other, "created_at": earlier}))
    await unit.connection.execute(insert(s.deliveries).values({**delivery._asdict(), "event_id": other}))
    late = update(s.events).where(e.id == event_id).values(created_at=HAPPENED_AT)
    await unit.connection.execute(late)
    ended = {"state": "delivered", "due_at": None, "claim": claim, "finished_at": clock.now()}
    await unit.connection.execute(update(s.deliveries).where(d.event_id == event_id).values(ended))
