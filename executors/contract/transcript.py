"""What was said between engine and target, redacted as it is written, bounded in size."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from executors.contract.redaction import Redactor
from executors.contract.secret import Secret

DEFAULT_LIMIT = 256 * 1024


class Transcript:
    """Collects lines up to `limit` characters; past it the rest is counted, not kept."""

    def __init__(self, secrets: Iterable[Secret] = (), limit: int = DEFAULT_LIMIT) -> None:
        self._secrets = tuple(secrets)
        self._limit = limit
        self._pieces: list[str] = []
        self._size = 0
        self._dropped = 0

    @cached_property
    def _redactor(self) -> Redactor:
        """Made when first needed: it derives every encoding of every secret."""
        return Redactor(self._secrets)

    def sent(self, shown: str) -> None:
        """`shown` is the masked form of what was sent."""
        self._add("> " + shown + "\n")

    def received(self, text: str) -> None:
        self._add(text)

    def note(self, text: str) -> None:
        self._add("# " + text + "\n")

    def redact(self, text: str) -> str:
        """For messages that quote the target."""
        return self._redactor.redact(text)

    def begin_anew(self, secrets: Iterable[Secret]) -> None:
        """For the next job over the same connection: the earlier text goes, the earlier secrets stay hidden,
        whatever the target repeats."""
        self._redactor = Redactor(secrets, self._redactor)
        self._pieces.clear()
        self._size = self._dropped = 0

    def text(self) -> str:
        """The whole, redacted as one text, so that a secret split over two reads is found too."""
        whole = self._redactor.redact("".join(self._pieces))
        return whole + (f"\n# {self._dropped} more characters not kept\n" if self._dropped else "")

    def _add(self, text: str) -> None:
        room = max(0, self._limit - self._size)
        self._pieces.append(text[:room])
        self._size += min(len(text), room)
        self._dropped += max(0, len(text) - room)
