"""Imports credentials and auth secrets; refreshes nothing, and never replaces tokens by older ones."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from msgspec import UNSET, UnsetType, to_builtins
from sqlalchemy import Row, Table

from keyrack.crypto.secret import Secret
from keyrack.descriptor.fields import clean_fields
from keyrack.descriptor.parse import parse_descriptor
from keyrack.errors import ValidationFailed
from keyrack.model.clients import AuthClient, is_oauth2
from keyrack.model.secrets import ErrorCode, SecretState
from keyrack.model.tenancy import Workspace
from keyrack.oauth.account import MAX_SUBJECT
from keyrack.oauth.dpop import TOKEN_TYPE, is_bound, is_proof_key
from keyrack.oauth.provider_text import printable
from keyrack.service.clients.auth_client_profile import SECRET_FIELDS, provider_of
from keyrack.service.clients.connection_inputs import kept_apart, renews_itself
from keyrack.service.importers.platform.grant_records import CredentialRecord, SecretRecord, SecretRecordAttributes
from keyrack.service.importers.platform.kinds import Piece, given, moved, or_now, same_place
from keyrack.service.importers.platform.known import Known
from keyrack.service.importers.platform.named import check_owner, in_workspace, workspace_of
from keyrack.service.secrets.oauth2_credentials import POINTER, check_new
from keyrack.service.secrets.refresh.grant_ends import GrantEnds, next_refresh
from keyrack.service.secrets.refresh.lifetimes import lifetime_of
from keyrack.service.secrets.refresh.schedule import Schedule, spread_out
from keyrack.service.secrets.refresh.tokens import TYPE
from keyrack.store.auth_secrets import SUPERSEDED, name_key
from keyrack.store.core.bulk import RowToWrite
from keyrack.store.schema import auth_secrets, credentials

_WORKED_OUT = frozenset(
    {
        ErrorCode.client_rejected,
        ErrorCode.provider_refused,
        ErrorCode.provider_unavailable,
        ErrorCode.token_expired,
        ErrorCode.unreadable,
    }
)
"""Causes that are found when a secret is read, from its times, its last failure and its client: never stored."""
_NOT_TOKENS = frozenset({"name", "name_key", "user_id", "auth_method"})


@dataclass(frozen=True, slots=True)
class CredentialKind:
    """First-generation credentials."""

    table: Table = credentials

    async def check(self, known: Known, record: CredentialRecord, at: str, stored: "Row[Any] | None") -> None:
        """Report what is wrong with a credential."""
        about = record.relationships
        workspace = await workspace_of(known, about.workspace.data.id, at)
        if workspace is None:
            known.broken["credentials"].add(record.id)
            return
        pointer = f"{at}/relationships/component/data/id"
        of_component = {"component_id": (about.component.data.id, "/relationships/component/data/id")}
        same_place(known, at, stored, {**in_workspace(workspace), **of_component})
        await check_owner(known, about.user.data.id, workspace.tenant_id, at)
        if record.attributes.keys is UNSET and stored is None:
            known.report.problem("keys are required: none are stored yet", f"{at}/attributes/keys")
        component = await known.component(about.component.data.id)
        if component is None:  # credentials outlive their component
            if about.component.data.id not in known.broken["components"]:
                known.report.warn("there is no such component (any more)", pointer)
        elif component.latest is not None and not isinstance(record.attributes.keys, UnsetType):
            prefix = f"{at}/attributes/keys"
            try:
                clean_fields(parse_descriptor(component.latest.descriptor), record.attributes.keys, prefix)
            except ValidationFailed as wrong:  # what was right for an older build stays as it is
                moved(known, wrong, prefix, prefix, only_warn=True)
        known.told_ids.say("credentials", record.id, (workspace.id, about.component.data.id))

    async def piece(self, known: Known, record: CredentialRecord) -> Piece:
        """Return a credential's row."""
        about, meta = record.relationships, record.meta
        workspace = await known.workspace(about.workspace.data.id)
        texts = (record.attributes.account_label, record.attributes.account_subject)
        named = dict(zip(("account_label", "account_subject"), texts, strict=True))
        whose = {name: _shown(text) for name, text in named.items() if text is not UNSET}
        main = RowToWrite(
            credentials,
            workspace.tenant_id if workspace else "",
            {"id": record.id},
            {
                "name": record.attributes.name,
                "user_id": about.user.data.id,
                **given(created_at=meta.created_at),
                **whose,
            },
            {
                "workspace_id": about.workspace.data.id,
                "component_id": about.component.data.id,
                "created_at": or_now(known, meta.created_at),
                "updated_at": or_now(known, meta.updated_at),
            },
            given(sealed_keys=record.attributes.keys),
            {"updated_at": or_now(known, meta.updated_at)},
        )
        return Piece(main)


