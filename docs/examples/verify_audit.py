"""Verifies an exported audit log: python verify_audit.py FILE PUBLIC_KEY."""

import hashlib
import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def verify(path, public):
    """Leave with a message at the first thing that is wrong."""
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
    key_id = hashlib.sha256(bytes.fromhex(public)).hexdigest()[:24]
    sequence, last, ended = 0, "00" * 32, False
    with Path(path).open("rb") as lines:
        for number, line in enumerate(lines, 1):
            record = json.loads(line)
            require(canonical(record) + b"\n" == line and not ended, f"line {number} is not as it was written")
            if record["type"] == "entry":
                sequence, own = sequence + 1, record.pop("hash")
                follows = record["sequence"] == sequence and record["previous"] == last
                last = hashlib.sha256(canonical(record)).hexdigest()
                require(follows and last == own, f"entry {sequence} was changed, removed or moved")
            elif record["type"] in ("cut", "checkpoint", "end") and record["key"] == key_id:
                key.verify(bytes.fromhex(record.pop("signature")), canonical(record))  # raises if it is not right
                if record["type"] == "cut" and sequence == 0:
                    sequence, last = record["sequence"], record["hash"]
                require((record["sequence"], record["hash"]) == (sequence, last), f"entry {sequence} is not as signed")
                ended = record["type"] == "end"
    require(ended, f"whatever came after entry {sequence} was removed")


def canonical(record):
    """Write a record as RFC 8785 has it."""
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def require(condition, problem):
    """Leave if something is wrong."""
    if not condition:
        raise SystemExit(problem)


if __name__ == "__main__":
    verify(*sys.argv[1:])
