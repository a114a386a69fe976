"""Windows are what the clock on the wall says, also on the two days of a year on which it is put."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.catalog.windows import WEEKDAYS, Hours, Windows

BERLIN = "Europe/Berlin"
MINUTE = 60.0
# Zones whose clocks are put by an hour, by half an hour, at midnight, by a whole day, and never.
ZONES = [
    BERLIN,
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Pacific/Apia",
    "Asia/Kolkata",
]


def at(text: str, zone: str = BERLIN, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def shown(moment: float | None, zone: str = BERLIN) -> str:
    assert moment is not None
    return datetime.fromtimestamp(moment, ZoneInfo(zone)).strftime("%a %d %H:%M %z")


def nightly(begin: str, end: str, *days: str) -> Windows:
    return Windows.model_validate(
        {"zone": BERLIN, "hours": [{"begin": begin, "end": end, **({"days": days} if days else {})}]}
    )


def test_without_hours_it_is_always_open() -> None:
    assert Windows().opening(1234.5) == 1234.5
    assert Windows().closing(1234.5) is None


def test_one_waits_for_the_next_opening() -> None:
    window = nightly("22:00", "23:30")
    assert shown(window.opening(at("2026-05-04 12:00"))) == "Mon 04 22:00 +0200"
    assert window.opening(at("2026-05-04 22:15")) == at("2026-05-04 22:15")
    assert shown(window.opening(at("2026-05-04 23:30"))) == "Tue 05 22:00 +0200"
    assert shown(window.closing(at("2026-05-04 22:15"))) == "Mon 04 23:30 +0200"


def test_hours_that_end_before_they_begin_end_on_the_next_day() -> None:
    friday = nightly("22:00", "04:00", "fri")
    assert shown(friday.opening(at("2026-05-04 12:00"))) == "Fri 08 22:00 +0200"
    assert friday.is_open(at("2026-05-09 03:59"))
    assert not friday.is_open(at("2026-05-09 04:00"))
    assert not friday.is_open(at("2026-05-08 03:59"))
    assert shown(friday.closing(at("2026-05-08 23:00"))) == "Sat 09 04:00 +0200"


def test_equal_times_are_a_whole_day_and_night() -> None:
    assert shown(nightly("06:00", "06:00", "sun").closing(at("2026-05-10 07:00"))) == "Mon 11 06:00 +0200"


def test_neighbouring_hours_are_one_window() -> None:
    window = Windows(
        zone=BERLIN,
        hours=(Hours(begin="20:00"), Hours(begin="00:00", end="02:00"), Hours(begin="21:00", end="22:00")),
    )
    assert shown(window.closing(at("2026-05-04 20:30"))) == "Tue 05 02:00 +0200"


def test_an_hour_that_spring_leaves_out_is_not_made_up_for() -> None:
    """On 2026-03-29 the clock in Berlin goes from 02:00 to 03:00."""
    assert shown(nightly("02:10", "02:50").opening(at("2026-03-28 12:00"))) == "Mon 30 02:10 +0200"
    assert shown(nightly("02:30", "05:00").opening(at("2026-03-28 12:00"))) == "Sun 29 03:00 +0200"


def test_an_hour_that_autumn_shows_twice_is_open_twice() -> None:
    """On 2026-10-25 the clock in Berlin goes from 03:00 back to 02:00."""
    window = nightly("02:10", "02:50")
    assert shown(window.opening(at("2026-10-24 12:00"))) == "Sun 25 02:10 +0200"
    assert shown(window.opening(at("2026-10-25 02:50", fold=0))) == "Sun 25 02:10 +0100"
    assert shown(window.opening(at("2026-10-25 02:50", fold=1))) == "Mon 26 02:10 +0100"
    assert shown(nightly("22:00", "02:30").opening(at("2026-10-25 02:45", fold=0))) == "Sun 25 02:00 +0100"


def test_a_blackout_closes_what_would_be_open() -> None:
    window = nightly("22:00", "23:00")
    christmas = (at("2026-12-20 00:00"), at("2027-01-03 22:30"))
    assert not window.is_open(at("2026-12-24 22:30"), [christmas])
    assert shown(window.opening(at("2026-12-24 12:00"), [christmas]), BERLIN) == "Sun 03 22:30 +0100"
    inside = (at("2026-05-04 22:20"), at("2026-05-04 22:40"))
    assert shown(window.closing(at("2026-05-04 22:05"), [inside])) == "Mon 04 22:20 +0200"
    assert shown(window.opening(at("2026-05-04 22:20"), [inside])) == "Mon 04 22:40 +0200"


def test_what_never_opens_again_says_so() -> None:
    assert Windows().opening(0.0, [(0.0, 1e12)]) is None
    assert nightly("22:00", "23:00").opening(at("2026-05-04 12:00"), [(0.0, 1e12)]) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"zone": "Mars/Base"}, "no time zone of the IANA database"),
        ({"zone": "../../etc/passwd"}, "no time zone"),
        ({"zone": ""}, "no time zone"),
        ({"hours": [{"begin": "25:00"}]}, "no time of day"),
        ({"hours": [{"begin": "9:00"}]}, "no time of day"),
        ({"hours": [{"end": "24:01"}]}, "no time of day"),
        ({"hours": [{"begin": "24:00"}]}, "not begin there"),
        ({"hours": [{"days": []}]}, "at least 1"),
        ({"hours": [{"days": ["someday"]}]}, "mon"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_a_window_that_makes_no_sense_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Windows.model_validate(wrong)


def test_it_survives_json() -> None:
    made = nightly("22:00", "04:00", "fri", "sat")
    assert Windows.model_validate(made.model_dump(mode="json")) == made


times = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 59]))
hours = st.builds(
    Hours, days=st.sets(st.sampled_from(WEEKDAYS), min_size=1).map(tuple), begin=times, end=times
)
windows = st.builds(
    Windows, zone=st.sampled_from(ZONES), hours=st.lists(hours, min_size=1, max_size=3).map(tuple)
)
# Minutes from 2011 on: Apia left out 2011-12-30.
moments = st.integers(int(at("2011-12-25 00:00") / MINUTE), int(at("2012-12-31 00:00") / MINUTE)).map(
    lambda minute: minute * MINUTE
)
spans = st.lists(
    st.tuples(moments, st.integers(1, 3000)).map(lambda it: (it[0], it[0] + it[1] * MINUTE)), max_size=2
)


@given(windows, moments, spans)
@example(nightly("02:10", "02:50"), at("2026-10-25 02:00"), [])
def test_from_minute_to_minute_it_is_what_the_wall_says(
    window: Windows, moment: float, blackouts: list[tuple[float, float]]
) -> None:
    """Between a moment and the next opening or closing nothing changes, and there it does."""
    is_open = window.is_open(moment, blackouts)
    turn = window.closing(moment, blackouts) if is_open else window.opening(moment, blackouts)
    minutes = 3 * 24 * 60 if turn is None else min(3 * 24 * 60, int((turn - moment) / MINUTE))
    assert all(window.is_open(moment + n * MINUTE, blackouts) is is_open for n in range(0, minutes, 7))
    assert window.is_open(moment + max(0, minutes - 1) * MINUTE, blackouts) is is_open
    if turn is not None:
        assert window.is_open(turn, blackouts) is not is_open
        assert window.is_open(turn - 0.5, blackouts) is is_open