@dataclass(frozen=True, slots=True)
class SecretKind:
    """Auth secrets.

    Attributes:
        schedule: when tokens are due.
        count: of the file; what is overdue is spread over a time that grows with it.
    """

    schedule: Schedule
    count: int
    table: Table = auth_secrets

    async def check(self, known: Known, record: SecretRecord, at: str, stored: "Row[Any] | None") -> None:
        """Report what is wrong with a secret."""
        about = record.relationships
        workspace = await workspace_of(known, about.workspace.data.id, at)
        client, pointer = await known.auth_client(about.auth_client.data.id), f"{at}/relationships/auth_client/data/id"
        if client is None:
            known.unknown("auth_clients", about.auth_client.data.id, "there is no such auth client", pointer)
        elif workspace is not None and not _is_usable(client, workspace):
            known.report.problem("there is no such auth client here", pointer)
        if workspace is None or client is None:
            known.broken["auth_secrets"].add(record.id)
            return
        of_client = {"auth_client_id": (client.id, "/relationships/auth_client/data/id")}
        same_place(known, at, stored, {**in_workspace(workspace), **of_client})
        await check_owner(known, about.user.data.id, workspace.tenant_id, at)
        if record.attributes.credentials is UNSET and stored is None:
            known.report.problem("credentials are required: none are stored yet", f"{at}/attributes/credentials")
        try:
            _tokens(record, client)
        except ValidationFailed as wrong:
            moved(known, wrong, POINTER, f"{at}/attributes/credentials")
        wrong_key = _wrong_key(record, client)
        if wrong_key is not None:
            known.report.problem(wrong_key, f"{at}/meta/dpop_key")
        if _ends(record.attributes.credentials) == "":
            known.report.problem("must be a time", f"{at}/attributes/credentials/expires_at")
        known.told_ids.say("auth_secrets", record.id, (workspace.id, client.id))

    async def piece(self, known: Known, record: SecretRecord) -> Piece:
        """Return a secret's row."""
        about, links, meta = record.attributes, record.relationships, record.meta
        workspace, client = (
            await known.workspace(links.workspace.data.id),
            await known.auth_client(links.auth_client.data.id),
        )
        if workspace is None or client is None:
            raise RuntimeError("a secret that was checked is not known")
        tokens = _tokens(record, client)
        state, due = self._state(record, client, tokens, known.unit.clock())
        own: dict[str, Any] = {"name": about.name, "name_key": name_key(about.name), "user_id": links.user.data.id}
        own["auth_method"] = meta.auth_method
        touched = {"updated_at": or_now(known, meta.updated_at)}
        times: dict[str, Any] = {name: state.pop(name) for name in ("issued_at", "expires_at") if name in state}
        if _is_dated(record):
            own |= given(**times)

        def resealed(stored: Mapping[str, Any]) -> Mapping[str, Any]:
            """Cut a refresh off that is running with another refresh token; with the same its answer counts (0.20)."""
            before, after = stored["sealed_credentials"], tokens or {}
            replaced = is_oauth2(client.type) and before.get("refresh_token") != after.get("refresh_token")
            others = {"generation": auth_secrets.c.generation + 1, **times, "due_at": due, "retry_at": None}
            others["backoff_count"] = 0
            return {**(SUPERSEDED if replaced else {}), **others}

        waits = await known.cutover_batch(workspace.tenant_id) if meta.awaits_cutover else None
        main = RowToWrite(
            auth_secrets,
            workspace.tenant_id,
            {"id": record.id},
            {**own, **given(**state)},
            {
                "workspace_id": workspace.id,
                "auth_client_id": client.id,
                "type": client.type,
                "generation": 1,
                "grant_generation": 1,
                "fence": 0,
                "cutover_batch_id": waits,
                "due_at": due,
                "retry_at": None,
                "last_used_at": None if about.last_used_at is UNSET else about.last_used_at,
                "created_at": or_now(known, meta.created_at),
                **times,
                **touched,
            },
            {} if tokens is None else {"sealed_credentials": tokens, "sealed_dpop_key": meta.dpop_key},
            touched,
            resealed,
            _not_older,
        )
        return Piece(main)

    def _state(
        self, record: SecretRecord, client: AuthClient, tokens: Mapping[str, Any] | None, now: datetime
    ) -> tuple[dict[str, Any], datetime | None]:
        """Return the columns that go with tokens, and when they are refreshed."""
        if tokens is None:
            return {}, None
        about, meta = record.attributes, record.meta
        times = self._times(record, client, tokens, now)
        due = times.pop("due_at")
        return {
            **times,
            **_standing(about),
            "refreshed_at": about.last_refreshed_at,
            "requested_scopes": list(about.requested_scopes) or None,
            "missing_scopes": list(about.missing_scopes) or None,
            "account_label": _shown(about.account_label),
            "account_subject": _shown(about.account_subject),
            "userinfo_uri": meta.userinfo_uri,
            "redirect_uri": meta.redirect_uri,
            "refresh_token_expires_at": meta.refresh_token_expires_at,
            "grant_expires_at": meta.grant_expires_at,
            "ambiguous_since": meta.ambiguous_since,
            "failure": None if meta.failure is None else to_builtins(meta.failure),
            "failure_count": meta.failure_count,
            "failed_at": meta.failed_at,
            "stated_lifetime": _stated(record, tokens) if is_oauth2(client.type) else None,
            "connected_at": meta.connected_at,
        }, due

    def _times(
        self, record: SecretRecord, client: AuthClient, tokens: Mapping[str, Any], now: datetime
    ) -> dict[str, Any]:
        """Return when tokens were issued, expire, and are refreshed: never at once, however late it is."""
        if not is_oauth2(client.type):
            none: dict[str, Any] = dict.fromkeys(("issued_at", "expires_at", "due_at"))
            return {"refreshable": False, "lifetime_guessed": False, **none}
        refreshable = bool(tokens.get("refresh_token")) or renews_itself(client, tokens)
        stated = _stated(record, tokens)
        lifetime = timedelta(seconds=lifetime_of(client, dict(tokens), stated, now).seconds)
        said = _ends(record.attributes.credentials)
        guessed = _is_guessed(record, client, tokens, now)
        expires = said if isinstance(said, datetime) else None
        issued = None if isinstance(record.meta.issued_at, UnsetType) else record.meta.issued_at
        if issued is None:
            issued = now if expires is None else min(expires - lifetime, now)
        expires = expires or issued + lifetime
        due = None
        ready = _standing(record.attributes)["state"] is SecretState.ready
        waits = ready and client.rejected_at is None
        if refreshable and waits:
            meta = record.meta
            ends = GrantEnds(meta.refresh_token_expires_at, meta.grant_expires_at)
            due = next_refresh(record.id, client, self.schedule, issued, expires, ends)
            due = spread_out(record.id, due, now, self.count)
        if not refreshable and not guessed and ready:
            due = max(expires, now)  # to tell that it expired
        times = {"issued_at": issued, "expires_at": expires, "due_at": due}
        return {"refreshable": refreshable, "lifetime_guessed": guessed, **times}


