"""Imports components with builds and variables, and the tenants' OAuth clients for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import UNSET
from sqlalchemy import Row, Table

from keyrack.descriptor.parse import parse_descriptor
from keyrack.descriptor.public import public
from keyrack.errors import Problem, ValidationFailed
from keyrack.model import Json
from keyrack.model.components import Component, Version, uses_oauth_client
from keyrack.model.tenancy import Team
from keyrack.service.clients.oauth_clients import unfit_client
from keyrack.service.importers.platform.client_expiry import check_expiry, ends_with, expiry_columns
from keyrack.service.importers.platform.grant_records import OAuthClientRecord
from keyrack.service.importers.platform.kinds import Piece, given, or_now, same_place
from keyrack.service.importers.platform.known import Known
from keyrack.service.importers.platform.links import Link
from keyrack.service.importers.platform.named import tenant_of
from keyrack.service.importers.platform.place_records import BuildRecord, ComponentRecord
from keyrack.service.importers.platform.visibility import tenant_sees
from keyrack.store.core.bulk import Complete, RowToWrite
from keyrack.store.schema import component_env, component_versions, component_whitelists, components, oauth_clients
from keyrack.validation.fields import wrong_variable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXTRA = ("icon", "docker_repo_name", "docker_target_tag")


@dataclass(frozen=True, slots=True)
class ComponentKind:
    """Components with their builds."""

    table: Table = components

    async def check(self, known: Known, record: ComponentRecord, at: str, stored: "Row[Any] | None") -> None:
        """Report what is wrong with a component."""
        team = await _team(known, record, at)
        if team is None:
            known.broken["components"].add(record.id)
            return
        where = "/relationships/team"
        expected = {"tenant_id": (team.tenant_id, "/id"), "team_id": (team.id, where)}
        same_place(known, at, stored, expected)
        name, pointer = record.attributes.name, f"{at}/attributes/name"
        if known.unique(pointer, "another component of the team has this name", "component", team.id, name):
            for row in await known.bulk.rows(components.c.team_id, [team.id]):
                if row.name == name and row.id != record.id:
                    known.report.problem("a stored component of the team has this name", pointer)
        whole = await _check_builds(known, record, at)
        _check_variables(known, record, at)
        listed = record.attributes.whitelisted_contract_ids
        for index, contract_id in enumerate([] if listed is UNSET else listed):
            if await known.contract(contract_id) is None:
                pointer = f"{at}/attributes/whitelisted_contract_ids/{index}"
                known.unknown("contracts", contract_id, "there is no such contract", pointer)
        before = await known.component(record.id)
        known.told["components", record.id] = _component(record, team, before)
        known.told.setdefault(("component_names", f"{team.name}/{name}"), record.id)
        if not whole:
            known.broken["components"].add(record.id)

    async def piece(self, known: Known, record: ComponentRecord) -> Piece:
        """Return a component's rows."""
        found = await known.component(record.id)
        if found is None:
            raise RuntimeError("a component that was checked is not known")
        latest = found.latest
        main = RowToWrite(
            components,
            found.tenant_id,
            {"id": record.id},
            {
                "name": found.name,
                "access": found.access.value,
                "attributes": found.attributes,
                "latest_revision": latest.revision if latest else None,
                "latest_number": latest.number if latest else 0,
                "uses_oauth_client": found.uses_oauth_client,
            },
            {"contract_id": found.contract_id, "team_id": found.team_id},
        )
        others = [_build_row(known, found, build) for build in record.meta.versions]
        if record.meta.env is not UNSET:
            sealed = {"sealed_vars": record.meta.env}
            others.append(RowToWrite(component_env, found.tenant_id, {"component_id": record.id}, sealed=sealed))
        exact = []
        if record.attributes.whitelisted_contract_ids is not UNSET:
            ids = list(dict.fromkeys(record.attributes.whitelisted_contract_ids))
            for contract_id in ids:
                contract = await known.contract(contract_id)
                key = {"component_id": record.id, "contract_id": contract_id}
                others.append(RowToWrite(component_whitelists, contract.tenant_id if contract else "", key))
            exact = [
                Complete(
                    component_whitelists,
                    {"component_id": record.id, "tenant_id": tenant_id},
                    "contract_id",
                    frozenset(ids),
                )
                for tenant_id in known.tenants
            ]
        return Piece(main, others, exact)


