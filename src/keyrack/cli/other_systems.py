"""`keyrack import nango|n8n|vault-oauthapp` and `keyrack import undo` (docs/migrating.md)."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keyrack.cli.common import Json, complain, show, with_store
from keyrack.crypto.secret import Secret
from keyrack.visible import json_text, visible

if TYPE_CHECKING:
    from keyrack.service.importers.other_systems.entries import EntryResult, OtherSystem
    from keyrack.service.importers.other_systems.json_objects import Found
    from keyrack.service.importers.other_systems.profiles import Profiles
    from keyrack.service.importers.other_systems.results import Import
    from keyrack.store.core.store import Store
    from keyrack.store.import_batches import ImportBatch

File = Annotated[Path, typer.Argument(help="What the other system has exported (docs/migrating.md).")]
Tenant = Annotated[str, typer.Option("--tenant", help="Id of the tenant that gets everything.")]
Workspace = Annotated[str | None, typer.Option("--workspace", help="Id of the workspace of grants.")]
User = Annotated[str | None, typer.Option("--user", help="Id of the user that grants belong to.")]
Mapped = Annotated[Path | None, typer.Option("--mapping", help="A TOML file that says more of where what goes.")]
ProfileFolder = Annotated[
    Path | None, typer.Option("--profiles", help="Folder of own provider profiles, NAME.json; they count first.")
]
Components = Annotated[
    list[str] | None, typer.Option("--component", help="Id of a component that auth clients are linked to.")
]
Batch = Annotated[str, typer.Option("--batch", help="Tells imports from one system apart.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Write nothing; tell what would become of each entry.")]
KeyFile = Annotated[Path | None, typer.Option("--key-file", help="File with the key of what is encrypted.")]

_KIB = 1024
_HEAD = '{"entries":['


@dataclass(frozen=True)
class _Options:
    """What all these commands take."""

    file: File
    _: KW_ONLY
    tenant: Tenant
    workspace: Workspace = None
    user: User = None
    mapping: Mapped = None
    profiles: ProfileFolder = None
    component: Components = None
    batch: Batch = "default"
    dry_run: DryRun = False
    as_json: Json = False

    def read(self, source: str) -> "tuple[Profiles, Import]":
        """Return the profiles of a system's providers, and what is asked for."""
        from keyrack.service.importers.other_systems.profiles import Profiles
        from keyrack.service.importers.other_systems.results import Import
        from keyrack.service.importers.other_systems.target import Destination, MappingFile, Target, read_mapping

        said: MappingFile = MappingFile() if self.mapping is None else read_mapping(self.mapping)
        target = Target(self.tenant, Destination(self.workspace, self.user), said, tuple(self.component or ()))
        return Profiles(source, said.providers, self.profiles), Import(target, self.batch, dry_run=self.dry_run)


def _with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command whose first parameter is `_Options` these as parameters of its own, before those it has."""
    shared = signature(_Options).parameters
    own = list(signature(command).parameters.values())[1:]

    @wraps(command)
    def called(**given: Any) -> None:
        command(_Options(**{name: given.pop(name) for name in shared}), **given)

    del called.__wrapped__  # whoever looks behind it would find the options as one parameter
    called.__signature__ = Signature([*shared.values(), *own])  # type: ignore[attr-defined] # of functions, all the same
    called.__annotations__ = {each.name: each.annotation for each in (*shared.values(), *own)}
    return called


@_with_options
def import_nango(
    options: _Options,
    *,
    environment: Annotated[
        str | None, typer.Option("--environment", help="Number of Nango's environment, if the file has several.")
    ] = None,
    key_file: KeyFile = None,
) -> None:
    """Bring integrations and connections of Nango. Nothing is refreshed before `keyrack cutover` says so.

    What is encrypted is opened with NANGO_ENCRYPTION_KEY of the environment, or --key-file.
    """
    from keyrack.service.importers.other_systems.nango_export import SOURCE, NangoExport

    key = _key(key_file, "NANGO_ENCRYPTION_KEY")
    _bring(SOURCE, lambda known: NangoExport(known, key, environment), options)


@_with_options
def import_n8n(options: _Options, *, key_file: KeyFile = None) -> None:
    """Bring OAuth 2 credentials of n8n. Nothing is refreshed before `keyrack cutover` says so.

    What is encrypted is opened with N8N_ENCRYPTION_KEY of the environment, or --key-file.
    """
    from keyrack.service.importers.other_systems.n8n_export import SOURCE, N8nExport

    key = _key(key_file, "N8N_ENCRYPTION_KEY")
    _bring(SOURCE, lambda known: N8nExport(known, key), options)


@_with_options
def import_oauthapp(
    options: _Options,
    *,
    names: Annotated[
        Path | None, typer.Option("--names", help="File with names of servers and credentials, one a line.")
    ] = None,
) -> None:
    """Bring what Vault's plugin oauthapp has. Nothing is refreshed before `keyrack cutover` says so."""
    from keyrack.service.importers.other_systems.oauthapp_export import SOURCE, OauthappExport

    known_names = [] if names is None else names.read_text("utf-8", errors="replace").split("\n")
    listed = [name.strip() for name in known_names if name.strip()]
    _bring(SOURCE, lambda known: OauthappExport(known, listed), options)