def _standing(about: SecretRecordAttributes) -> dict[str, Any]:
    """Return state and error as they are stored; a document of the API also has what is only true when it is read."""
    if about.error_code in _WORKED_OUT:
        return {"state": SecretState.ready, "error": None, "error_code": None, "error_at": None}
    return {"state": about.state, "error": about.error, "error_code": about.error_code, "error_at": about.error_at}


def _shown(text: str | UnsetType | None) -> str | None:
    """Return what a file says of an account as a provider's word is kept: in one line, without unseen characters."""
    return printable(text, MAX_SUBJECT) or None if isinstance(text, str) else None


def _is_usable(client: AuthClient, workspace: Workspace) -> bool:
    return (
        client.tenant_id in ("", workspace.tenant_id)
        and client.contract_id in (None, workspace.contract_id)
        and client.workspace_id in (None, workspace.id)
    )


def _wrong_key(record: SecretRecord, client: AuthClient) -> str | None:
    """Return what is wrong with the key that a secret's tokens are bound to; None if nothing is."""
    provider = provider_of(client) if is_oauth2(client.type) else None
    wanted, key = provider is not None and provider.dpop is not None, record.meta.dpop_key
    if key is None or isinstance(record.attributes.credentials, UnsetType):
        needed = wanted and not isinstance(record.attributes.credentials, UnsetType)
        return "is required: the client's profile has tokens bound to a key" if needed else None
    if not wanted:
        return "goes only with a client whose profile names dpop"
    return None if is_proof_key(Secret(json.dumps(key))) else "is no private key that signs proofs, as a JWK"


