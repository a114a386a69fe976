"""A notice as a syslog message: RFC 5424 with structured data, or CEF (revision 25) inside RFC 5424.

Both carry the same header and `[meta sequenceId]`, which RFC 5424 (7.3.1) lets wrap; a notice's whole number
is `seq` there and `externalId` in CEF. Nothing here has an effect.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from engine.record.audit import Scalar
from engine.record.catalogue import FIELDS, UNKNOWN, cef_key, kind_of
from engine.record.outbox import Notice

LOG_AUDIT = 13  # RFC 5424, table 1
MAX_BYTES = 8192
# 32473 stands for examples (RFC 5612): Keyturn has no private enterprise number of its own yet.
SD_ID = "keyturn@32473"
APP = "keyturn"
MARK = "…"  # ends what was shortened
_HOST = 64  # hostname(7)
_MSGID = 32  # RFC 5424, 6
_NAME = 32  # of a structured data element's parameter
_SHORTEST = 16  # bytes below which a field is left out rather than shortened
_WRAP = 2**31 - 1
_BOM = "\ufeff"
_CEF_SEVERITY = (10, 10, 9, 7, 5, 3, 1, 0)  # by the severity of RFC 5424

# What could end a line, or be taken for a command, becomes its picture: no escape that all receivers undo
# exists for it in RFC 5424.
_PICTURES = {
    **{code: 0x2400 + code for code in range(0x20)},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    **dict.fromkeys((0x2028, 0x2029), 0x2424),
}
_CEF_PICTURES = {code: picture for code, picture in _PICTURES.items() if code not in (10, 13)}
_IN_PARAMETER = str.maketrans({'"': '\\"', "\\": "\\\\", "]": "\\]"})
_IN_HEADER = str.maketrans({"\\": "\\\\", "|": "\\|"})
_IN_EXTENSION = str.maketrans({"\\": "\\\\", "=": "\\=", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a message says beside its notice. `limit` is the longest message in bytes, 480 or more.

    Numbers are given anew by a database that was restored, so receivers tell duplicates by `incarnation`
    and number.
    """

    host: str
    process: int
    release: str
    incarnation: str
    facility: int = LOG_AUDIT
    limit: int = MAX_BYTES


class _Piece:
    """A text that may be shortened, escaped, and what stands before and after it."""

    def __init__(
        self, before: str, text: str, escape: Callable[[str], str], after: str, *, needed: bool = False
    ) -> None:
        self._before, self._text, self._escape, self._after = before, text, escape, after
        self.needed = needed
        self._body = escape(text)
        self.size = _size(self._body)  # bytes that can be saved

    @property
    def whole(self) -> str:
        return self._before + self._body + self._after

    def shorten(self, size: int) -> None:
        """To `size` bytes at most. The text is cut before it is escaped, so never inside an escape."""
        room = size - _size(MARK)
        for index, character in enumerate(self._text):
            room -= _size(self._escape(character))
            if room < 0:
                self._text = self._text[:index] + MARK
                break
        self._body = self._escape(self._text)
        self.size = _size(self._body)


def rfc5424(notice: Notice, envelope: Envelope) -> bytes:
    """One message, without framing."""
    kind = kind_of(notice.kind)
    fields = _fields(notice)
    named = _distinct((_ascii(name, _NAME), value) for name, value in fields.items())
    pieces = [_Piece(f' {name}="', text, _parameter, '"') for name, text in named]
    pieces.append(_Piece(f"] {_BOM}", kind.shown(notice.payload), _line, "", needed=True))
    software = f'[origin software="{APP}" swVersion="{_parameter(envelope.release)}"]'
    own = f'[{SD_ID} seq="{notice.sequence}" incarnation="{_parameter(envelope.incarnation)}"'
    own += f' schema="{kind.version}"'
    return _fitted(_head(notice, envelope) + software + own, pieces, envelope.limit)


