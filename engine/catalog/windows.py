"""Windows: the days and hours in which an automatic change may begin, by the clock on the wall of a zone.

A moment is inside if the wall clock then shows an allowed time of an allowed day, and no blackout covers it.
So an hour that is shown twice in autumn is allowed twice, and one that is left out in spring is not made up
for: whoever missed it waits for the next window.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Final, Literal, Self, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Span = tuple[float, float]
"""Begin and end in seconds since 1970-01-01 UTC; the end is outside."""

WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)
DAY: Final = 24 * 60  # minutes
HORIZON: Final = 800  # days that are searched for an opening; hours recur weekly, blackouts may last
_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")


def _a_time(text: str) -> str:
    if not _TIME.fullmatch(text):
        raise ValueError(f"{text!r} is no time of day: HH:MM, from 00:00 to 24:00")
    return text


def _a_zone(name: str) -> str:
    try:
        _zone(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"{name[:64]!r} is no time zone of the IANA database, such as Europe/Lisbon"
        ) from None
    return name


Time = Annotated[str, AfterValidator(_a_time)]


class _Data(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Hours(_Data):
    """From `begin` to `end`, HH:MM on the wall; an `end` that is not later is the next day's."""

    days: tuple[Weekday, ...] = Field(default=WEEKDAYS, min_length=1, strict=False)
    begin: Time = "00:00"
    end: Time = "24:00"

    @model_validator(mode="after")
    def _is_some_time(self) -> Self:
        if self.begin == "24:00":
            raise ValueError("hours may end at 24:00, not begin there: 00:00 of the next day is meant")
        return self

    def minutes(self, weekday: int) -> Iterator[tuple[int, int]]:
        """Of a day, Monday being 0: what these hours allow, in minutes after midnight on the wall."""
        begin, end = _minutes(self.begin), _minutes(self.end)
        past_midnight = end <= begin
        if WEEKDAYS[weekday] in self.days:
            yield begin, DAY if past_midnight else end
        if past_midnight and end and WEEKDAYS[weekday - 1] in self.days:
            yield 0, end


class Windows(_Data):
    """When changes may begin that nobody asked for at this moment. Without hours: always."""

    zone: Annotated[str, AfterValidator(_a_zone)] = "UTC"
    hours: tuple[Hours, ...] = Field(default=(), max_length=50, strict=False)

    def is_open(self, moment: float, blackouts: Sequence[Span] = ()) -> bool:
        if any(begin <= moment < end for begin, end in blackouts):
            return False
        wall = datetime.fromtimestamp(moment, _zone(self.zone))
        minute = wall.hour * 60 + wall.minute
        return not self.hours or any(
            begin <= minute < end for each in self.hours for begin, end in each.minutes(wall.weekday())
        )

    def opening(self, moment: float, blackouts: Sequence[Span] = ()) -> float | None:
        """The first moment from this one on that is inside; None if there is none within two years."""
        return self._first(moment, blackouts, opening=True)

    def closing(self, moment: float, blackouts: Sequence[Span] = ()) -> float | None:
        """The first moment from this one on that is outside; None if there is none within two years."""
        return self._first(moment, blackouts, opening=False)

    def _first(self, moment: float, blackouts: Sequence[Span], *, opening: bool) -> float | None:
        if self.is_open(moment, blackouts) is opening:
            return moment
        last = moment + HORIZON * 86_400
        edges = sorted({edge for span in blackouts for edge in span if moment < edge <= last})
        for edge in self._edges(moment, last, edges):
            if self.is_open(edge, blackouts) is opening:
                return edge
        return None

    def _edges(self, moment: float, last: float, others: Sequence[float]) -> Iterator[float]:
        """All moments after this one at which it may open or close, in their order; `others` among them."""
        if not self.hours:
            yield from others
            return
        seen, day = moment, datetime.fromtimestamp(moment, _zone(self.zone)).date()
        while seen < last:
            own = [edge for edge in _turns(self.zone, day, self._marks) if edge > seen]
            end = _midnights(self.zone, day)[1]
            yield from sorted({*own, *others[bisect_right(others, seen) : bisect_right(others, end)]})
            seen, day = end, day + timedelta(days=1)

    @property
    def _marks(self) -> tuple[int, ...]:
        """Minutes of a day at which some hours begin or end."""
        return tuple(sorted({_minutes(text) % DAY for each in self.hours for text in (each.begin, each.end)}))


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _midnights(zone: str, day: date) -> Span:
    """The moments at which the wall clock first shows this day and first shows the next one."""
    begin, end = (
        datetime(each.year, each.month, each.day, tzinfo=_zone(zone)).timestamp()
        for each in (day, day + timedelta(days=1))
    )
    return begin, end


@lru_cache(maxsize=4096)
def _turns(zone: str, day: date, marks: tuple[int, ...]) -> tuple[float, ...]:
    """The moments of a day at which its wall clock shows midnight or a mark, or is put forward or back."""
    begin, end = _midnights(zone, day)
    found = {begin, end, *_steps(zone, begin, end)}
    for mark in marks:
        for fold in (0, 1):
            wall = datetime(
                day.year, day.month, day.day, mark // 60, mark % 60, fold=fold, tzinfo=_zone(zone)
            )
            found.add(wall.timestamp())
    return tuple(sorted(edge for edge in found if begin <= edge <= end))


def _steps(zone: str, begin: float, end: float) -> Iterator[float]:
    """When the clock is put forward or back between two moments, to the second."""
    hours = [*range(int(begin), int(end), 3600), int(end)]
    for low, high in pairwise(hours):
        if _offset(zone, low) != _offset(zone, high):
            yield float(_step(zone, low, high))


def _step(zone: str, low: int, high: int) -> int:
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(zone, middle) == _offset(zone, low) else (low, middle)
    return high


def _offset(zone: str, moment: int) -> timedelta | None:
    return datetime.fromtimestamp(moment, UTC).astimezone(_zone(zone)).utcoffset()
