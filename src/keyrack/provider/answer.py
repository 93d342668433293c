"""Reads one HTTP/1.1 answer as it arrives (RFC 9112): leniently, within bounds, and without losing a byte of it.

An HTTP library refuses an answer that breaks a rule and drops what it had of it. But a token request is not made twice,
and the tokens may be in that answer. So nothing that arrives is refused here: what breaks a rule is noted, and what
cannot be understood is kept as it came.
"""

import re
from collections.abc import Callable

from keyrack.oauth.wire import AnswerFault, RawResponse

MAX_HEAD_BYTES = 128 * 1024
"""Of the final answer's head and of all interim answers before it (RFC 9110 section 15.2)."""

MAX_INTERIM_ANSWERS = 32
MAX_FIELDS = 2000
"""Header lines that are read; none behind them is looked at."""

_MAX_CHUNK_LINE = 8 * 1024
_MAX_SURPLUS = 64 * 1024
_SWITCHING_PROTOCOLS = 101
_WITHOUT_BODY = frozenset({204, 304})
_NOTHING = re.compile(rb"[\r\n]*")
_STATUS_LINE = re.compile(rb"HTTP/[0-9](\.[0-9]+)?[ \t]+([0-9]{3})(?![0-9])", re.IGNORECASE)
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{0,12})[ \t]*(?:;.*)?\r?", re.DOTALL)
_WHOLE_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\n]*)?\r?\n")
_END_OF_LINE = re.compile(rb"\r?\n")
_LENGTH = re.compile(r"[0-9]{1,15}")


