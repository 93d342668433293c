"""Texts that somebody might choose to break a page, in every column of the database that can hold one.

The columns come from the schema: one that is neither filled (`FILLED`) nor said to hold no such text (`NO_FREE_TEXT`)
fails a test, so a new column is thought of. Every column has a word of its own in its text, by which a test tells where
it is shown, see `words_in`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sqlalchemy import JSON, LargeBinary, String

from keyrack.oauth.provider_text import printable
from keyrack.store.schema.base import Id, metadata

MARK = "data-hostile"
"""An attribute that no element of a page has, unless a name was taken for markup."""

LONG = "W" * 10_000
TURNING = "\u202e\u2066"
"""Marks that turn the direction of what follows."""
TURNED = "\u202etxt.exe\u2066"

SCRIPT = (
    f"</title></script></textarea><script {MARK}>window.hostile=1</script>"
    f"\"'><img {MARK} src=x onerror=window.hostile=1>{{{{7*7}}}}javascript:window.hostile=1"
)
NAME = f"{TURNED}{SCRIPT}{LONG}"

ADDED = "added"

Fill = Callable[[Any, str], Any]
"""Takes what is in a column (of a sealed one, in the clear) and a hostile text; returns what is to be in it."""


def _text(_: Any, text: str) -> Any:
    return text


def _also(stored: Any, text: str) -> Any:
    """Add it to a list of texts."""
    return [*(stored or ()), text]


def _everything(stored: Any, text: str) -> Any:
    """Put it in the place of every text in a JSON value, and into its names."""
    if isinstance(stored, str):
        return text
    if isinstance(stored, list):
        return [_everything(each, text) for each in stored]
    if isinstance(stored, dict):
        return {**{name: _everything(value, text) for name, value in stored.items()}, text: text}
    return stored


def _rotation(_: Any, text: str) -> Any:
    """Let a secret be rotated, and the provider have said so of the new one."""
    moment = "2026-01-01T00:00:00Z"
    trial = {"at": moment, "result": "refused", "error": text}
    return {"state": "rolled_back", "began_at": moment, "changed_at": moment, "sample": 3, "trials": [trial]}


def _member(*names: str, fill: Fill = _text) -> Fill:
    """Fill members of an object, and leave the others as they are."""
    return lambda stored, text: {**stored, **{name: fill(stored.get(name), text) for name in names}}


def _email(_: Any, text: str) -> Any:
    """As emails are taken: whatever can be seen."""
    return text.replace(TURNED, "@")


def _texts(stored: Any, text: str) -> Any:
    """Put it in the place of every text in a JSON value, but not into its names."""
    if isinstance(stored, list):
        return [_texts(each, text) for each in stored]
    if isinstance(stored, dict):
        return {name: _texts(value, text) for name, value in stored.items()}
    return text if isinstance(stored, str) else stored


def _printable(stored: Any, text: str) -> Any:
    """As `_texts`, of what is made printable, and short, before it is stored; what is not there is a text."""
    return _texts(stored or "x", printable(text, 200))


def _address(_: Any, text: str) -> Any:
    return f"https://login.example.com/{text}"


def _if_added(stored: Any, text: str) -> Any:
    """Fill it in the rows that `_add_rows` has added, as others are named by it."""
    return text if stored == ADDED else stored


def _asked(stored: Any, text: str) -> Any:
    """Fill what a bound consent tells the person whom it asks."""
    told = stored.get("introduction")
    return stored if told is None else {**stored, "introduction": _printable(told, text)}


def _told(stored: Any, text: str) -> Any:
    """Fill what came of a test, with a claim of an odd name."""
    return None if stored is None else {**_texts(stored, text), "claims": {text: text}}


def _descriptor(stored: Any, text: str) -> Any:
    """Fill what a component shows: its texts, a field of each kind, a scope; it goes on as a component."""
    credentials = dict(stored.get("credentials") or {})
    if "fields" in credentials:
        about = {"label": text, "note": text, "placeholder": text, "required": False}
        choices = {"viewClass": "SelectView", "model": {text: text}, "prompt": text}
        more = {"hostile": {"viewClass": "TextFieldView", **about}, "choice": {**about, **choices}}
        credentials["fields"] = {**credentials["fields"], **more}
    if "oauth2" in credentials:
        credentials["oauth2"] = {**credentials["oauth2"], "scopes": [text]}
    return {**stored, "title": text, "description": text, "credentials": credentials}


def _state(stored: Any, text: str) -> Any:
    """Let a process tell of a circuit at an odd address."""
    return {**stored, "circuits": [{"origin": text, "circuit": "open", "running": 1}]}


FILLED: Mapping[str, Fill] = {
    "api_keys.name": _text,
    "audit_events.actor": _text,
    "audit_events.address": _text,
    "audit_events.request_id": _text,
    "audit_events.target_id": _text,
    "authentication_requests.sealed_context": _member("client_id"),
    "authentication_requests.sealed_result": _told,
    "auth_clients.name": _text,
    "auth_clients.origin": _text,
    "auth_clients.rejection": lambda _, text: {"status": 401, "error": text, "error_description": text},
    "attempts.sealed_answer": _text,
    "auth_clients.rotation": _rotation,
    "auth_clients.sealed_credentials": _member("client_id", "client_secret"),
    "auth_clients.sealed_second_secret": _text,
    "auth_clients.type": _text,
    "auth_secrets.account_label": _text,
    "auth_secrets.account_subject": _text,
    "auth_secrets.error": _text,
    "auth_secrets.failure": lambda _, text: {
        "kind": "temporary",
        "text": text,
        "error": text,
        "error_description": text,
    },
    "auth_secrets.missing_scopes": _also,
    "auth_secrets.name": _text,
    "auth_secrets.requested_scopes": _also,
    "auth_secrets.sealed_credentials": _everything,
    "auth_secrets.type": _text,
    "auth_secrets.userinfo_uri": _address,
    "component_env.sealed_vars": _everything,
    "component_versions.descriptor": _descriptor,
    "components.attributes": _everything,
    "components.name": _text,
    "connect_links.error": _text,
    "connect_links.sealed_wanted": _member("name"),
    "connect_themes.display_name": _text,
    "console_sessions.address": _text,
    "console_sessions.browser": _text,
    "consents.error": _text,
    "consents.sealed_memory": _asked,
    "contract_invites.email": _email,
    "contract_invites.roles": _also,
    "contract_invites.workspace_roles": _also,
    "contract_members.roles": _also,
    "contracts.attributes": _everything,
    "contracts.available_roles": lambda stored, text: [*stored, ["contracts", text]],
    "contracts.custom_data": _everything,
    "contracts.name": _text,
    "credentials.account_label": _text,
    "credentials.account_subject": _text,
    "credentials.name": _text,
    "contained_grants.facts": _member("why"),
    "credentials.sealed_keys": _everything,
    "deleted_clients.name": _text,
    "freezes.reason": _text,
    "freezes.target": lambda _, text: text[:512],
    "data_keys.kek_id": _if_added,
    "events.data": _everything,
    "events.sealed_data": _everything,
    "flow_versions.graph": _everything,
    "flows.attributes": _everything,
    "flows.description": _text,
    "flows.draft": _everything,
    "flows.graph": _everything,
    "flows.name": _text,
    "linked_identities.email": _text,
    "linked_identities.subject": _text,
    "mails.sealed_mail": _member("tenant_name", "invited_by", "contract_name", fill=_printable),
    "oauth_clients.rotation": _rotation,
    "oauth_clients.sealed_client_id": _text,
    "oauth_clients.sealed_client_secret": _text,
    "oauth_clients.sealed_second_secret": _text,
    "processes.host": _text,
    "processes.version": _text,
    "processes.state": _state,
    "refresh_counts.origin": lambda _, text: text[:400],
    "revocations.sealed_order": _everything,
    "roles.i18n": _everything,
    "roles.role": _if_added,
    "service_accounts.username": _text,
    "setup_links.maker_name": _text,
    "single_sign_on.client_id": _text,
    "single_sign_on.issuer": _address,
    "single_sign_on.sealed_client_secret": _text,
    "teams.name": _text,
    "teams.sealed_docker_registry": _everything,
    "tenants.attributes": _everything,
    "tenants.name": _text,
    "users.company": _text,
    "users.email": _email,
    "users.first_name": lambda _, text: text[:60],
    "users.last_name": _text,
    "users.tenant_roles": _also,
    "webhooks.description": _text,
    "webhooks.sealed_url": _address,
    "workspace_members.roles": _also,
    "workspaces.attributes": _everything,
    "workspaces.name": _text,
}
"""How each column is filled that can hold a text of somebody's choice, by table and column."""

