"""Whatever a terminal does, a run ends in time, typed, and says nothing that is not so."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.contract import Failure, Outcome, Report, Secret, Transcript
from executors.language.parsing import parse
from executors.terminal.conversation import MOST_OUTPUT, converse
from executors.terminal.screen import KEPT
from tests.unit.executors.language.played import Closes, Hears, PlayedTerminal, Rests, Says, Turn, values

OLD, NEW = "0ld-Secret", "n3w-Secret"
GIVEN = values(CURRENT_PASSWORD=OLD, NEW_PASSWORD=NEW)
BODY = """
set-read-timeout 7
expect "*# "
exec "passwd"
expect "*urrent password:"
exec "[#CURRENT_PASSWORD#]"
expect "*ew password:"
exec "[#NEW_PASSWORD#]"
no-expect "rejected"
expect "*updated successfully*"
end
"""
DIALOGUE: tuple[Turn, ...] = (
    Says(b"Welcome\r\nhost# "),
    Hears(b"passwd\n", b"passwd\r\n"),
    Says(b"Current password: "),
    Hears(f"{OLD}\n".encode()),
    Says(b"\r\nNew password: "),
    Hears(f"{NEW}\n".encode()),
    Says(b"\r\npassword updated successfully\r\n"),
)
WHOLE = b"".join(turn.data for turn in DIALOGUE if isinstance(turn, Hears))
PLACES = [place for place, turn in enumerate(DIALOGUE) if isinstance(turn, Says)]
STORM = (
    b"\x1b[2J\x1b[H\x1b[31;1m\x1b[?25l\x1b]0;root@host# \x07\x1bP1$r0m\x1b\\"
    b"\x1b(B\x1b=\x1b7\x1b8\x1b[10;20H\x1b[K\x0e\x0f"
)

chunks = pytest.mark.parametrize("chunk", [65536, 3, 1])


def run(
    turns: Sequence[Turn], chunk: int = 65536, transcript: Transcript | None = None
) -> tuple[Report, PlayedTerminal]:
    terminal = PlayedTerminal(turns, chunk)
    steps = parse(BODY, "ssh", "change_secret").steps
    return converse(terminal, steps, GIVEN, transcript or Transcript(), terminal.clock), terminal


def with_words(place: int, data: bytes) -> list[Turn]:
    """The dialogue, with these bytes for what the device says there."""
    return [Says(data) if at == place else turn for at, turn in enumerate(DIALOGUE)]


def words(place: int) -> bytes:
    turn = DIALOGUE[place]
    assert isinstance(turn, Says)
    return turn.data


@chunks
def test_the_dialogue_itself_is_a_good_one(chunk: int) -> None:
    report, terminal = run(DIALOGUE, chunk)
    assert (report.outcome, terminal.heard) == (Outcome.OK, WHOLE)


# It never answers


@chunks
@pytest.mark.parametrize("place", PLACES)
def test_a_device_that_falls_silent_is_a_timeout_or_a_mismatch_in_bounded_time(
    place: int, chunk: int
) -> None:
    report, terminal = run(DIALOGUE[:place], chunk)
    assert report.outcome is Outcome.TIMEOUT
    assert WHOLE.startswith(terminal.heard)
    assert terminal.clock.time < 60


@chunks
@pytest.mark.parametrize("place", PLACES)
def test_half_a_prompt_is_waited_for_and_answered_once_it_is_whole(place: int, chunk: int) -> None:
    half = words(place)[: len(words(place)) // 2]
    turns = with_words(place, half)
    turns[place + 1 : place + 1] = [Rests(4), Says(words(place)[len(half) :])]
    report, terminal = run(turns, chunk)
    assert (report.outcome, terminal.heard) == (Outcome.OK, WHOLE), report


@chunks
@pytest.mark.parametrize(("place", "half"), [(2, b"Current passw"), (4, b"\r\nNew pass")])
def test_half_a_prompt_gets_no_secret(place: int, half: bytes, chunk: int) -> None:
    report, terminal = run([*DIALOGUE[:place], Says(half)], chunk)
    assert report.outcome is Outcome.SCRIPT_MISMATCH
    assert half.decode().strip() in report.message
    assert terminal.heard == b"".join(turn.data for turn in DIALOGUE[:place] if isinstance(turn, Hears))


# It says too much


@chunks
@pytest.mark.parametrize("place", PLACES)
def test_a_storm_of_control_sequences_hides_no_prompt_and_leaves_no_trace(place: int, chunk: int) -> None:
    stormy = STORM.join(words(place)[at : at + 1] for at in range(len(words(place))))
    transcript = Transcript()
    report, terminal = run(with_words(place, STORM * 50 + stormy + STORM), chunk, transcript)
    assert (report.outcome, terminal.heard) == (Outcome.OK, WHOLE), report
    assert "\x1b" not in transcript.text()
    assert "root@host" not in transcript.text()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "noise",
    [
        b"\xff\xfe\x80",
        b"\xc3",
        b"\xf0\x9f",
        b"\xed\xa0\x80",
        b"\xc0\xaf",
        b"\x00\x00",
        bytes(range(128, 256)),
    ],
)
@chunks
def test_bytes_that_are_no_utf8_change_nothing(place: int, noise: bytes, chunk: int) -> None:
    report, terminal = run(with_words(place, noise + b"\r\n" + words(place) + noise), chunk)
    assert (report.outcome, terminal.heard) == (Outcome.OK, WHOLE), report


@pytest.mark.parametrize("place", PLACES)
def test_a_prompt_behind_a_flood_is_found_and_the_flood_is_not_kept(place: int) -> None:
    flood = b"all is well in this long night\r\n" * (KEPT // 8)
    transcript = Transcript(limit=10_000)
    report, terminal = run(with_words(place, flood + words(place)), 4096, transcript)
    assert (report.outcome, terminal.heard) == (Outcome.OK, WHOLE), report
    assert len(transcript.text()) < 11_000


@pytest.mark.parametrize("place", PLACES)
def test_output_past_the_limit_ends_the_run(place: int) -> None:
    flood = b"tick tock\r\n" * (MOST_OUTPUT // 11 + 1)
    report, terminal = run(with_words(place, flood + words(place)))
    assert report.outcome is Outcome.SCRIPT_MISMATCH
    assert "MiB of output" in report.message
    assert WHOLE.startswith(terminal.heard)


def test_a_device_that_drips_for_ever_is_not_listened_to_for_ever() -> None:
    report, terminal = run([Says(b"."), Rests(1)] * 10_000)
    assert report.outcome is Outcome.SCRIPT_MISMATCH
    assert terminal.clock.time < 30


# A prompt where none is

BANNERS = [
    "##########\n# Private system #\n##########\n",
    "Our prompts end in # and > and $ \nCurrent password: is what we ask\n# \n",
    "password updated successfully\n",
]


@chunks
@pytest.mark.parametrize("banner", BANNERS)
def test_a_prompt_inside_a_banner_lets_no_line_be_typed_before_the_device_listens(
    banner: str, chunk: int
) -> None:
    lines = [Says(line.replace("\n", "\r\n").encode()) for line in banner.splitlines(keepends=True)]
    slow: list[Turn] = [turn for line in lines for turn in (line, Rests(0.3))]
    report, terminal = run([*slow, *DIALOGUE], chunk)
    assert (report.outcome, terminal.heard, terminal.early) == (Outcome.OK, WHOLE, []), report


REPEATED = 'expect "*#"\nexec "one"\nexpect "*#"\nexec "two"\nexpect "*#"\nexec "three"\nexpect "*#"\nend\n'


@chunks
def test_a_banner_full_of_prompts_cannot_hurry_a_script_past_the_device(chunk: int) -> None:
    banner = Says(b"#### Private ####\r\n########\r\n")
    turns: list[Turn] = [banner, Rests(0.2), Says(b"r1# ")]
    for line in (b"one\n", b"two\n", b"three\n"):
        turns += [Hears(line, line.replace(b"\n", b"\r\n")), Rests(0.3), Says(b"done\r\nr1# ")]
    terminal = PlayedTerminal(turns, chunk)
    report = converse(terminal, parse(REPEATED, "ssh", "verify").steps, {}, Transcript(), terminal.clock)
    assert (report.outcome, terminal.heard, terminal.early) == (Outcome.OK, b"one\ntwo\nthree\n", [])
    assert terminal.is_over
    assert terminal.has_said_all, "the connection was closed while the device was at work"


# The connection is lost


@pytest.mark.parametrize("chunk", [65536, 1])
def test_a_connection_lost_at_any_byte_is_told_and_no_secret_goes_to_half_a_prompt(chunk: int) -> None:
    for place in PLACES:
        for length in range(len(words(place))):
            cut = words(place)[:length]
            report, terminal = run([*DIALOGUE[:place], Says(cut), Closes()], chunk)
            enough = b"".join(turn.data for turn in DIALOGUE[:place] if isinstance(turn, Hears))
            is_whole = place == PLACES[-1] and b"updated successfully" in cut
            may_answer = place != PLACES[-1] and cut.endswith((b"# ", b":"))
            assert WHOLE.startswith(terminal.heard)
            assert may_answer or terminal.heard == enough
            assert report.outcome is (Outcome.OK if is_whole else Outcome.UNREACHABLE), (cut, report)
            assert OLD not in report.message


class Breaking(PlayedTerminal):
    """Breaks once so many bytes were sent."""

    def __init__(self, turns: Sequence[Turn], after: int) -> None:
        super().__init__(turns)
        self.after = after

    def send(self, data: bytes) -> None:
        super().send(data[: self.after - len(self.heard)])
        if len(self.heard) >= self.after:
            raise Failure(Outcome.UNREACHABLE, "the connection broke")


@pytest.mark.parametrize("after", range(len(WHOLE) + 1))
def test_a_connection_that_breaks_while_something_is_sent_is_told(after: int) -> None:
    terminal = Breaking(DIALOGUE, after)
    steps = parse(BODY, "ssh", "change_secret").steps
    report = converse(terminal, steps, GIVEN, Transcript(), terminal.clock)
    assert (report.outcome, report.message) == (Outcome.UNREACHABLE, "the connection broke")
    assert terminal.heard == WHOLE[:after]


# Anything at all

PIECES = st.one_of(
    st.binary(max_size=30),
    st.sampled_from([turn.data for turn in DIALOGUE if isinstance(turn, Says)]),
    st.sampled_from(
        [STORM, b"passwd", OLD.encode(), NEW.encode(), b"rejected", b"\r\n", b"\x1b[", b"\x1b]0;"]
    ),
)
TURNS = st.lists(st.one_of(PIECES.map(Says), st.floats(0, 9).map(Rests), st.just(Closes())), max_size=12)


@given(TURNS, st.sampled_from([65536, 3, 1]))
def test_whatever_a_device_says_the_run_ends_typed_in_time_and_without_secrets(
    turns: list[Turn], chunk: int
) -> None:
    transcript = Transcript([Secret(OLD), Secret(NEW)])
    report, terminal = run(turns, chunk, transcript)
    assert report.outcome in (Outcome.OK, Outcome.TIMEOUT, Outcome.UNREACHABLE, Outcome.SCRIPT_MISMATCH)
    assert WHOLE.startswith(terminal.heard)
    assert report.outcome is not Outcome.OK or terminal.heard == WHOLE
    assert terminal.clock.time < 120
    for secret in (OLD, NEW):
        assert secret not in report.message + transcript.text()
