"""The mirror of a template, and conversations with emulated devices in memory."""

from __future__ import annotations

import pytest

from executors.contract import Outcome, Transcript
from executors.emulated.channel import ConsoleChannel, JumpingClock
from executors.emulated.scripted import Hear, NoExample, Offer, ScriptedDevice, dialogue_of, example
from executors.emulated.trouble import Delay, Drop, Noise, Point, Silence
from executors.language.parsing import Parsed, parse
from executors.language.patterns import regex
from executors.terminal.conversation import converse
from tests.unit.executors.emulated.talking import NEW, OLD, device
from tests.unit.executors.language.played import values

OWN = """
set-read-timeout 10
expect "*$"
exec "passwd"
expect "*urrent password:"
exec "[#CURRENT_PASSWORD#]"
expect "*ew password:"
exec "[#NEW_PASSWORD#]"
expect "*ew password:"
exec "[#NEW_PASSWORD#]"
expect "*updated successfully"
end
"""
ODD = r"""
set-new-line-mode windows
expect-regex "/[$|#|>]/"
exec "one [#USERNAME#]"
exec "two"
expect "New*password:"
write "[#NEW_PASSWORD#]"
exec ""
no-expect "failed"
expect-regex "/^(done|ready)\s+[0-9]{2}$/"
end
"""
TCL = """
use ssh script
expect {
  "yes/no" { send "yes\\r"; exp_continue }
  timeout { exit 1 }
  "assword:" { send "[#CURRENT_PASSWORD#]\\r" }
}
expect "> "
send -- "password [#NEW_PASSWORD#]\\r"
expect {
  "refused" { exit 1 }
  "OK" { exit 0 }
}
"""
HOSTILE = [
    "plain9",
    "st*r",
    'quo"te',
    "[#NEW_PASSWORD#]",
    "a b  c",
    "zażółć 🔐",
    "$#>",
    "?",
]


def given(new: str = NEW, old: str = OLD) -> dict[str, str]:
    return {"USERNAME": "admin", "NEW_PASSWORD": new, "CURRENT_PASSWORD": old}


def program(body: str, executor: str = "SSH") -> Parsed:
    return parse(body, executor, "Change password")


def mirrored(
    body: str, executor: str, new: str, *, echoes: bool, chunk: int
) -> tuple[ScriptedDevice, Outcome]:
    steps, known = program(body, executor).steps, values(**given(new))
    mirror = ScriptedDevice(dialogue_of(steps, known), echoes=echoes)
    channel = ConsoleChannel(mirror.open(), chunk=chunk)
    return mirror, converse(channel, steps, known, Transcript(), channel.clock).outcome


@pytest.mark.parametrize("echoes", [False, True])
@pytest.mark.parametrize("chunk", [1, 65536])
@pytest.mark.parametrize("new", HOSTILE)
def test_a_mirror_hears_what_the_template_types(new: str, chunk: int, echoes: bool) -> None:
    mirror, outcome = mirrored(OWN, "SSH", new, echoes=echoes, chunk=chunk)
    assert outcome is Outcome.OK
    assert mirror.received == ["passwd", OLD, new, new]
    assert mirror.finished


@pytest.mark.parametrize("chunk", [1, 65536])
def test_a_mirror_serves_every_kind_of_wait(chunk: int) -> None:
    mirror, outcome = mirrored(ODD, "SSH", NEW, echoes=False, chunk=chunk)
    assert outcome is Outcome.OK
    assert mirror.received == ["one admin", "two", NEW, ""]


@pytest.mark.parametrize("chunk", [1, 65536])
def test_a_mirror_serves_tcl(chunk: int) -> None:
    mirror, outcome = mirrored(TCL, "Tk Expect", NEW, echoes=False, chunk=chunk)
    assert outcome is Outcome.OK
    assert mirror.received == ["yes", OLD, f"password {NEW}"]


def test_a_dialogue_may_be_written_by_hand() -> None:
    mirror = ScriptedDevice([Offer("login: "), Hear(), Offer("code: "), Hear(3)])
    console = mirror.open()
    assert console.feed(b"") == b"login: "
    assert console.feed(b"somebody\r") == b"code: "
    console.feed(b"123")
    assert mirror.received == ["somebody", "123"]
    assert console.over


@pytest.mark.parametrize(
    "source",
    ["/[$#>]/", "/[nN]ew password:/", "/(ok|done) \\d+/", "/^a.c$/", "/\\[\\w+\\]>/i", "/x{2}y+/", "/[^a]/"],
)
def test_a_regular_expression_has_an_example(source: str) -> None:
    pattern, _ = regex(source)
    assert pattern.compiled({}).find(example(pattern, {}), 0) is not None


def test_a_regular_expression_without_an_example_says_what_to_do() -> None:
    pattern, _ = regex("/(?<=ab)c(?=d)/")
    with pytest.raises(NoExample, match="Write its `Offer` by hand"):
        example(pattern, {})


def run(target: object, body: str = OWN, *, chunk: int = 65536, clock: JumpingClock | None = None) -> Outcome:
    channel = ConsoleChannel(target.open("op"), chunk=chunk, clock=clock)  # type: ignore[attr-defined]
    return converse(channel, program(body).steps, values(**given()), Transcript(), channel.clock).outcome


@pytest.mark.parametrize("chunk", [1, 65536])
def test_a_template_changes_a_password_on_an_emulated_device(chunk: int) -> None:
    target = device("debian")
    assert run(target, chunk=chunk) is Outcome.OK
    assert target.opens("op", NEW)


def test_a_slow_device_is_waited_for() -> None:
    target = device("debian", troubles={Point.AFTER_CHANGE: [Delay(9.0)]})
    assert run(target) is Outcome.OK


def test_a_device_slower_than_the_template_allows_is_a_mismatch_or_a_timeout() -> None:
    target = device("debian", troubles={Point.AFTER_CHANGE: [Delay(11.0)]})
    assert run(target) in (Outcome.TIMEOUT, Outcome.SCRIPT_MISMATCH)
    assert target.opens("op", NEW)


def test_a_lost_connection_ends_the_run() -> None:
    target = device("debian", troubles={Point.AFTER_CHANGE: [Drop()]})
    assert run(target) is not Outcome.OK
    assert target.opens("op", NEW)


def test_a_device_that_never_answers_ends_the_run() -> None:
    assert run(device("debian", troubles={Point.PROMPT: [Silence()]})) is not Outcome.OK


def test_noise_before_the_prompts_does_no_harm() -> None:
    noise = Noise(b"\xff\xfe\x1b[2J\x1b[31m\x1b]0;title\x07")
    target = device("debian", troubles={Point.PROMPT: [noise], Point.NEW: [noise]})
    assert run(target, chunk=1) is Outcome.OK
    assert target.opens("op", NEW)


def test_half_a_prompt_is_waited_out() -> None:
    target = device("debian", troubles={Point.NEW: [Noise(b"New passw"), Delay(3.0), Noise(b"ord: \r\n")]})
    run(target)
    assert OLD in target.received


def test_the_clock_of_a_channel_is_a_devices_clock() -> None:
    clock = JumpingClock()
    target = device("debian", clock=clock.now, troubles={Point.AFTER_CHANGE: [Delay(5.0)]})
    assert run(target, clock=clock) is Outcome.OK
    assert clock.now() >= 5.0
