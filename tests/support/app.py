"""A Keyrack under test: an empty database on either engine, set up, and clients that speak to it in process."""

import base64
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import pytest
from litestar import Litestar

from keyrack import clock, ids
from keyrack.api.core.asgi import App
from keyrack.api.core.middleware import Middleware
from keyrack.api.core.slow_bodies import SlowBodies
from keyrack.clock import Clock
from keyrack.crypto.kek import local
from keyrack.model.identity import PrincipalKind
from keyrack.model.tenancy import WorkspaceType
from keyrack.service.authz.permissions import DEFAULT_ROLES, TENANT_ADMIN
from keyrack.service.identity.authentication import key_hash, new_api_key
from keyrack.service.operator.installation import FirstAccounts
from keyrack.service.tenancy.tenants import first_attributes
from keyrack.settings import Settings, load_settings
from keyrack.store.accounts import ApiKeys, ServiceAccounts
from keyrack.store.contracts import ContractMembers, ContractRows
from keyrack.store.core.store import Store
from keyrack.store.teams import TeamRows
from keyrack.store.tenants import TenantRows
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceMembers, WorkspaceRows
from keyrack.wiring.services import Services, build_services
from keyrack.wiring.storage import open_store
from support.reuse import Content, is_reused, migrate, restore, saved, served_in_process

BASE = "http://keyrack.test"


Request = Coroutine[Any, Any, httpx2.Response]
"""What a `Caller` returns: a request that is sent when it is awaited."""


