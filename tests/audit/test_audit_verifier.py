"""`keyrack audit verify`: whatever is done to a file is found, and named; ours and an independent verifier agree."""

import importlib.util
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from typer.testing import CliRunner

from keyrack.cli import app
from keyrack.crypto.audit_chain import BEFORE_THE_FIRST, AuditKey, canonical, record_hash
from keyrack.ids import new_id
from keyrack.model.audit import AuditEvent, ChainedEvent, Checkpoint
from keyrack.model.identity import PrincipalKind
from keyrack.service.audit.chain_records import (
    CHECKPOINT,
    CUT,
    END,
    chained,
    checkpoint_line,
    entry_line,
    header_line,
    key_line,
    signed_checkpoint,
)
from keyrack.service.audit.verifier import MOST_IN_A_LINE, NotVerified, verify

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
TENANT = "6" * 24
KEY, OTHER = AuditKey.generate(), AuditKey.generate()
HOSTILE = 'nora \u2028\u2029 \U0001f600 "ö\\ \x7f\x01\b\f\n\r\t </script> \ufffd'


def event(number: int, **more: Any) -> AuditEvent:
    values: dict[str, Any] = {
        "id": new_id(), "at": NOW + timedelta(seconds=number), "actor": HOSTILE, "actor_kind": PrincipalKind.user,
        "action": "thing.change", "target_type": "thing", "target_id": None if number % 2 else f"t{number}",
        "outcome": "allowed", "address": "192.0.2.1", "request_id": None,
    }  # fmt: skip
    return AuditEvent(**(values | more))


def written(count: int = 9, key: AuditKey = KEY, begin: Checkpoint | None = None, *, every: int = 3) -> list[bytes]:
    """Return the lines of a file, as an export writes them."""
    lines = [header_line(TENANT), key_line(key.id, key.public)]
    last: ChainedEvent | Checkpoint = begin or Checkpoint(0, BEFORE_THE_FIRST, NOW, "", b"")
    if begin is not None:
        lines.append(checkpoint_line(CUT, TENANT, begin))
    for number in range(last.sequence + 1, last.sequence + count + 1):
        entry = chained(TENANT, event(number), number, last.hash)
        lines.append(entry_line(TENANT, entry, last.hash))
        last = entry
        if number % every == 0:
            lines.append(checkpoint_line(CHECKPOINT, TENANT, signed_checkpoint(key, CHECKPOINT, TENANT, entry, NOW)))
    return [*lines, checkpoint_line(END, TENANT, signed_checkpoint(key, END, TENANT, last, NOW))]


FILE = written()
CUT_FILE = written(4, begin=signed_checkpoint(KEY, CUT, TENANT, Checkpoint(40, b"h" * 32, NOW, "", b""), NOW))


def line_of(lines: list[bytes], entry: int) -> int:
    """Return the place of the line of an entry."""
    return next(
        place
        for place, line in enumerate(lines)
        if (record := json.loads(line)).get("sequence") == entry and record["type"] == "entry"
    )


def changed(entry: int, *, anew: int = 0, **members: Any) -> list[bytes]:
    """Change members of an entry; make the hashes of as many entries anew, beginning with it."""
    lines, previous = list(FILE), None
    for number in range(entry, entry + max(anew, 1)):
        place = line_of(lines, number)
        record = json.loads(lines[place])
        record |= members if number == entry else {"previous": previous}
        if anew:
            record.pop("hash")
            record["hash"] = previous = record_hash(record).hex()
        lines[place] = canonical(record) + b"\n"
    return lines


def without(entry: int) -> list[bytes]:
    place = line_of(FILE, entry)
    return [*FILE[:place], *FILE[place + 1 :]]


def swapped(one: int, two: int) -> list[bytes]:
    lines, (first, second) = list(FILE), (line_of(FILE, one), line_of(FILE, two))
    lines[first], lines[second] = lines[second], lines[first]
    return lines