class AnswerReader:
    """Takes an answer in pieces of any size. It never raises.

    Args:
        max_body: bytes that are kept of the body.

    Attributes:
        over: the answer has ended, or no more of it is wanted.
        received: bytes that have come.
        reusable: the connection can carry another request.
    """

    def __init__(self, max_body: int) -> None:
        self.over = False
        self.received = 0
        self.reusable = False
        self._max_body = max_body
        self._max_received = MAX_HEAD_BYTES + 2 * max_body  # frames of chunks take their part
        self._buffer = bytearray()
        self._scanned = 0
        self._heads = 0
        self._interim = 0
        self._status = 0
        self._headers: dict[str, str] = {}
        self._head = b""
        self._body = bytearray()
        self._surplus = bytearray()
        self._left = 0
        self._fault: AnswerFault | None = None
        self._cut = True
        self._step: Callable[[], bool] = self._read_head

    def feed(self, data: bytes) -> None:
        """Take what has come next."""
        self.received += len(data)
        if self.over:
            self.reusable = False
            self._surplus += data[: _MAX_SURPLUS - len(self._surplus)]
            return
        self._buffer += data
        while not self.over and self._step():
            pass
        if not self.over and self.received > self._max_received:
            self._stop(AnswerFault.TOO_LARGE)

    def end(self, *, cleanly: bool = True) -> None:
        """Note that the connection was closed: cleanly, or by a reset."""
        if self.over:
            return
        self._keep_rest()
        if self._step == self._read_to_end and cleanly and self._fault is None:
            self._finish(reusable=False)
        else:
            self._stop(AnswerFault.CLOSED)

    def answer(self, fault: AnswerFault | None = None) -> RawResponse | None:
        """Return what has come, None if that is nothing.

        Args:
            fault: why no more comes, if the answer is not over.
        """
        if not self.received:
            return None
        if not self.over:
            self._keep_rest()
            self._stop(fault or AnswerFault.CLOSED)
        return RawResponse(
            self._status,
            self._headers,
            bytes(self._body),
            self._fault,
            cut=self._cut,
            head=self._head,
            surplus=bytes(self._surplus),
        )

    def _read_head(self) -> bool:
        blank = _NOTHING.match(self._buffer)
        if blank is not None and blank.end():
            self._heads += blank.end()
            del self._buffer[: blank.end()]
        if not b"HTTP/".startswith(bytes(self._buffer[:5]).upper()):
            return self._take_as_it_is()
        found = _END_OF_HEAD.search(self._buffer, max(0, self._scanned - 3))
        self._scanned = len(self._buffer)
        if self._heads + (found.end() if found else len(self._buffer)) > MAX_HEAD_BYTES:
            self._keep_rest()
            self._stop(AnswerFault.TOO_LARGE)
            return False
        if found is None:
            return False
        head = bytes(self._buffer[: found.end()])
        del self._buffer[: found.end()]
        self._scanned = 0
        self._heads += len(head)
        return self._take_head(head)

    def _take_head(self, head: bytes) -> bool:
        status, headers, sound = parse_head(head)
        if 100 <= status < 200:  # noqa: PLR2004 - HTTP's interim answers
            self._interim += 1
            if status == _SWITCHING_PROTOCOLS or self._interim > MAX_INTERIM_ANSWERS:  # nobody asked for others
                self._body += head
                self._keep_rest()
                self._stop(AnswerFault.PROTOCOL)
                return False
            return True
        self._status, self._headers = status, headers
        if not sound:
            self._fault, self._head = AnswerFault.PROTOCOL, head
        connection = headers.get("connection", "").lower()
        self.reusable = head[5:8] == b"1.1" and "close" not in connection and "upgrade" not in connection
        if status in _WITHOUT_BODY:
            self._finish(reusable=self.reusable)
        elif "chunked" in headers.get("transfer-encoding", "").lower():
            self._step = self._read_chunk_size
        elif "content-length" in headers:
            self._begin_sized(headers["content-length"])
        else:
            self._step = self._read_to_end
        return True

    def _begin_sized(self, header: str) -> None:
        """Of several lengths the greatest counts: what is too much ends with the connection, what is cut is lost."""
        lengths = [value.strip() for value in header.split(",")]
        sound = [int(value) for value in lengths if _LENGTH.fullmatch(value)]
        if len(sound) < len(lengths) or len(set(sound)) > 1:
            self._fault = AnswerFault.PROTOCOL
        self._left = max(sound, default=0)
        self._step = self._read_sized if sound else self._read_to_end
        if sound and not self._left:
            self._finish(reusable=self.reusable)

    def _read_sized(self) -> bool:
        if self._read_some():
            self._finish(reusable=self.reusable)
        return False

    def _read_to_end(self) -> bool:
        self._left = len(self._buffer)
        self._read_some()
        return False

    def _read_chunk_size(self) -> bool:
        self._read_whole_chunks()
        if self.over:
            return False
        end = self._buffer.find(b"\n", self._scanned)
        self._scanned = len(self._buffer)
        found = _CHUNK_SIZE.fullmatch(self._buffer, 0, end if end >= 0 else self._scanned)
        if found is None or (end >= 0 and not found[1]) or (end < 0 and self._scanned > _MAX_CHUNK_LINE):
            return self._take_as_it_is()
        if end < 0:
            return False
        self._left = int(found[1], 16)
        self._scanned = 0
        del self._buffer[: end + 1]
        if self._left:
            self._step = self._read_chunk
            return True
        # What may follow, trailers and an empty line, is not waited for: only an empty line that is there is known to
        # end the answer, so that the connection can go on.
        reusable = self.reusable and bytes(self._buffer[:3]) in {b"\r\n", b"\n"}
        if reusable:
            self._buffer.clear()
        self._finish(reusable=reusable)
        return False

    def _read_whole_chunks(self) -> None:
        """Take the chunks that are there from their size to their end, as there may be thousands."""
        at = 0
        while (found := _WHOLE_SIZE.match(self._buffer, at)) is not None:
            start, end = found.end(), found.end() + int(found[1], 16)
            behind = _END_OF_LINE.match(self._buffer, end)
            if end == start or behind is None:
                break
            self._body += self._buffer[start:end]
            at = behind.end()
        if at:
            del self._buffer[:at]
            self._scanned = 0
            self._bound_body()

    def _read_chunk(self) -> bool:
        if not self._read_some():
            return False
        self._step = self._read_chunk_end
        return True

    def _read_chunk_end(self) -> bool:
        if not self._buffer or self._buffer == b"\r":
            return False
        end = 2 if self._buffer.startswith(b"\r\n") else 1
        if self._buffer[end - 1 : end] != b"\n":
            return self._take_as_it_is()
        del self._buffer[:end]
        self._step = self._read_chunk_size
        return True

    def _read_some(self) -> bool:
        """Move what is there of the part that is being read into the body; tell whether it is all there."""
        taken = self._buffer[: self._left]
        del self._buffer[: len(taken)]
        self._left -= len(taken)
        self._body += taken
        return self._bound_body() and not self._left

    def _bound_body(self) -> bool:
        """Stop if the body is larger than it may be; tell whether it is not."""
        if len(self._body) <= self._max_body:
            return True
        del self._body[self._max_body :]
        self._stop(AnswerFault.TOO_LARGE)
        return False

    def _take_as_it_is(self) -> bool:
        """Give up to understand: what comes from here to the end is kept as it is."""
        self._fault = AnswerFault.PROTOCOL
        self.reusable = False
        self._step = self._read_to_end
        return True

    def _keep_rest(self) -> None:
        room = self._max_body - len(self._body)
        self._body += self._buffer[:room]
        self._buffer.clear()

    def _finish(self, *, reusable: bool) -> None:
        self.over, self._cut = True, False
        self._surplus += self._buffer[:_MAX_SURPLUS]
        self.reusable = reusable and not self._buffer and self._fault is None
        self._buffer.clear()

    def _stop(self, fault: AnswerFault) -> None:
        self.over, self.reusable = True, False
        self._fault = self._fault or fault
        if self._step == self._read_head and (found := _STATUS_LINE.match(self._body)):  # of a head that is not whole
            status = int(found[2])
            self._status = 0 if 100 <= status < 200 else status  # noqa: PLR2004 - HTTP's interim answers


def parse_head(head: bytes) -> tuple[int, dict[str, str], bool]:
    """Read a status line and header lines as well as that goes.

    Lines may end without CR and go on in the next one; what is no header line is left out. Several headers of one name
    are joined with a comma; bytes that are not UTF-8 become replacement characters.

    Returns:
        The status code, 0 if there is none; headers by lower-case name; and whether all of it was valid.
    """
    first, *lines = head.split(b"\n", MAX_FIELDS + 1)
    found = _STATUS_LINE.match(first)
    sound = found is not None
    if len(lines) > MAX_FIELDS:
        del lines[MAX_FIELDS:]
        sound = False
    fields: dict[str, list[str]] = {}
    values: list[str] | None = None
    for line in lines:
        text = line.decode("utf-8", "replace")
        if text[:1] in {" ", "\t"} and values is not None:
            values[-1] = f"{values[-1]} {text.strip()}"
            continue
        name, colon, value = text.partition(":")
        if colon:
            values = fields.setdefault(name.strip().lower(), [])
            values.append(value.strip())
        elif text.strip():
            sound = False
    return int(found[2]) if found else 0, {name: ", ".join(each) for name, each in fields.items()}, sound