async def _team(known: Known, record: ComponentRecord, at: str) -> Team | None:
    link, name = record.relationships.team, record.attributes.team_name
    if isinstance(link, Link):
        team = await known.team(link.data.id)
        if team is None:
            known.unknown("teams", link.data.id, "there is no such team", f"{at}/relationships/team/data/id")
        return team
    if name is UNSET:
        known.report.problem("a component names its team, or has a team_name", f"{at}/relationships/team")
        return None
    team = await known.team_named(name)
    if team is None:
        known.report.problem("there is no such team", f"{at}/attributes/team_name")
    return team


def _problems_of(descriptor: Json, *, new: bool = False) -> Sequence[Problem]:
    try:
        parse_descriptor(descriptor, new=new)
    except ValidationFailed as wrong:
        return wrong.problems
    return ()


def _inside(problem: Problem) -> str:
    return "" if problem.pointer in (None, "/") else problem.pointer or ""


async def _check_builds(known: Known, record: ComponentRecord, at: str) -> bool:
    """Report what is wrong with builds; tell whether all their descriptors are right."""
    whole = True
    stored = await known.bulk.rows(component_versions.c.component_id, [record.id])
    by_revision = {row.revision: row for row in stored}
    by_number = {row.number: row.revision for row in stored}
    for index, build in enumerate(record.meta.versions):
        pointer = f"{at}/meta/versions/{index}"
        number = build.attributes.version_number
        known.unique(f"{pointer}/id", "the component has this version already", "build", at, build.id)
        number_at = f"{pointer}/attributes/version_number"
        known.unique(number_at, "the component has this number already", "number", at, str(number))
        problems = _problems_of(build.descriptor)
        whole = whole and not problems
        for problem in problems:
            known.report.problem(problem.detail, f"{pointer}/descriptor{_inside(problem)}")
        for problem in () if problems else _problems_of(build.descriptor, new=True):
            known.report.warn(f"{problem.detail}; is left out", f"{pointer}/descriptor{_inside(problem)}")
        before = by_revision.get(build.id)
        if before is not None and build.descriptor not in (before.descriptor, public(before.descriptor)):
            known.report.problem("the stored version has another descriptor", f"{pointer}/descriptor")
        if by_number.get(number, build.id) != build.id or (before is not None and before.number != number):
            known.report.problem("is stored with another number, or the number with another version", number_at)
        descriptor = build.descriptor if before is None else before.descriptor
        known.told["builds", f"{record.id}/{build.id}"] = Version(
            build.id, record.id, number, _made(known, build), descriptor
        )
    return whole


def _check_variables(known: Known, record: ComponentRecord, at: str) -> None:
    names = () if record.meta.env is UNSET else record.meta.env
    known.report.problems += [problem for name in names if (problem := wrong_variable(name, f"{at}/meta/env"))]


def _made(known: Known, build: BuildRecord) -> datetime:
    if build.attributes.date is UNSET:
        return known.unit.clock()
    return _EPOCH + timedelta(milliseconds=build.attributes.date)


def _component(record: ComponentRecord, team: Team, before: Component | None) -> Component:
    """Return a component as it will be; its latest build is that with the highest number, in the file or stored."""
    about = record.attributes
    builds = [
        Version(build.id, record.id, build.attributes.version_number, _EPOCH, build.descriptor)
        for build in record.meta.versions
    ]
    if before is not None and before.latest is not None:
        builds.append(before.latest)
    latest = max(builds, key=lambda build: build.number, default=None)
    listed = about.whitelisted_contract_ids
    kept = before.whitelisted_contract_ids if before is not None else ()
    return Component(
        id=record.id,
        tenant_id=team.tenant_id,
        contract_id=team.contract_id,
        team_id=team.id,
        team_name=team.name,
        name=about.name,
        access=about.access,
        whitelisted_contract_ids=kept if listed is UNSET else tuple(listed),
        attributes={name: getattr(about, name) for name in _EXTRA if getattr(about, name) is not UNSET},
        latest=latest,
        uses_oauth_client=latest is not None and uses_oauth_client(latest.descriptor),
    )