def twice(entry: int) -> list[bytes]:
    place = line_of(FILE, entry)
    return [*FILE[: place + 1], FILE[place], *FILE[place + 1 :]]


def inserted(after: int) -> list[bytes]:
    """Put an entry of somebody's own between two, with the right hashes up to itself."""
    place = line_of(FILE, after)
    previous = bytes.fromhex(json.loads(FILE[place])["hash"])
    entry = chained(TENANT, event(0, actor="mallory"), after + 1, previous)
    return [*FILE[: place + 1], entry_line(TENANT, entry, previous), *FILE[place + 1 :]]


def signed_by_somebody() -> list[bytes]:
    """Change an entry, and make all that follows anew, with another key under the name of ours."""
    lines = [line.replace(OTHER.id.encode(), KEY.id.encode()) for line in written(9, OTHER)]
    return [lines[0], FILE[1], *lines[2:]]


def odd(entry: int, write: Callable[[bytes], bytes]) -> list[bytes]:
    """Write an entry in another way, with the same value or another one."""
    lines, place = list(FILE), line_of(FILE, entry)
    lines[place] = write(lines[place])
    return lines


def doubled_name(line: bytes) -> bytes:
    return line.replace(b'"actor":', b'"actor":"mallory","actor":')


def member(name: str, value: Any) -> Callable[[bytes], bytes]:
    return lambda line: canonical(json.loads(line) | {name: value}) + b"\n"


