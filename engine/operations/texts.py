"""What both databases can keep of a text that may quote a target."""

from __future__ import annotations

REASON = 1000  # characters kept of a reason


def kept(text: str, limit: int = REASON) -> str:
    """No NUL (PostgreSQL refuses it), no half surrogate, not longer than the column."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:limit]
