"""A secret that cannot be printed, formatted, pickled or put into JSON by accident."""

from __future__ import annotations

import hmac
from typing import NoReturn


class SecretMisuse(TypeError):
    """A secret was about to become text. Call `reveal()` at the one place that needs the value."""


class Secret:
    """Holds one secret text. `reveal()` is the only way to the value, so every use can be found by name."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @classmethod
    def from_bytes(cls, data: bytes) -> Secret:
        """Decode UTF-8 strictly. Raises ValueError that does not quote the data."""
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = None  # raised below, outside: the codec's error carries the whole secret
        if text is None:
            raise ValueError("the secret is not valid UTF-8; store it in that encoding")
        return cls(text)

    def reveal(self) -> str:
        return self._text

    def __len__(self) -> int:
        return len(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(
            self._text.encode("utf-8", "surrogatepass"), other._text.encode("utf-8", "surrogatepass")
        )

    __hash__ = None  # type: ignore[assignment]  # a hash is a guess about the value, and would invite use as a key

    def __repr__(self) -> str:
        return "Secret(…)"

    def __str__(self) -> str:
        raise SecretMisuse("a secret was about to be turned into text")

    def __format__(self, spec: str) -> str:
        raise SecretMisuse("a secret was about to be formatted into text")

    def __reduce__(self) -> NoReturn:
        raise SecretMisuse("a secret was about to be pickled or copied")