def _tokens(record: SecretRecord, client: AuthClient) -> dict[str, Any] | None:
    given_ = record.attributes.credentials
    if isinstance(given_, UnsetType):
        return None
    if not is_oauth2(client.type):
        return dict(given_)
    hidden = given_.get(SECRET_FIELDS)  # which nobody can send over the API
    tokens = check_new({name: value for name, value in given_.items() if name != SECRET_FIELDS})
    if record.meta.dpop_key is not None and is_bound(given_.get(TYPE)):
        tokens[TYPE] = TOKEN_TYPE
    return kept_apart(client, {**tokens, SECRET_FIELDS: dict(hidden)} if isinstance(hidden, Mapping) else tokens)


def _ends(given_: Any) -> datetime | str | None:
    """Return when a token expires; an empty text for what is no time."""
    text = None if isinstance(given_, UnsetType) else given_.get("expires_at")
    if text is None or not isinstance(given_, dict):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return ""
    return moment if moment.tzinfo is not None else ""


def _stated(record: SecretRecord, tokens: Mapping[str, Any]) -> int | None:
    """Return what is known to have been said of how long tokens of a grant live, seconds.

    A file of Keyrack's tells it from what was guessed; of others, what the file has was said.
    """
    stated = record.meta.stated_lifetime
    if not isinstance(stated, UnsetType):
        return stated
    said: int | None = tokens.get("expires_in")
    return said


def _is_guessed(record: SecretRecord, client: AuthClient, tokens: Mapping[str, Any], now: datetime) -> bool:
    """Tell whether nobody said how long a file's token lives."""
    if record.meta.lifetime_guessed is not None:
        return record.meta.lifetime_guessed
    dated = isinstance(_ends(record.attributes.credentials), datetime)
    return not dated and lifetime_of(client, dict(tokens), None, now).guessed


def _is_dated(record: SecretRecord) -> bool:
    """Tell whether the file says when the tokens were issued or expire."""
    return not isinstance(record.meta.issued_at, UnsetType) or _ends(record.attributes.credentials) is not None


def _not_older(stored: "Row[Any]", wanted: RowToWrite) -> RowToWrite:
    """Keep stored tokens that are newer than those of the file: where tokens rotate, the older ones are dead.

    Without a time in the file, tokens that were refreshed here count as newer.
    """
    issued = wanted.given.get("issued_at")
    newer = stored.refreshed_at is not None if issued is None else (stored.issued_at or issued) > issued
    if not newer:
        return wanted
    kept = {name: value for name, value in wanted.given.items() if name in _NOT_TOKENS}
    return replace(wanted, given=kept, sealed={})