def undo_import(
    batch_id: Annotated[str, typer.Argument(metavar="BATCH", help="Id of an import, as `cutover status` lists it.")],
    *,
    as_json: Json = False,
) -> None:
    """Delete what an import brought that was not cut over. No token is revoked: the other system uses them."""
    from keyrack.service.importers.other_systems.undoing import Undoing

    async def run(store: "Store") -> dict[str, Any]:
        done = await Undoing(store).run(batch_id)
        return {"deleted": done.deleted, "kept": done.kept, "gone": done.gone}

    show(with_store(run), as_json=as_json)


def _bring(source: str, system_of: "Callable[[Profiles], OtherSystem]", options: _Options) -> None:
    from keyrack.cli.progress import Steps
    from keyrack.clock import now
    from keyrack.service.authz.quotas import over
    from keyrack.service.clients.auth_client_credentials import CredentialRules
    from keyrack.service.importers.other_systems.bringing import Bringing
    from keyrack.service.importers.other_systems.brought_clients import ClientBringer
    from keyrack.service.importers.other_systems.brought_grants import GrantBringer
    from keyrack.service.operator.installation import InstallationSetup
    from keyrack.settings import load_settings
    from keyrack.store.quota_usage import Quota
    from keyrack.wiring.configuration import quota_limits, schedule

    profiles, wanted = options.read(source)
    system, settings = system_of(profiles), load_settings()
    rules, due = CredentialRules(settings.allow_insecure_providers), schedule(settings)
    told = _Told(as_json=options.as_json)

    async def run(store: "Store") -> "ImportBatch | None":
        await InstallationSetup(store, now).verify_key()
        bringing = Bringing(store, ClientBringer(rules, due.lead), GrantBringer(due, now))
        with Steps() as steps:
            batch = await bringing.run(system, wanted, lambda: _objects(options.file, steps), told.entry)
        to_come = {Quota.secrets: told.made("auth-secret")} if options.dry_run else {}
        for text in await over(store, quota_limits(settings), options.tenant, to_come):
            complain(f"warning: {text}")
        return batch

    with told:
        found = with_store(run)
        told.summary = {
            "dry_run": options.dry_run,
            "batch": None if found is None else {"id": found.id, "source": found.source, "name": found.name},
        }


def _objects(file: Path, steps: Any) -> "Iterator[Found]":
    """Yield the objects of a file, and show how much of it was read."""
    from keyrack.service.importers.other_systems.json_objects import objects

    steps.section("reading", f"KiB of {file.name}", file.stat().st_size // _KIB)
    with file.open("rb") as opened:
        done = 0
        for found in objects(opened):
            yield found
            at = opened.tell() // _KIB
            if at > done:
                steps.advance(at - done)
                done = at


class _Told:
    """Prints what became of each entry as it is known, so that none is held: a JSON object, or lines for people."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._counts: dict[str, dict[str, int]] = {}
        self._began = False
        self.summary: Mapping[str, Any] | None = None

    def __enter__(self) -> None:
        """Begin."""

    def made(self, kind: str) -> int:
        """Return how many of a kind were made, or would be."""
        return self._counts.get(kind, {}).get("made", 0)

    def entry(self, result: "EntryResult") -> None:
        """Print one: for people only what was left out, or has something to be known."""
        counts = self._counts.setdefault(result.kind.value, {})
        counts[result.outcome.value] = counts.get(result.outcome.value, 0) + 1
        if self._as_json:
            document = {
                "kind": result.kind.value,
                "external_id": result.external_id,
                "outcome": result.outcome.value,
                "id": result.resource_id,
                "why": result.why or None,
            }
            typer.echo(("," if self._began else _HEAD) + json_text(document))
            self._began = True
        elif result.why:
            complain(f"{result.kind.value} {result.external_id}: {result.outcome.value}: {result.why}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        """End: with counts, also where the import broke off, so that what was printed is whole."""
        if self._as_json:
            rest = {"counts": self._counts, "complete": error is None, **(self.summary or {})}
            typer.echo(f"{'' if self._began else _HEAD}],{json_text(rest)[1:]}")
            return
        for name, counts in self._counts.items():
            typer.echo(f"{name}: {', '.join(f'{count} {outcome}' for outcome, count in counts.items())}")
        if self.summary is not None and self.summary["batch"] is not None:
            typer.echo(visible(f"import: {self.summary['batch']['id']}"))


def _key(file: Path | None, variable: str) -> Secret | None:
    """Return the key of what is encrypted: of a file, else of the environment; never of the command line."""
    if file is not None:
        return Secret(file.read_text("utf-8", errors="replace").strip())
    given = os.environ.get(variable)
    return Secret(given) if given else None