def cef(notice: Notice, envelope: Envelope) -> bytes:
    """One message, without framing."""
    kind = kind_of(notice.kind)
    keys = _distinct((_alphanumeric(cef_key(name)), value) for name, value in _fields(notice).items())
    pieces = [_Piece(" msg=", kind.shown(notice.payload), _extension, "", needed=True)]
    pieces += [_Piece(f" {key}=", text, _extension, _label(key)) for key, text in keys if text]
    title = _header(notice.kind)
    severity = _CEF_SEVERITY[kind.severity]
    header = f" CEF:0|Keyturn|{APP}|{_header(envelope.release)}|{kind.id}|{title}|{severity}|"
    fixed = f"rt={round(notice.at * 1000)} externalId={notice.sequence}"
    fixed += f" deviceExternalId={_extension(envelope.incarnation)}"
    return _fitted(_head(notice, envelope) + header + fixed, pieces, envelope.limit)


def framed(message: bytes) -> bytes:
    """Octet counting: RFC 5425 (4.3) over TLS, RFC 6587 (3.4.1) over TCP."""
    return b"%d %b" % (len(message), message)


def _head(notice: Notice, envelope: Envelope) -> str:
    priority = envelope.facility * 8 + kind_of(notice.kind).severity
    moment = datetime.fromtimestamp(notice.at, UTC).isoformat(timespec="microseconds")
    moment = moment.replace("+00:00", "Z")
    host = _ascii(envelope.host, _HOST)
    counter = (notice.sequence - 1) % _WRAP + 1
    msgid = _ascii(notice.kind, _MSGID)
    return f'<{priority}>1 {moment} {host} {APP} {envelope.process} {msgid} [meta sequenceId="{counter}"]'


def _fields(notice: Notice) -> dict[str, str]:
    """All that is known, as text, the operation first; without what is null."""
    values: dict[str, Scalar] = {"operation": notice.operation_id, **notice.payload}
    if kind_of(notice.kind) is UNKNOWN or len(notice.kind) > _MSGID:
        values = {"kind": notice.kind, **values}
    return {name: _text(value) for name, value in values.items() if value is not None}


def _text(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _label(key: str) -> str:
    """CEF's numbers of one's own are told apart by labels."""
    labelled = (name for name, field in FIELDS.items() if field.cef == key and key.startswith("cn"))
    return "".join(f" {key}Label={name}" for name in labelled)


def _distinct(named: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """No name twice, nor one of ours: what is hostile or unlisted gets a number."""
    used = {"seq", "incarnation", "schema"}
    for name, value in named:
        count, free = 1, name
        while free in used:
            count += 1
            free = f"{name[: _NAME - 4]}{count}"
        used.add(free)
        yield free, value


# Escaping


def _parameter(text: str) -> str:
    return _line(text).translate(_IN_PARAMETER)


def _line(text: str) -> str:
    return _encodable(text).translate(_PICTURES)


def _header(text: str) -> str:
    return _line(text).translate(_IN_HEADER)


def _extension(text: str) -> str:
    return _encodable(text).translate(_CEF_PICTURES).translate(_IN_EXTENSION)


def _encodable(text: str) -> str:
    """Without half surrogates, which UTF-8 does not have."""
    return text.encode("utf-8", "replace").decode()


def _ascii(text: str, limit: int) -> str:
    """Printable, without what ends a name or a field of the header; `-` is RFC 5424's nothing."""
    return re.sub(r'[^!-~]|[="\]]', "_", text)[:limit] or "-"


def _alphanumeric(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", text)[:_NAME]


# Fitting


def _fitted(head: str, pieces: Sequence[_Piece], limit: int) -> bytes:
    """The message; if it is too long, its longest fields end in a mark, then the last ones are left out."""
    kept = list(pieces)
    excess = _size(head) + sum(_size(piece.whole) for piece in kept) - limit
    while excess > 0:
        longest = max(kept, key=lambda piece: piece.size)
        before = longest.size
        if before > _SHORTEST:
            # By half at most, so that two long fields both keep something.
            longest.shorten(max(_SHORTEST, before - excess, before // 2))
            excess -= before - longest.size
        elif (last := _last(kept)) is not None:
            kept.remove(last)
            excess -= _size(last.whole)
        else:
            break
    return (head + "".join(piece.whole for piece in kept)).encode()


def _last(pieces: Sequence[_Piece]) -> _Piece | None:
    return next((piece for piece in reversed(pieces) if not piece.needed), None)


def _size(text: str) -> int:
    return len(text.encode())


FORMATS: Mapping[str, Callable[[Notice, Envelope], bytes]] = {"rfc5424": rfc5424, "cef": cef}
