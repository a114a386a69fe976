"""What can be wrong with a tag or its value. TemplateError of the contract is for the template's own text."""

from __future__ import annotations

from engine.store.errors import KeyturnError, Kind


class BadValue(KeyturnError):
    """A value cannot be used for a tag. The message never quotes the value, which may be a secret."""

    code = "bad_value"
    kind = Kind.INVALID

    def __init__(self, tag: str, reason: str) -> None:
        super().__init__(f"the value of {tag} {reason}")
        self.tag = tag
        self.reason = reason


class UnresolvableTag(KeyturnError):
    """A tag has no value in this operation. The message says why and what to do."""

    code = "unresolvable_tag"
    kind = Kind.INVALID

    def __init__(self, tag: str, reason: str) -> None:
        super().__init__(f"[#{tag}#] has no value: {reason}")
        self.tag = tag
        self.reason = reason
