"""Reads JSON values from a file piece by piece, so that what is in memory is one value and a piece of what follows."""

import codecs
import json
from typing import Any, BinaryIO, NoReturn

_PIECE = 1 << 18
_SPACE = " \t\r\n"


class NotUtf8Error(ValueError):
    """The file is not in UTF-8."""


class JsonText:
    """What of a file is in memory: from where the reading is, to as far as was needed.

    Args:
        file: opened for reading.
        longest: characters that one value may have.
    """

    def __init__(self, file: BinaryIO, longest: int) -> None:
        self._file = file
        self._longest = longest
        self._decode = codecs.getincrementaldecoder("utf-8-sig")(errors="strict")
        self._held = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """Return the next character that is no space; empty at the end.

        Raises:
            NotUtf8Error: there is no telling.
        """
        while True:
            while self._at < len(self._held):
                if self._held[self._at] not in _SPACE:
                    return self._held[self._at]
                self._at += 1
            if not self._more():
                return ""

    def take(self) -> None:
        """Go past the next character."""
        self._at += 1

    def value(self) -> Any:
        """Return the value that begins here, and go past it.

        Raises:
            ValueError: it is no JSON, or too long.
            RecursionError: it is nested too deep.
        """
        return self._next()[0]

    def text(self) -> str:
        """Return the text of the value that begins here, and go past it; raises as `value`."""
        return self._next()[1]

    def _next(self) -> tuple[Any, str]:
        tried = 0
        while True:
            # what was cut off is tried again only with twice as much, so that reading stays linear
            if len(self._held) - self._at >= 2 * tried or self._ended:
                tried = len(self._held) - self._at
                try:
                    value, end = _DECODER.raw_decode(self._held, self._at)
                except ValueError:
                    if self._ended:
                        raise
                else:
                    # a number may go on behind what is in memory; what has an end of its own does not
                    if end < len(self._held) or self._ended or isinstance(value, dict | list | str):
                        return self._went_to(value, end)
            if len(self._held) - self._at > self._longest:
                raise ValueError
            self._more()

    def _went_to(self, value: Any, end: int) -> tuple[Any, str]:
        if end - self._at > self._longest:
            raise ValueError
        text, self._at = self._held[self._at : end], end
        return value, text

    def _more(self) -> bool:
        """Read on; tell whether there was more."""
        if self._ended:
            return False
        read = self._file.read(_PIECE)
        self._ended = not read
        try:
            self._held = self._held[self._at :] + self._decode.decode(read, final=self._ended)
        except UnicodeDecodeError:
            raise NotUtf8Error from None
        self._at = 0
        return bool(read)


def _refuse(_name: str) -> NoReturn:
    raise ValueError


_DECODER = json.JSONDecoder(parse_constant=_refuse)