ONLY: Mapping[str, str] = {
    "auth_clients.type": "lone_auth_client_id",
    "auth_secrets.type": "lone_secret_id",
    "auth_clients.origin": "auth_client_id",
}
"""Columns that are filled in one row alone, by its name in `Estate.ids`: what is of the type `oauth2` shows more."""

_SECRET, _API = "secret, or beside what is", "read over the API alone"
_COMMAND = "shown at the command line alone, by `cli.common.visible`"
NOWHERE: Mapping[str, str] = {
    "attempts.sealed_answer": "of a provider, for the recovery alone",
    "auth_secrets.missing_scopes": "some of the requested scopes: these are shown, and marked",
    "auth_clients.sealed_second_secret": _SECRET,
    "auth_secrets.sealed_credentials": _SECRET,
    "auth_secrets.userinfo_uri": "only asked",
    "authentication_requests.sealed_context": "for the callback alone",
    "component_env.sealed_vars": _SECRET,
    "components.attributes": _API,
    "contracts.attributes": _API,
    "contracts.available_roles": "names of roles, which are compared with those that there are",
    "contracts.custom_data": _API,
    "contained_grants.facts": _COMMAND,
    "credentials.sealed_keys": _SECRET,
    "freezes.reason": _COMMAND,
    "freezes.target": _COMMAND,
    "events.sealed_data": _SECRET,
    "flow_versions.graph": _API,
    "flows.attributes": _API,
    "flows.description": "only searched",
    "flows.draft": _API,
    "flows.graph": _API,
    "mails.sealed_mail": "only sent: tests/flows/test_mail.py",
    "oauth_clients.sealed_client_secret": _SECRET,
    "oauth_clients.sealed_second_secret": _SECRET,
    "revocations.sealed_order": _SECRET,
    "single_sign_on.sealed_client_secret": _SECRET,
    "teams.sealed_docker_registry": _SECRET,
    "tenants.attributes": _API,
    "workspaces.attributes": _API,
}
"""Columns that no page shows, and why."""