def _build_row(known: Known, component: Component, build: BuildRecord) -> RowToWrite:
    number = build.attributes.version_number
    first = {"number": number, "descriptor": build.descriptor, "created_at": _made(known, build)}
    key = {"component_id": component.id, "revision": build.id}
    return RowToWrite(component_versions, component.tenant_id, key, first=first)


def _unfit(record: OAuthClientRecord, stored: "Row[Any] | None") -> dict[str, str]:
    """Return what is wrong with a client's id or secret for how it authenticates, as far as the file has them."""
    about = record.attributes
    kept = stored.client_auth if stored is not None and about.client_auth is UNSET else about.client_auth
    client_id = "" if about.client_id is UNSET else about.client_id
    client_secret = None if about.client_secret is UNSET else about.client_secret
    unfit = unfit_client(client_id, client_secret, kept or None)
    for name in ("client_id", "client_secret"):
        if stored is None and getattr(about, name) is UNSET:
            unfit[name] = "is required: none is stored yet"
    return unfit


@dataclass(frozen=True, slots=True)
class OAuthClientKind:
    """A tenant's clients for components."""

    table: Table = oauth_clients

    async def check(self, known: Known, record: OAuthClientRecord, at: str, stored: "Row[Any] | None") -> None:
        """Report what is wrong with an OAuth client."""
        tenant_id = await tenant_of(known, record.relationships.tenant, at)
        if tenant_id is None:
            known.broken["oauth_clients"].add(record.id)
            return
        same_place(known, at, stored, {"tenant_id": (tenant_id, "/id")})
        component_id, pointer = record.relationships.component.data.id, f"{at}/relationships/component/data/id"
        detail = "the file has another OAuth client of the tenant for this component"
        if known.unique(pointer, detail, "client", tenant_id, component_id):
            for row in await known.bulk.rows(oauth_clients.c.component_id, [component_id]):
                if row.tenant_id == tenant_id and row.id != record.id:
                    known.report.problem("the tenant has a stored OAuth client for this component", pointer)
        component = await known.component(component_id)
        if component is None:
            if component_id not in known.broken["components"]:  # a client outlives its component (contract 24.6)
                known.report.warn("there is no such component (any more)", pointer)
        elif not tenant_sees(tenant_id, component):
            known.report.problem("the tenant does not see this component", pointer)
        for name, why in _unfit(record, stored).items():
            known.report.problem(f"{name} {why}", f"{at}/attributes/{name}")
        check_expiry(known, record, at, stored)
        known.told["oauth_clients", record.id] = tenant_id
        known.told.setdefault(("clients_told", tenant_id), set()).add(component_id)

    async def piece(self, known: Known, record: OAuthClientRecord) -> Piece:
        """Return an OAuth client's rows."""
        about, meta = record.attributes, record.meta
        created = or_now(known, meta.created_at)
        main = RowToWrite(
            oauth_clients,
            known.told["oauth_clients", record.id],
            {"id": record.id},
            {
                "component_id": record.relationships.component.data.id,
                **given(created_at=meta.created_at, client_auth=about.client_auth),
                **expiry_columns(known, record),
            },
            {
                "created_at": created,
                "updated_at": or_now(known, meta.updated_at),
                "last_used_at": None if meta.last_used_at is UNSET else meta.last_used_at,
            },
            given(sealed_client_id=about.client_id, sealed_client_secret=about.client_secret),
            {"updated_at": or_now(known, meta.updated_at)},
            ends_with(record, lambda stored: stored.get("sealed_client_secret") == about.client_secret),
        )
        return Piece(main)
