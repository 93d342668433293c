"""The reader of answers never raises, loses no byte, and does not depend on how the network cuts an answer."""

from hypothesis import given
from hypothesis import strategies as st

from keyrack.oauth.wire import RawResponse
from keyrack.provider.answer import AnswerReader

MAX_BODY = 100_000
PARTS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 x\r\n",
        b"HTTP/1.0 204 No\n",
        b"HT",
        b"Content-Length: 5\r\n",
        b"Content-Length: x\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b" folded\r\n",
        b"no header\r\n",
        b"\r\n",
        b"\n",
        b"\r",
        b"5\r\nhello\r\n",
        b"5;x=y\r\nhello\n",
        b"0\r\n\r\n",
        b"fffffffff\r\n",
        b"hello",
        b"\0",
        b"{}",
    ]
)
ANSWERS = st.lists(st.one_of(PARTS, st.binary(max_size=20)), max_size=12).map(b"".join)


def read(pieces: list[bytes], *, cleanly: bool) -> tuple[RawResponse | None, bool]:
    reader = AnswerReader(MAX_BODY)
    for piece in pieces:
        reader.feed(piece)
    reusable = reader.reusable and reader.over
    reader.end(cleanly=cleanly)
    return reader.answer(), reusable


@given(data=ANSWERS, size=st.integers(1, 40), cleanly=st.booleans())
def test_pieces_make_no_difference(*, data: bytes, size: int, cleanly: bool) -> None:
    whole, _ = read([data], cleanly=cleanly)
    parts, _ = read([data[at : at + size] for at in range(0, len(data), size)], cleanly=cleanly)
    if not data:
        assert whole is parts is None
        return
    assert whole is not None
    assert parts is not None
    assert (whole.status, whole.headers, whole.body, whole.fault) == (
        parts.status,
        parts.headers,
        parts.body,
        parts.fault,
    )


@given(ANSWERS)
def test_a_connection_goes_on_only_after_a_sound_answer_with_nothing_behind_it(data: bytes) -> None:
    answer, reusable = read([data], cleanly=True)
    if reusable:
        assert answer is not None
        assert (answer.fault, answer.cut, answer.surplus) == (None, False, b"")


@given(st.binary(min_size=1, max_size=200))
def test_what_has_no_head_is_kept_byte_by_byte(data: bytes) -> None:
    answer, _ = read([b"X" + data], cleanly=True)
    assert answer is not None
    assert (answer.status, answer.body) == (0, b"X" + data)