ENDS_AT_3 = FILE[: line_of(FILE, 4)]
WRONG: dict[str, tuple[list[bytes], int | None]] = {
    "a member changed": (changed(5, actor="mallory"), 5),
    "the first changed": (changed(1, outcome="denied"), 1),
    "the last changed": (changed(9, outcome="denied"), 9),
    "null for a text": (changed(5, address=None), 5),
    "changed, with its hash": (changed(5, anew=1, actor="mallory"), 5),
    "changed, with the hashes to the next checkpoint": (changed(5, anew=2, actor="mallory"), 4),
    "changed, with all hashes after it": (changed(2, anew=8, actor="mallory"), 1),
    "another hash": (changed(5, hash="00" * 32), 5),
    "another one before": (changed(5, previous="00" * 32), 5),
    "another tenant": (changed(5, tenant="7" * 24), 5),
    "another tenant, with its hash": (changed(5, anew=1, tenant="7" * 24), 5),
    "removed": (without(5), 5),
    "the first removed": (without(1), 1),
    "the last removed": (without(9), 9),
    "two removed": ([line for line in without(5) if line != FILE[line_of(FILE, 6)]], 5),
    "swapped": (swapped(4, 5), 4),
    "swapped far apart": (swapped(2, 8), 2),
    "twice": (twice(5), 5),
    "inserted": (inserted(4), 5),
    "cut off at a checkpoint": (ENDS_AT_3, 4),
    "cut off anywhere": (FILE[: line_of(FILE, 6)], 6),
    "cut off in a line": ([*FILE[:4], FILE[4][:-9]], 3),
    "the end alone removed": (FILE[:-1], 10),
    "the end of a shorter one": ([*ENDS_AT_3, FILE[-1]], 4),
    "a checkpoint as the end": ([*FILE[:-1], FILE[-2].replace(b'"type":"checkpoint"', b'"type":"end"')], 10),
    "no signature": ([*FILE[:-1], member("signature", "")(FILE[-1])], 10),
    "a signature of somebody": (signed_by_somebody(), 1),
    "a later time of the end": ([*FILE[:-1], member("at", "2030-01-01T00:00:00.000Z")(FILE[-1])], 10),
    "an entry after the end": ([*FILE, FILE[3]], None),
    "another file after the end": (FILE * 2, None),
    "a header in between": ([*FILE[:4], FILE[0], *FILE[4:]], None),
    "no header": (FILE[1:], None),
    "another format": ([canonical({"type": "header", "format": "x/2", "tenant": TENANT}) + b"\n", *FILE[1:]], None),
    "a cut in between": ([*FILE[:4], CUT_FILE[2], *FILE[4:]], 40),
    "the cut removed": ([*CUT_FILE[:2], *CUT_FILE[3:]], 1),
    "a cut of somebody": ([*CUT_FILE[:2], member("sequence", 39)(CUT_FILE[2]), *CUT_FILE[3:]], 1),
    "nothing": ([], 1),
    "only a header": (FILE[:1], 1),
    "a key by another's name": ([FILE[0], key_line(KEY.id, OTHER.public), *FILE[2:]], None),
    "a name twice": (odd(5, doubled_name), 5),
    "white space": (odd(5, lambda line: b" " + line), 5),
    "another order": (odd(5, lambda line: json.dumps(json.loads(line), separators=(",", ":")).encode() + b"\n"), 5),
    "escaped otherwise": (odd(5, lambda line: line.replace(b"thing.change", b"thing\\u002echange")), 5),
    "a number otherwise": (odd(5, lambda line: line.replace(b'"sequence":5', b'"sequence":5.0')), 5),
    "a huge number": (odd(5, lambda line: line.replace(b'"sequence":5', b'"sequence":' + b"5" * 5000)), 5),
    "yes for a number": (odd(1, lambda line: line.replace(b'"sequence":1', b'"sequence":true')), 1),
    "a list for a text": (odd(5, member("actor", ["x"])), 5),
    "a member more": (odd(5, member("more", "x")), 5),
    "a member less": (odd(5, lambda line: line.replace(b'"request_id":null,', b"")), 5),
    "half of a character": (odd(5, lambda line: line.replace(b"thing.change", b"\\ud800")), 5),
    "no UTF-8": (odd(5, lambda line: line.replace(b"thing.change", b"\xff")), 5),
    "no JSON": (odd(5, lambda _: b"hello\n"), 5),
    "not a number": (odd(5, lambda line: line.replace(b'"sequence":5', b'"sequence":NaN')), 5),
    "no object": (odd(5, lambda _: b"[1]\n"), 5),
    "an odd type": (odd(5, member("type", {"a": 1})), 5),
    "an unknown type": (odd(5, member("type", "note")), 5),
    "an empty line": (odd(5, lambda line: line + b"\n"), 6),
    "deep": (odd(5, lambda _: b"[" * 60_000 + b"\n"), 5),
    "a huge line": (odd(5, lambda _: b'{"type":"entry","actor":"' + b"x" * 50_000_000 + b'"}\n'), 5),
    "Windows' line ends": ([line.replace(b"\n", b"\r\n") for line in FILE], 1),
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "acme.jsonl"


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["audit", "verify", *words], env={"KEYRACK_HOME": "/nowhere", "KEYRACK_KEY": "none"})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(path: Path, name: str) -> None:
    lines, entry = WRONG[name]
    path.write_bytes(b"".join(lines))
    code, printed, _ = run(str(path), "--key", KEY.public.hex(), "--json")
    told = json.loads(printed)
    assert (code, told["verified"], told["entry"]) == (1, False, entry), told
    assert 0 < told["line"] <= len(b"".join(lines).splitlines()) + 1
    code, printed, complaint = run(str(path), "--key", KEY.public.hex())
    assert (code, printed) == (1, "")
    assert complaint == f"keyrack: {path}: line {told['line']}: {told['problem']}\n"
    assert len(complaint) < 500


@pytest.mark.parametrize("lines", [FILE, CUT_FILE, written(0), written(1), written(9, every=1)])
def test_what_is_right_is_verified(path: Path, lines: list[bytes]) -> None:
    path.write_bytes(b"".join(lines))
    code, printed, complaint = run(str(path), "--key", KEY.public.hex(), "--json")
    assert (code, complaint) == (0, "")
    told = json.loads(printed)
    assert told["verified"] is True
    assert told["last_entry"] == json.loads(lines[-1])["sequence"]
    assert told["tenant_id"] == TENANT
    assert told["key"] == KEY.id
    code, _, complaint = run(str(path))
    assert code == 0
    assert "only the file itself names" in complaint


