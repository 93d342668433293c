"""`keyrack audit export`, `verify`, `chains`, `keys` and `rotate-key`: the hash chain over the audit log."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from keyrack.cli.audit import audit as audit  # noqa: PLC0414 - the group, with the commands below
from keyrack.cli.common import Json, complain, moment, show, show_json, show_list, with_store
from keyrack.errors import ConfigurationError

if TYPE_CHECKING:
    from keyrack.service.audit.chain_state import ChainState
    from keyrack.store.core.store import Store

_STDOUT = Path("-")
_KEY_DIGITS = 64

Tenant = Annotated[str | None, typer.Option("--tenant", help="Id of the tenant; unset: the installation.")]


@audit.command("export")
def export_log(
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist yet. `-`: standard output.")],
    *,
    tenant: Tenant = None,
) -> None:
    """Write a log with its hash chain and signed checkpoints.

    It is JSON lines, for `keyrack audit verify`.
    """
    if file == _STDOUT:
        has_end = with_store(lambda store: _export(store, tenant or "", sys.stdout.buffer))
    else:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
            try:
                has_end = with_store(lambda store: _export(store, tenant or "", target))
                target.flush()  # here, not when it is closed: it is whole, or it is not there
                os.fsync(target.fileno())
            except BaseException:
                file.unlink()
                raise
    if not has_end:
        complain("keyrack: the end of this log is not what was signed: somebody has changed it; `keyrack audit verify`")
        raise typer.Exit(1)


async def _export(store: "Store", tenant_id: str, target: BinaryIO) -> bool:
    """Write the file; tell whether it has its end."""
    from keyrack.service.audit.chain_export import ChainExport
    from keyrack.service.audit.chainer import Chainer
    from keyrack.service.audit.counted_acts import AuditHours
    from keyrack.service.audit.signing_keys import SigningKeys
    from keyrack.service.operator.audit_reader import AuditReader

    await AuditReader(store, tenant_id or None, {}).note_export()
    keys = SigningKeys(store)
    last = b""
    async for lines in ChainExport(store, keys, Chainer(store, keys), AuditHours(store)).lines(tenant_id):
        target.write(lines)
        last = lines
    return b'"type":"end"' in last


@audit.command("verify")
def verify_file(
    file: Annotated[Path, typer.Argument(help="File from `keyrack audit export`.")],
    *,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", help="Public key that must have signed it, or a file with it; may be repeated."),
    ] = None,
    earlier: Annotated[
        list[Path] | None,
        typer.Option("--earlier", help="An earlier file of the same log: what it was signed for must be in this one."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify an exported log without a database or settings. Exit 1 names the first entry that is wrong."""
    from keyrack.service.audit.verifier import NotVerified, lines_of, verify

    trusted = None if not key else [_public_key(each) for each in key]
    known: dict[int, str] = {}
    tenant_id = None
    for path in [*(earlier or []), file]:
        try:
            with path.open("rb") as content:
                verified = verify(lines_of(content), trusted, known, tenant_id)
        except NotVerified as wrong:
            if as_json:
                told = {"verified": False, "file": str(path), "line": wrong.line, "entry": wrong.entry}
                show_json({**told, "problem": wrong.problem})
            else:
                complain(f"keyrack: {path}: line {wrong.line}: {wrong.problem}")
            raise typer.Exit(1) from None
        known |= verified.signed
        tenant_id = verified.tenant_id
    result: Mapping[str, Any] = {
        "verified": True,
        "tenant_id": verified.tenant_id,
        "first_entry": verified.first,
        "last_entry": verified.last,
        "checkpoints": len(verified.signed),
        "hash": verified.hash,
        "signed_at": verified.at,
        "key": verified.key_id,
        "key_was_given": trusted is not None,
    }
    show(result, as_json=as_json)
    if trusted is None:
        complain("keyrack: signed with a key that only the file itself names; --key tells whether it is yours")


def _public_key(text: str) -> bytes:
    """Return the 32 bytes of a key that is given in hexadecimal digits or as PEM, or is in a file.

    Raises:
        ConfigurationError: it is none.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    content = text.strip()
    if len(content) != _KEY_DIGITS:
        try:
            content = Path(text).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise ConfigurationError(f"--key is neither a public key nor a file that can be read: {text}") from None
    try:
        if content.startswith("-----BEGIN"):
            loaded = load_pem_public_key(content.encode())
            if not isinstance(loaded, Ed25519PublicKey):
                raise ValueError  # noqa: TRY301 - one kind of failure
            return loaded.public_bytes_raw()
        if len(content) == _KEY_DIGITS:
            return bytes.fromhex(content)
    except ValueError:
        pass
    raise ConfigurationError("--key must be an Ed25519 public key: 64 hexadecimal digits, or PEM")


@audit.command("chains")
def list_chains(*, tenant: Tenant = None, as_json: Json = False) -> None:
    """Show how the hash chains stand.

    Their ends, their last checkpoints, and how many events wait for a place.
    """

    async def read(store: "Store") -> list[Mapping[str, Any]]:
        from keyrack.service.audit.chain_state import ChainStates
        from keyrack.service.audit.signing_keys import SigningKeys

        states = ChainStates(store, SigningKeys(store))
        if tenant is not None:
            return [_chain(await states.of(tenant))]
        return [_chain(state) async for state in states.all()]

    columns = ("tenant_id", "entries_until", "removed_until", "signed_at", "key", "genuine", "waiting")
    show_list(columns, with_store(read), as_json=as_json)


def _chain(state: "ChainState") -> Mapping[str, Any]:
    return {
        "tenant_id": state.tenant_id,
        "entries_until": state.sequence,
        "removed_until": 0 if state.cut is None else state.cut.sequence,
        "signed_at": None if state.checkpoint is None else moment(state.checkpoint.at),
        "key": None if state.checkpoint is None else state.checkpoint.key_id,
        "hash": None if state.checkpoint is None else state.checkpoint.hash.hex(),
        "genuine": state.is_genuine,
        "waiting": state.waiting,
        "oldest_waiting": moment(state.oldest_waiting),
    }


@audit.command("keys")
def list_keys(*, as_json: Json = False) -> None:
    """List the public keys that checkpoints are signed with.

    The one in use stands last.
    """

    async def read(store: "Store") -> list[Mapping[str, Any]]:
        from keyrack.service.audit.signing_keys import SigningKeys

        keys = SigningKeys(store)
        await keys.current()
        return [
            {
                "id": stored.key.id,
                "public_key": stored.key.public.hex(),
                "since": moment(stored.created_at),
                "until": moment(stored.retired_at),
            }
            for stored in await keys.all()
        ]

    show_list(("id", "public_key", "since", "until"), with_store(read), as_json=as_json)


@audit.command("rotate-key")
def rotate_key(*, as_json: Json = False) -> None:
    """Sign checkpoints with a new key from now on.

    What older ones have signed stays good.
    """

    async def rotate(store: "Store") -> Mapping[str, Any]:
        from keyrack.service.audit.signing_keys import SigningKeys
        from keyrack.service.authz.operator import operator

        key = await SigningKeys(store).rotate(operator())
        return {"id": key.id, "public_key": key.public.hex()}

    show(with_store(rotate), as_json=as_json)
