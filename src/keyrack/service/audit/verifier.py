"""Verifies an exported audit log, line by line, without a database (docs/audit.md).

What a file says of itself is judged by hashes and signatures alone: the file may have been written by anybody.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from keyrack.crypto.audit_chain import BEFORE_THE_FIRST, FORMAT, canonical, is_signed, key_id_of, record_hash
from keyrack.service.audit.chain_records import CHECKPOINT, CUT, END

MOST_IN_A_LINE = 64 * 1024
"""Bytes; an entry of ours has less than 8 KiB."""
_TEXT, _MAYBE, _NUMBER = (str,), (str, type(None)), (int,)
_SIGNED = {"tenant": _TEXT, "sequence": _NUMBER, "hash": _TEXT, "at": _TEXT, "key": _TEXT, "signature": _TEXT}
_MEMBERS: Mapping[str, Mapping[str, tuple[type, ...]]] = {
    "header": {"format": _TEXT, "tenant": _TEXT},
    "key": {"key": _TEXT, "public_key": _TEXT},
    "entry": {
        "tenant": _TEXT,
        "sequence": _NUMBER,
        "previous": _TEXT,
        "id": _TEXT,
        "at": _TEXT,
        "actor": _TEXT,
        "actor_kind": _TEXT,
        "action": _TEXT,
        "target_type": _TEXT,
        "target_id": _MAYBE,
        "outcome": _TEXT,
        "address": _MAYBE,
        "request_id": _MAYBE,
        "hash": _TEXT,
    },
    CHECKPOINT: _SIGNED,
    CUT: _SIGNED,
    END: _SIGNED,
}
_OPTIONAL: Mapping[str, Mapping[str, tuple[type, ...]]] = {"entry": {"times": _NUMBER, "first_at": _TEXT}}
_NOTHING = BEFORE_THE_FIRST.hex()


@dataclass(frozen=True, slots=True)
class Verified:
    """What is true of a file.

    Attributes:
        tenant_id: whose log it is; empty: an installation's own.
        first: the number of its first entry; 0: it has none.
        last: the number of the last entry of the chain when it was written; 0: there was none.
        hash: of that entry, in hexadecimal digits.
        signed: hashes by the number of the entry, of its checkpoints and its end.
        key_id: of the key that signed the end.
        at: when the end was signed.
    """

    tenant_id: str
    first: int
    last: int
    hash: str
    signed: Mapping[int, str]
    key_id: str
    at: str


class NotVerified(Exception):
    """A file, or an earlier checkpoint, is not what it says.

    Attributes:
        line: the number of the first line that is wrong, from 1; one more than there are if lines are missing.
        entry: the number of the first entry that was changed, removed, added or moved, as far as can be said.
        problem: what is wrong, in a sentence.
    """

    def __init__(self, line: int, entry: int | None, problem: str) -> None:
        super().__init__(problem)
        self.line = line
        self.entry = entry
        self.problem = problem


@dataclass
class Verifier:
    """Takes the lines of a file one after another.

    Args:
        trusted: public keys that may have signed it, 32 bytes each; None: those that the file itself names, so that
            only what was changed without signing it anew is found.
        known: hashes by the number of the entry, of earlier checkpoints of the same log.
    """

    trusted: Collection[bytes] | None = None
    known: Mapping[int, str] = field(default_factory=dict)
    _tenant: str | None = None
    _keys: dict[str, bytes] = field(default_factory=dict)
    _line: int = 0
    _first: int = 0
    _sequence: int = 0
    _hash: str = _NOTHING
    _checked: int = 0
    _signed: dict[int, str] = field(default_factory=dict)
    _end: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        """Take the keys that are trusted."""
        self._keys = {key_id_of(public): public for public in self.trusted or ()}

    def feed(self, line: bytes) -> None:
        """Look at the next line, with its line feed.

        Raises:
            NotVerified: something is wrong with it, or with what came before it.
        """
        self._line += 1
        record = self._parsed(line)
        kind = record["type"]
        if self._end is not None:
            raise self._wrong(None, "something follows the end of the log")
        if (kind == "header") != (self._line == 1):
            raise self._wrong(None, "the file must begin with its header, and have no other")
        if kind == "header":
            self._begin(record)
        elif kind == "key":
            self._take_key(record)
        elif record["tenant"] != self._tenant:
            raise self._wrong(_number(record), "this is of another log")
        elif kind == "entry":
            self._take_entry(record)
        else:
            self._take_checkpoint(kind, record)

    def finish(self) -> Verified:
        """Say what is true of the file, now that there are no more lines.

        Raises:
            NotVerified: its end is missing, or earlier checkpoints are of entries that it does not have.
        """
        if self._end is None:
            self._line += 1
            raise self._wrong(
                self._sequence + 1, f"the end is missing: whatever came after entry {self._sequence} was removed"
            )
        if missing := [sequence for sequence in self.known if sequence > self._sequence]:
            raise self._wrong(
                self._sequence + 1,
                f"entries up to {max(missing)} were there earlier; those after {self._sequence} were removed",
            )
        end = self._end
        return Verified(end["tenant"], self._first, self._sequence, self._hash, self._signed, end["key"], end["at"])

    def _begin(self, record: Mapping[str, Any]) -> None:
        if record["format"] != FORMAT:
            raise self._wrong(None, f"the format is not {FORMAT}")
        self._tenant = record["tenant"]

    def _take_key(self, record: Mapping[str, Any]) -> None:
        public = _from_hex(record["public_key"])
        if public is None or key_id_of(public) != record["key"]:
            raise self._wrong(None, "the key does not have the id that stands with it")
        if self.trusted is None:
            self._keys[record["key"]] = public

    def _take_entry(self, record: Mapping[str, Any]) -> None:
        sequence, expected = record["sequence"], self._sequence + 1
        if sequence > expected:
            raise self._wrong(
                expected, f"entry {expected} is missing: entry {sequence} stands in its place; removed, or moved"
            )
        if sequence < expected:
            raise self._wrong(sequence, f"entry {sequence} stands here after entry {self._sequence}: added, or moved")
        without = {name: value for name, value in record.items() if name != "hash"}
        if record_hash(without).hex() != record["hash"]:
            raise self._wrong(sequence, f"entry {sequence} ({record['id']}) was changed: its hash is another one")
        if record["previous"] != self._hash:
            raise self._wrong(
                max(sequence - 1, 1),
                f"entry {sequence} does not follow from what stands before it: entry {sequence - 1} was changed,"
                " or another one put in its place",
            )
        self._first = self._first or sequence
        self._sequence, self._hash = sequence, record["hash"]
        self._compare()

    def _compare(self) -> None:
        if self.known.get(self._sequence, self._hash) != self._hash:
            raise self._wrong(
                self._checked + 1, f"entry {self._sequence} was another one earlier: it, or one before it, was changed"
            )

    def _take_checkpoint(self, kind: str, record: Mapping[str, Any]) -> None:
        self._require_signature(kind, record)
        sequence = record["sequence"]
        if kind == CUT:
            if self._sequence or self._signed or not sequence:
                raise self._wrong(sequence, "a place where old entries were removed can only stand before the first")
            self._sequence, self._hash = sequence, record["hash"]
            self._compare()
        elif (sequence, record["hash"]) != (self._sequence, self._hash):
            if sequence > self._sequence:
                raise self._wrong(
                    self._sequence + 1, f"entries {self._sequence + 1} to {sequence} were removed: they were signed for"
                )
            raise self._wrong(
                self._checked + 1,
                f"what was signed for is another entry {sequence}: one of the entries {self._checked + 1} to"
                f" {self._sequence} was changed, and hashes after it made anew",
            )
        self._checked = sequence
        self._signed[sequence] = record["hash"]
        if kind == END:
            self._end = record

    def _require_signature(self, kind: str, record: Mapping[str, Any]) -> None:
        public, signature = self._keys.get(record["key"]), _from_hex(record["signature"])
        if public is None:
            if self.trusted is None:
                raise self._wrong(
                    self._checked + 1, f"the file does not have the key {record['key']}, which signed this"
                )
            if kind == CHECKPOINT:
                return  # of another key than those that are trusted: the next one of a trusted key answers for it
            given = ", ".join(self._keys)
            raise self._wrong(
                self._checked + 1, f"this was signed with the key {record['key']}, and the one given is {given}"
            )
        without = {name: value for name, value in record.items() if name != "signature"}
        if signature is None or not is_signed(without, signature, public):
            raise self._wrong(
                self._checked + 1, f"the signature is not one of the key {record['key']}: forged, or changed"
            )

    def _parsed(self, line: bytes) -> Mapping[str, Any]:
        """Return the record of a line, which must be written in its canonical form, and have all members and no other.

        Raises:
            NotVerified: it is not.
        """
        if len(line) > MOST_IN_A_LINE:
            raise self._wrong(self._sequence + 1, f"the line is longer than {MOST_IN_A_LINE} bytes")
        if not line.endswith(b"\n"):
            raise self._wrong(self._sequence + 1, "the line is cut off")
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise self._wrong(self._sequence + 1, "the line is no JSON") from None
        kind = record.get("type") if isinstance(record, dict) else None
        members = _MEMBERS.get(kind) if isinstance(kind, str) else None
        if members is None:
            raise self._wrong(self._sequence + 1, "the line is no record of an audit log")
        more = _OPTIONAL.get(kind or "", {})
        given = {name: value for name, value in record.items() if name != "type"}
        if not (members.keys() <= given.keys() <= members.keys() | more.keys()):
            raise self._wrong(_number(record) or self._sequence + 1, "the record has other members than it should")
        expected = {**members, **more}
        if any(type(value) not in expected[name] for name, value in given.items()):
            raise self._wrong(_number(record) or self._sequence + 1, "a member of the record is of the wrong type")
        try:
            same = canonical(record) + b"\n" == line
        except UnicodeEncodeError:  # half of a character
            same = False
        if not same:
            raise self._wrong(_number(record) or self._sequence + 1, "the line is not written as such lines are")
        return given | {"type": kind}

    def _wrong(self, entry: int | None, problem: str) -> NotVerified:
        return NotVerified(self._line, entry, problem)


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file; of one that is too long only as much as tells that."""
    while line := file.readline(MOST_IN_A_LINE + 1):
        yield line


def verify(
    lines: Iterable[bytes], trusted: Collection[bytes] | None, known: Mapping[int, str], tenant_id: str | None = None
) -> Verified:
    """Verify a file.

    Args:
        lines: each with its line feed.
        trusted: as of `Verifier`.
        known: as of `Verifier`.
        tenant_id: whose log it must be; None: anybody's.

    Raises:
        NotVerified: the first thing that is wrong with it.
    """
    verifier = Verifier(trusted, known)
    for line in lines:
        verifier.feed(line)
    verified = verifier.finish()
    if tenant_id not in (None, verified.tenant_id):
        raise NotVerified(1, None, "this is another log than that of the earlier file")
    return verified


def _number(record: Mapping[str, Any]) -> int | None:
    number = record.get("sequence")
    return number if type(number) is int else None


def _from_hex(text: object) -> bytes | None:
    if not isinstance(text, str) or not text.isascii():
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None