def test_keys_are_given_in_several_forms(path: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - only used here
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - as above
        Encoding,
        PublicFormat,
    )

    path.write_bytes(b"".join(FILE))
    loaded = Ed25519PublicKey.from_public_bytes(KEY.public)
    (tmp_path / "key.pem").write_bytes(loaded.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "key.txt").write_text(f"{KEY.public.hex()}\n")
    for good in ("key.pem", "key.txt"):
        assert run(str(path), "--key", str(tmp_path / good))[0] == 0
    assert run(str(path), "--key", KEY.public.hex().upper())[0] == 0
    assert run(str(path), "--key", OTHER.public.hex(), "--key", KEY.public.hex())[0] == 0
    code, _, complaint = run(str(path), "--key", OTHER.public.hex())
    assert code == 1
    assert f"signed with the key {KEY.id}, and the one given is {OTHER.id}" in complaint


def test_an_earlier_file_tells_of_a_log_that_was_put_back_or_made_anew(path: Path, tmp_path: Path) -> None:
    """Somebody with the signing key could write another history; what was exported before, it cannot change."""
    earlier = tmp_path / "earlier.jsonl"
    earlier.write_bytes(b"".join(FILE))
    key = ["--key", KEY.public.hex(), "--earlier", str(earlier)]
    path.write_bytes(b"".join(FILE))
    assert run(str(path), *key)[0] == 0
    path.write_bytes(b"".join(written(9)))
    assert "was another one earlier" in run(str(path), *key)[2]
    path.write_bytes(b"".join(written(5)))
    assert "was another one earlier" in run(str(path), *key)[2]
    path.write_bytes(b"".join(written(0)))
    assert "entries up to 9 were there earlier" in run(str(path), *key)[2]
    earlier.write_bytes(b"".join(FILE[:-1]))
    assert f"{earlier}: line" in run(str(path), *key)[2], "the earlier file is verified too"


def independent() -> ModuleType:
    """The verifier of the documentation, which has nothing of ours in it."""
    source = ROOT / "docs/examples/verify_audit.py"
    assert "keyrack" not in source.read_text().partition('"""\n\n')[2]
    spec = importlib.util.spec_from_file_location("verify_audit", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_independent_verifier_agrees(path: Path) -> None:
    module = independent()
    for lines in (FILE, CUT_FILE, written(0), written(9, every=1)):
        path.write_bytes(b"".join(lines))
        module.verify(path, KEY.public.hex())
    hashes_and_signatures = [name for name in WRONG if name not in {"no header", "another format", "deep"}]
    missed = []
    for name in hashes_and_signatures:
        if name in {"a header in between", "only a header", "a key by another's name", "a member more", "a member less",
                    "an unknown type", "another tenant, with its hash", "a huge line"}:  # fmt: skip
            continue  # of the form of a file, which it does not look at
        path.write_bytes(b"".join(WRONG[name][0]))
        try:
            module.verify(path, KEY.public.hex())
        except (SystemExit, InvalidSignature, ValueError, KeyError, TypeError, AttributeError):
            continue
        missed.append(name)
    assert missed == []


def test_a_long_file_is_read_with_little_memory() -> None:
    import tracemalloc  # noqa: PLC0415 - only used here

    lines = written(1000)
    tracemalloc.start()
    verified = verify(iter(lines), [KEY.public], {})
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert verified.last == 1000
    assert most < 400_000


def test_a_line_of_ours_is_far_from_the_limit() -> None:
    widest = event(1, actor="\x01" * 320, action="x" * 64, target_id="\x01" * 64, request_id="\x01" * 128)
    assert (
        len(entry_line(TENANT, chained(TENANT, widest, 2**53, BEFORE_THE_FIRST), BEFORE_THE_FIRST)) < MOST_IN_A_LINE / 8
    )


def test_a_file_that_is_none_is_refused() -> None:
    with pytest.raises(NotVerified):
        verify([], None, {})