class Caller:
    """Somebody with a user name and an API key; `get`, `post` … answer with the raw response."""

    def __init__(self, http: httpx2.AsyncClient, name: str, api_key: str, user_id: str = "") -> None:
        self._http = http
        self.name = name
        self.api_key = api_key
        self.id = user_id

    @property
    def headers(self) -> dict[str, str]:
        token = base64.b64encode(f"{self.name}:{self.api_key}".encode()).decode()
        return {"authorization": f"Basic {token}"}

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        headers = self.headers | dict(more.pop("headers", {}))
        if body is not None:
            more["json"] = body
        return await self._http.request(method, path, headers=headers, **more)

    async def get(self, path: str, **more: Any) -> httpx2.Response:
        return await self.call("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        return await self.call("POST", path, body, **more)

    async def patch(self, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        return await self.call("PATCH", path, body, **more)

    async def put(self, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        return await self.call("PUT", path, body, **more)

    async def delete(self, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        return await self.call("DELETE", path, body, **more)


@dataclass
class TenantInTest:
    """A tenant with one contract, workspace and team, and people in usual roles."""

    id: str
    contract_id: str
    workspace_id: str
    team_id: str
    admin: Caller
    """tenant-admin, contract owner and admin, workspace owner, team member"""
    integrator: Caller
    """contract member, workspace integrator"""
    guest: Caller
    """contract member, workspace guest"""
    stranger: Caller
    """a user of the tenant who is in no contract"""


@dataclass
class World:
    """A running installation: the service account that may do everything, and two tenants."""

    settings: Settings
    store: Store
    app: App
    http: httpx2.AsyncClient
    first: FirstAccounts
    support: Caller
    services: Services
    tenants: dict[str, TenantInTest] = field(default_factory=dict)

    @property
    def front(self) -> Middleware:
        """What every request passes first, behind the watch over slow bodies."""
        assert isinstance(self.app, SlowBodies)
        front = self.app._app
        assert isinstance(front, Middleware)
        return front

    @property
    def litestar(self) -> Litestar:
        """The framework's application, which knows the routes."""
        app = self.front._app
        assert isinstance(app, Litestar)
        return app

    async def add_tenant(self, name: str) -> TenantInTest:
        async with self.store.installation(writes=True) as unit:
            tenant = await TenantRows(unit).add(name, f"{name.lower()}.example", first_attributes(), DEFAULT_ROLES)
        async with self.store.unit(tenant.id, writes=True) as unit:
            contract_id = await ContractRows(unit).add(f"{name} contract", [], {}, None)
            workspace = await WorkspaceRows(unit).add(contract_id, f"{name} workspace", WorkspaceType.full, {})
            team_id = await TeamRows(unit).add(contract_id, name.lower())
        made = TenantInTest(
            tenant.id,
            contract_id,
            workspace.id,
            team_id,
            admin=await self.add_user(tenant.id, f"admin@{name.lower()}.example", tenant_roles=[TENANT_ADMIN]),
            integrator=await self.add_user(tenant.id, f"integrator@{name.lower()}.example"),
            guest=await self.add_user(tenant.id, f"guest@{name.lower()}.example"),
            stranger=await self.add_user(tenant.id, f"stranger@{name.lower()}.example"),
        )
        async with self.store.unit(tenant.id, writes=True) as unit:
            contract, in_workspace = ContractMembers(unit), WorkspaceMembers(unit)
            await contract.add(contract_id, made.admin.id, ["owner", "admin"])
            await contract.add(contract_id, made.integrator.id, ["member"])
            await contract.add(contract_id, made.guest.id, ["member"])
            await in_workspace.add(workspace.id, made.admin.id, ["owner"])
            await in_workspace.add(workspace.id, made.integrator.id, ["integrator"])
            await in_workspace.add(workspace.id, made.guest.id, ["guest"])
            await TeamRows(unit).add_member(team_id, made.admin.id)
        self.tenants[name] = made
        return made

    async def add_user(self, tenant_id: str, email: str, tenant_roles: tuple[str, ...] | list[str] = ()) -> Caller:
        key = new_api_key()
        async with self.store.unit(tenant_id, writes=True) as unit:
            user = await UserRows(unit).add(email, "First", "Last", tenant_roles=tenant_roles)
            await ApiKeys(unit).add(PrincipalKind.user, user.id, "test", key_hash(key), None)
        return Caller(self.http, email, key.reveal(), user.id)

    async def add_service_account(self, *permissions: str) -> Caller:
        key, username = new_api_key(), f"service-{ids.new_id()}"
        async with self.store.installation(writes=True) as unit:
            account = await ServiceAccounts(unit).add(username, permissions)
            await ApiKeys(unit).add(PrincipalKind.service_account, account.id, "test", key_hash(key), None)
        return Caller(self.http, username, key.reveal(), account.id)

    async def add_component(
        self, owner: TenantInTest, name: str, descriptor: dict[str, Any] | None = None, access: str = "team"
    ) -> str:
        """Put a component with one build into the store; access is set directly, as support would."""
        from keyrack.model.components import ComponentAccess  # noqa: PLC0415 - the enum's name would hide the service's
        from keyrack.store.component_builds import ComponentVersions  # noqa: PLC0415 - only used here
        from keyrack.store.components import ComponentRows  # noqa: PLC0415 - only used here

        async with self.store.unit(owner.id, writes=True) as unit:
            component_id = await ComponentRows(unit).add(owner.contract_id, owner.team_id, name, {})
            await ComponentRows(unit).set_access(component_id, ComponentAccess(access))
            if descriptor is not None:
                await ComponentVersions(unit).add(component_id, ids.new_revision(), descriptor)
        return component_id

    async def set_access(self, owner: TenantInTest, component_id: str, access: str) -> None:
        """Change a component's access in the store, as support would; this way it can also go down."""
        from keyrack.model.components import ComponentAccess  # noqa: PLC0415 - the enum's name would hide the service's
        from keyrack.store.components import ComponentRows  # noqa: PLC0415 - only used here

        async with self.store.unit(owner.id, writes=True) as unit:
            await ComponentRows(unit).set_access(component_id, ComponentAccess(access))


def settings_for(home: Path, url: str | None = None, **more: str) -> Settings:
    environment = {"KEYRACK_HOME": str(home), "KEYRACK_LOG_LEVEL": "error"}
    if url is not None:
        environment["KEYRACK_DATABASE_URL"] = url
    return load_settings(environment | {f"KEYRACK_{name.upper()}": value for name, value in more.items()})


@dataclass(frozen=True)
class _Template:
    """An installation with Acme and Globex; most tests begin with a copy of it.

    `database` is the embedded database's file, or what the reused PostgreSQL database holds.
    """

    key: bytes
    database: bytes | Content
    first: FirstAccounts
    tenants: Mapping[str, TenantInTest]

    async def put(self, settings: Settings) -> None:
        if not settings.home.exists():
            settings.home.mkdir(parents=True)
            settings.home.chmod(0o700)
        _write_privately(settings.effective_key_file, self.key)
        if isinstance(self.database, bytes):
            _write_privately(settings.sqlite_path, self.database)
        else:
            await restore(settings.effective_database_url.reveal(), self.database)

    def tenants_for(self, http: httpx2.AsyncClient) -> dict[str, TenantInTest]:
        def again(who: Caller) -> Caller:
            return Caller(http, who.name, who.api_key, who.id)

        return {
            name: replace(
                tenant,
                admin=again(tenant.admin),
                integrator=again(tenant.integrator),
                guest=again(tenant.guest),
                stranger=again(tenant.stranger),
            )
            for name, tenant in self.tenants.items()
        }


def _write_privately(path: Path, content: bytes) -> None:
    path.touch(0o600, exist_ok=False)
    path.write_bytes(content)


_templates: dict[str, _Template] = {}
"""By the address of the database that is reused; that of embedded ones under no address."""


async def _template_for(settings: Settings, now: Clock) -> _Template | None:
    """Return the installation to begin with; None where it has to be made with a test's own database, key or date."""
    if settings.key or settings.key_file or abs(now() - clock.now()) > timedelta(minutes=1):
        return None
    if settings.database_url and not is_reused(settings):
        return None
    url = settings.database_url.reveal() if settings.database_url else None
    if (url or "") not in _templates:
        with TemporaryDirectory(prefix="keyrack-template-") as folder:
            own = settings_for(Path(folder) / "home", url, allow_insecure_providers="true", public_url=BASE)
            async with _made(own, clock.now, None) as made:
                first, tenants = made.first, made.tenants
            key = own.effective_key_file.read_bytes()
            database = own.sqlite_path.read_bytes() if url is None else await saved(url)
        _templates[url or ""] = _Template(key, database, first, tenants)
    return _templates[url or ""]


@asynccontextmanager
async def world(settings: Settings, now: Clock = clock.now) -> AsyncIterator[World]:
    """Set an empty database up and serve it in process."""
    async with _made(settings, now, await _template_for(settings, now)) as made:
        yield made


@asynccontextmanager
async def _made(settings: Settings, now: Clock, template: _Template | None) -> AsyncIterator[World]:
    if template is None:
        local.generate(settings.effective_key_file)
        await migrate(settings)
    else:
        await template.put(settings)
    store = open_store(settings, now)
    services = build_services(store, settings, now)
    async with AsyncExitStack() as running:
        if template is None:
            first = await services.installations.bootstrap("root@root.example", "Root", "root.example")
        else:
            first = template.first
        app = running.enter_context(served_in_process(store, services, settings))
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        http = await running.enter_async_context(httpx2.AsyncClient(transport=transport, base_url=BASE))
        assert first.service_key is not None
        support = Caller(http, first.service_account, first.service_key.reveal())
        made = World(settings, store, app, http, first, support, services)
        if template is None:
            await made.add_tenant("Acme")
            await made.add_tenant("Globex")
        else:
            made.tenants.update(template.tenants_for(http))
        try:
            yield made
        finally:
            await services.refreshing.close()  # what still runs must not find its database closed
            await services.close()
            await store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """The address of an empty database, once for each engine; None is the embedded default."""
    if request.param == "sqlite":
        return None
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_url_of_file(request: pytest.FixtureRequest) -> str | None:
    """As `database_url`, for all tests of a file, which put back what they change."""
    if request.param == "sqlite":
        return None
    url: str = request.getfixturevalue("postgres_url_of_file")
    return url


@pytest.fixture
async def keyrack(tmp_path: Path) -> AsyncIterator[World]:
    """An installation with two tenants on SQLite: for what does not depend on the database."""
    settings = settings_for(tmp_path, allow_insecure_providers="true", public_url=BASE)
    async with world(settings) as made:
        yield made


@pytest.fixture(scope="module")
async def keyrack_to_read(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One installation for all tests of a file that leave it as it is."""
    home = tmp_path_factory.mktemp("keyrack")
    async with world(settings_for(home, allow_insecure_providers="true", public_url=BASE)) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def url_with_tenants(request: pytest.FixtureRequest) -> str | None:
    """As `database_url`, but on PostgreSQL of a database that is reused."""
    if request.param == "sqlite":
        return None
    url: str = request.getfixturevalue("reused_postgres_url")
    return url


on_postgresql_only = pytest.mark.parametrize("url_with_tenants", ["postgresql"], indirect=True)
"""For a test with `keyrack_on_each` of what SQLite does not have: there is none on SQLite, rather than one skipped."""


@pytest.fixture
async def keyrack_on_each(tmp_path: Path, url_with_tenants: str | None) -> AsyncIterator[World]:
    """The same on both databases, one after the other."""
    settings = settings_for(tmp_path, url_with_tenants, allow_insecure_providers="true", public_url=BASE)
    async with world(settings) as made:
        yield made


def error_of(response: httpx2.Response) -> tuple[int, str, str | None]:
    """Return status, code and pointer of an error document with one error."""
    document = response.json()
    assert set(document) == {"errors", "meta"}, document
    (entry,) = document["errors"]
    assert entry["status"] == str(response.status_code)
    return response.status_code, entry["code"], entry.get("source", {}).get("pointer")


def relationship(resource_type: str, resource_id: str) -> Mapping[str, Any]:
    """Return a relationship for a request body."""
    return {"data": {"id": resource_id, "type": resource_type}}
