"""Files for `keyrack import platform`: a small tenant with one record of each kind and more."""

import copy
import hashlib
from io import BytesIO
from typing import Any

from keyrack.service.clients.auth_client_credentials import CredentialRules
from keyrack.service.importers.platform.importing import Imported, Importer
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.store.core.store import Store

Json = dict[str, Any]
CANARY = "canary-7b1f"
"""Part of everything secret in the file."""


def identifier(kind: str, number: int = 1) -> str:
    """Return the same id for the same name and number."""
    return hashlib.sha256(f"{kind} {number}".encode()).hexdigest()[:24]


def link(kind: str, number: int = 1) -> Json:
    return {"data": {"id": identifier(kind, number), "type": kind}}


REVISION = hashlib.sha256(b"revision").hexdigest()[:40]

DESCRIPTOR: Json = {
    "title": "Petstore",
    "credentials": {"fields": {"key": {"label": "Key", "viewClass": "PasswordFieldView"}}},
    "actions": {"run": {"title": "Run", "main": "./run.js"}},
}


def step(number: int, **more: Any) -> Json:
    return {"id": f"step_{number}", "command": "moved-team/petstore:run", **more}


_FILE: Json = {
    "format": "keyrack-platform",
    "version": 1,
    "tenants": [
        {
            "id": identifier("tenant"),
            "type": "tenant",
            "attributes": {"name": "Moved", "app_domain": "moved.example", "code": "moved"},
            "meta": {"created_at": "2024-02-03T04:05:06.001Z"},
        }
    ],
    "users": [
        {
            "id": identifier("user", number),
            "type": "user",
            "attributes": {
                "email": f"{name}@moved.example",
                "first_name": name,
                "last_name": "",
                "registered": "2024-02-03T04:05:06.789Z",
            },
            "meta": {
                "tenant_roles": ["tenant-admin"] if number == 1 else [],
                "api_keys": [
                    {
                        "id": identifier("key", number),
                        "name": "laptop",
                        "key_hash": hashlib.sha256(f"{CANARY} {number}".encode()).hexdigest(),
                        "created_at": "2024-02-03T04:05:06.789Z",
                    }
                ],
            },
        }
        for number, name in ((1, "ada"), (2, "bob"))
    ],
    "contracts": [
        {
            "id": identifier("contract"),
            "type": "contract",
            "attributes": {"name": "Moved contract", "available_roles": [], "status": "active"},
            "relationships": {"tenant": link("tenant")},
            "meta": {
                "members": [
                    {"id": identifier("user"), "attributes": {"roles": ["owner", "admin"]}},
                    {"id": identifier("user", 2), "attributes": {"roles": ["member"]}},
                ]
            },
        }
    ],
    "workspaces": [
        {
            "id": identifier("workspace"),
            "type": "workspace",
            "attributes": {"name": "Moved workspace", "type": "full"},
            "relationships": {"contract": link("contract")},
            "meta": {"members": [{"id": identifier("user", 2), "attributes": {"roles": ["integrator"]}}]},
        }
    ],
    "teams": [
        {
            "id": identifier("team"),
            "type": "team",
            "attributes": {"name": "moved-team"},
            "relationships": {
                "contract": link("contract"),
                "users": {"data": [{"id": identifier("user"), "type": "user"}]},
            },
        }
    ],
    "components": [
        {
            "id": identifier("component"),
            "type": "component",
            "attributes": {"name": "petstore", "team_name": "moved-team", "access": "tenant"},
            "meta": {
                "versions": [
                    {
                        "id": REVISION,
                        "attributes": {"version_number": 1, "date": 1_700_000_000_001},
                        "descriptor": DESCRIPTOR,
                    }
                ],
                "env": {"BASE": f"{CANARY}-env"},
            },
        }
    ],
    "oauth_clients": [
        {
            "id": identifier("oauth-client"),
            "type": "oauth-client",
            "attributes": {"client_id": "petstore-app", "client_secret": f"{CANARY}-client"},
            "relationships": {"component": link("component")},
        }
    ],
    "auth_clients": [
        {
            "id": identifier("auth-client"),
            "type": "auth-client",
            "attributes": {
                "name": "Petstore",
                "type": "oauth2",
                "credentials": {
                    "client_id": "petstore",
                    "client_secret": f"{CANARY}-auth-client",
                    "auth_uri": "https://petstore.example/authorize",
                    "token_uri": "https://petstore.example/token",
                },
            },
            "relationships": {
                "components": {"data": [{"id": identifier("component"), "type": "component"}]},
                "tenant": link("tenant"),
            },
        }
    ],
    "credentials": [
        {
            "id": identifier("credential"),
            "type": "credential",
            "attributes": {
                "name": "key",
                "keys": {"key": f"{CANARY}-key"},
                "account_label": "bob@pets.example",
                "account_subject": "b1",
            },
            "relationships": {
                "workspace": link("workspace"),
                "component": link("component"),
                "user": link("user", 2),
            },
        }
    ],
    "auth_secrets": [
        {
            "id": identifier("auth-secret"),
            "type": "auth-secret",
            "attributes": {
                "name": "Bob's pets",
                "state": "ready",
                "requested_scopes": ["pets.read", "pets.write"],
                "missing_scopes": ["pets.write"],
                "account_label": "bob@pets.example",
                "account_subject": "b2",
                "credentials": {
                    "access_token": f"{CANARY}-access",
                    "refresh_token": f"{CANARY}-refresh",
                    "expires_in": 3600,
                    "expires_at": "2024-05-06T07:08:09.123Z",
                },
            },
            "relationships": {
                "workspace": link("workspace"),
                "user": link("user", 2),
                "auth_client": link("auth-client"),
            },
            "meta": {"userinfo_uri": "https://petstore.example/me"},
        }
    ],
    "flows": [
        {
            "id": identifier("flow"),
            "type": "flow",
            "attributes": {
                "name": "Feed the pets",
                "type": "ordinary",
                "status": "active",
                "default_mapper_type": "jsonata",
                "graph": {
                    "nodes": [
                        step(1, credentials_id=identifier("credential")),
                        step(2, secret_id=identifier("auth-secret")),
                    ],
                    "edges": [{"source": "step_1", "target": "step_2"}],
                },
            },
            "relationships": {"workspace": link("workspace"), "user": link("user", 2)},
        }
    ],
}


def platform_file() -> Json:
    """Return a file that can be imported."""
    return copy.deepcopy(_FILE)


class Silent:
    """Progress that nobody looks at."""

    def section(self, doing: str, name: str, total: int) -> None:
        """Begin a section."""

    def advance(self, count: int) -> None:
        """Go on."""


async def imported(store: Store, content: bytes) -> Imported:
    """Import a file into a store."""
    return await Importer(store, CredentialRules(allow_insecure=False), Schedule()).run(
        lambda: BytesIO(content), Silent()
    )