_HASH, _OURS, _RANDOM = "a hash", "a word of a list of ours", "made by us of random bytes"
_KEY = "another column as it is searched, compared or sorted; a filled one tells how that is shown"
_PROCESS = "made by a process of its machine's number, its own, and digits"
_REVISION = "a hash, in hexadecimal digits"
NO_FREE_TEXT: Mapping[str, str] = {
    "api_keys.key_hash": _HASH,
    "attempts.kind": _OURS,
    "attempts.outcome": _OURS,
    "attempts.owner": _PROCESS,
    "audit_chains.cut_hash": _HASH,
    "audit_chains.cut_signature": _RANDOM,
    "audit_chains.hash": _HASH,
    "audit_chains.signature": _RANDOM,
    "audit_checkpoints.hash": _HASH,
    "audit_counts.action": _OURS,
    "audit_counts.actor": "shown by the entry that is made of it, `audit_events.actor`",
    "audit_counts.actor_kind": _OURS,
    "audit_counts.address": "as `audit_counts.actor`",
    "audit_counts.outcome": _OURS,
    "audit_counts.target_id": "as `audit_counts.actor`",
    "audit_counts.target_type": _OURS,
    "audit_checkpoints.signature": _RANDOM,
    "audit_events.action": _OURS,
    "audit_events.entry_hash": _HASH,
    "audit_keys.sealed_key": _RANDOM,
    "audit_events.actor_kind": _OURS,
    "audit_events.outcome": _OURS,
    "audit_events.target_type": _OURS,
    "auth_clients.mcp_server_key": _HASH,
    "auth_clients.name_key": _KEY,
    "auth_clients.resource_key": _HASH,
    "auth_secrets.auth_method": _OURS,
    "auth_secrets.error_code": _OURS,
    "import_batches.name": "chosen by the operator on the machine itself; shown by the command line only",
    "import_batches.source": _OURS,
    "import_entries.external_id": "what another system calls something; shown by no page, and asked for by its hash",
    "import_entries.external_key": _HASH,
    "import_entries.kind": _OURS,
    "import_entries.source": _OURS,
    "auth_secrets.lease_owner": _PROCESS,
    "auth_secrets.name_key": _KEY,
    "auth_secrets.redirect_uri": "an address of ours, under a host name that is checked",
    "auth_secrets.sealed_dpop_key": _RANDOM,
    "auth_secrets.state": _OURS,
    "authentication_requests.browser_hash": _HASH,
    "authentication_requests.state_hash": _HASH,
    "authenticators.recovery_hashes": _HASH,
    "authenticators.sealed_secret": _RANDOM,
    "component_versions.revision": _REVISION,
    "components.access": _OURS,
    "components.latest_revision": _REVISION,
    "connect_links.browser_hash": _HASH,
    "connect_links.link_hash": _HASH,
    "connect_links.opener_origin": "an origin, written anew by us: a scheme, a host name in ASCII and a number",
    "connect_links.status": _OURS,
    "connect_themes.accent_color": "# and six hexadecimal digits, checked",
    "connect_themes.logo": "a picture, whose format is checked and with whose type it is sent",
    "connect_themes.logo_digest": _HASH,
    "connect_themes.logo_type": _OURS,
    "connect_themes.return_origins": "origins, as `connect_links.opener_origin`",
    "console_sessions.session_hash": _HASH,
    "consents.browser_hash": _HASH,
    "consents.link_hash": _HASH,
    "consents.state_hash": _HASH,
    "consents.status": _OURS,
    "contract_invites.email_key": _KEY,
    "contracts.status": _OURS,
    "data_keys.wrapped": "a key, sealed by another one",
    "deliveries.last_error": _OURS,
    "deliveries.state": _OURS,
    "events.type": _OURS,
    "flow_references.place": _OURS,
    "flow_references.revision": _REVISION,
    "flow_versions.hash": _HASH,
    "flows.current_status": _OURS,
    "flows.description_key": _KEY,
    "flows.latest_version": _HASH,
    "flows.name_key": _KEY,
    "flows.status": _OURS,
    "flows.type": _OURS,
    "installation.sealed_check": "a text of ours",
    "installation.sealed_form_key": _RANDOM,
    "key_rotations.kek_id": "the id of a key that the operator set",
    "linked_identities.identity_hash": _HASH,
    "mails.outcome": _OURS,
    "mails.target_type": _OURS,
    "contained_grants.status": _OURS,
    "deleted_clients.kind": _OURS,
    "deleted_clients.sealed_client": "opened only to restore it",
    "freezes.kind": _OURS,
    "oauth_clients.client_auth": _OURS,
    "pending_sign_ins.cookie_hash": _HASH,
    "processes.id": _PROCESS,
    "processes.roles": "words of a list of ours",
    "refresh_counts.result": _OURS,
    "schema_compatibility.oldest_program": _OURS,
    "revocations.outcome": _OURS,
    "roles.permissions": "words of a list of ours",
    "roles.scope": _OURS,
    "search_words.kind": _OURS,
    "search_words.word": _KEY,
    "service_accounts.password_hash": _HASH,
    "service_accounts.permissions": "words of a list of ours",
    "setup_links.link_hash": _HASH,
    "setup_links.maker_kind": _OURS,
    "single_sign_on.client_auth": _OURS,
    "single_sign_on_domains.domain": "a host name, checked, of letters, digits, points and hyphens",
    "tenants.app_domain": "a host name, checked, of letters, digits, points and hyphens",
    "users.email_domain": _KEY,
    "users.email_key": _KEY,
    "users.password_hash": _HASH,
    "webhooks.disabled_reason": _OURS,
    "webhooks.event_types": "words of a list of ours",
    "webhooks.sealed_keys": _RANDOM,
    "workspaces.type": _OURS,
}
"""Why a column can hold no text of somebody's choice."""

_WORDS = {f"zq{number}z": name for number, name in enumerate(sorted(FILLED))}
_WORD_OF = {name: word for word, name in _WORDS.items()}
_WORD = re.compile("zq[0-9]+z")


def text_columns() -> Iterator[str]:
    """Yield the columns of the schema that are wide enough for a text: all but ids, numbers, times and yes or no."""
    for table in metadata.sorted_tables:
        for column in table.c:
            if isinstance(column.type, (String, JSON, LargeBinary)) and column.type is not Id:
                yield f"{table.name}.{column.name}"


def words_in(text: str) -> set[str]:
    """Return the columns whose hostile texts are in a text, in whole or in part."""
    return {_WORDS[word] for word in _WORD.findall(text) if word in _WORDS}


def hostile_word(name: str) -> str:
    """Return the word of a column."""
    return _WORD_OF[name]


def hostile_text(name: str, row: int = 0) -> str:
    """Return the text for a column, which is another one in each row."""
    return f"{_WORD_OF[name]}{row}{NAME}"
