"""What is recorded plays again with other values to the same end, and holds no secret; in process."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cli.template_bench import field_bench, played
from executors.contract import (
    Outcome,
    Report,
    Secret,
    Section,
    TemplateError,
    Transcript,
    Value,
    ValueKind,
    Values,
)
from executors.emulated.account import Account, Rules
from executors.emulated.catalogue import PLATFORMS
from executors.emulated.channel import ConsoleChannel
from executors.emulated.device import Device, Served
from executors.emulated.scripted import Hear, Offer, ScriptedDevice
from executors.language.parsing import Parsed, parse
from executors.terminal.connection import TerminalConnection
from executors.terminal.program import FieldProgram
from executors.terminal.recording import Recorder, Unrecordable, dialogue

ROUTER: Final = """
expect "*#"
exec "configure terminal"
expect "*(config)#"
exec "username [#USERNAME#] secret [#NEW_PASSWORD#]"
no-expect "% "
expect "*(config)#"
exec "end"
expect "*#"
"""
SWITCH: Final = """
set-newline windows
expect "*#"
write "username [#USERNAME#] pass"
exec "word [#NEW_PASSWORD#]"
read "%"
"""
SHORT: Final = 'expect "ready"\nexec "[#CURRENT_PASSWORD#]"\nexec "[#NEW_PASSWORD#]"\nexpect "done"\n'
WORDS: Final = st.from_regex(r"\Au[0-9]{3}[a-z]{0,5}\Z")
SECRETS: Final = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=10, max_size=24)


def values_of(user: str, new: str, current: str = "Old-pass1-Q") -> Values:
    return {
        "USERNAME": Value(ValueKind.USERNAME, user),
        "NEW_PASSWORD": Value(ValueKind.SECRET, Secret(new)),
        "CURRENT_PASSWORD": Value(ValueKind.SECRET, Secret(current)),
    }


def recorded(parsed: Parsed, device: Served, values: Values) -> tuple[str, Report]:
    """The dialogue of one run. Raises Unrecordable."""
    recorder = Recorder()
    channel = ConsoleChannel(device.open(values["USERNAME"].reveal(), None, terminal=True))
    connection = TerminalConnection(channel, Transcript(), lambda: None, channel.clock)
    connection.record(recorder)
    report = connection.run(FieldProgram(parsed, {}), Section.CHANGE, values)
    secrets = [value.content for value in values.values() if isinstance(value.content, Secret)]
    new_line = "\r\n" if "windows" in str(parsed.steps) else "\n"
    return dialogue(recorder, new_line, values, secrets, report.outcome), report


def router(user: str, **settings: object) -> Device:
    return Device(PLATFORMS["ios"], [Account(user, "Old-pass1-Q")], **settings)  # type: ignore[arg-type]


def of(body: str) -> Parsed:
    return parse(body, "ssh", "change_secret")


def plays_again(parsed: Parsed, text: str, outcome: Outcome) -> None:
    rows = list(played(field_bench(parsed, "own"), text))
    assert len(rows) == 8
    assert {(each["good"], each["outcome"]) for each in rows} == {(True, outcome.value)}, rows


@given(WORDS, SECRETS.filter(lambda secret: "?" not in secret))
def test_a_dialogue_plays_again_with_other_values(user: str, secret: str) -> None:
    parsed = of(ROUTER)
    text, report = recorded(parsed, router(user), values_of(user, secret))
    assert secret not in text
    assert user not in text
    plays_again(parsed, text, report.outcome)


def test_an_echo_is_not_written() -> None:
    text, _ = recorded(of(ROUTER), router("u1"), values_of("u1", "New-pass2-Q"))
    assert text.splitlines() == [
        "< Router#",
        "> configure terminal",
        "< Enter configuration commands, one per line.  End with CNTL/Z.\\n",
        "< Router(config)#",
        "> username [#USERNAME#] secret [#NEW_PASSWORD#]",
        "< Router(config)#",
        "> end",
        "< Router#",
    ]


@given(WORDS, SECRETS)
def test_half_a_secret_that_a_helping_device_repeats_is_never_written(user: str, secret: str) -> None:
    """IOS answers `?` with help, and repeats the line so far."""
    parsed = of(ROUTER)
    try:
        text, report = recorded(parsed, router(user), values_of(user, secret))
    except Unrecordable:
        return
    assert not any(secret[start : start + 6] in text for start in range(len(secret) - 5))
    assert report.outcome in Outcome


@given(st.text(max_size=200), SECRETS)
def test_whatever_a_device_says_is_read_back_as_it_was_said(said: str, secret: str) -> None:
    parsed = of(SHORT)
    device = ScriptedDevice([Offer("ready\n"), Hear(), Hear(), Offer(f"{said}\ndone\n")])
    try:
        text, report = recorded(parsed, device, values_of("u1", secret))
    except Unrecordable:
        return
    if report.outcome is Outcome.OK:
        plays_again(parsed, text, Outcome.OK)


def test_a_refusal_of_the_device_is_how_it_ends_again() -> None:
    parsed = of(ROUTER)
    device = router("u1", rules=Rules(min_length=40))
    text, report = recorded(parsed, device, values_of("u1", "New-pass2-Q"))
    assert report.outcome is Outcome.SCRIPT_MISMATCH
    assert text.endswith("= script_mismatch\n")
    plays_again(parsed, text, Outcome.SCRIPT_MISMATCH)


def test_lines_without_an_end_and_other_line_ends_are_kept() -> None:
    parsed = of(SWITCH)
    text, _ = recorded(parsed, router("u1"), values_of("u1", "New-pass2-Q"))
    assert ">> username [#USERNAME#] pass\n> word [#NEW_PASSWORD#]\n" in text


def test_two_secrets_of_one_value_keep_their_places() -> None:
    parsed = of(SHORT)
    device = ScriptedDevice([Offer("ready\n"), Hear(), Hear(), Offer("done\n")])
    text, _ = recorded(parsed, device, values_of("u1", "Same-pass1", "Same-pass1"))
    assert "> [#CURRENT_PASSWORD#]\n> [#NEW_PASSWORD#]\n" in text
    plays_again(parsed, text, Outcome.OK)


@pytest.mark.parametrize("shown", ["New-pass2-Q", "x New-pass2-Q.", "[#NEW_PASSWORD#] \\ [#NO_TAG#]"])
def test_a_secret_shown_as_it_is_becomes_its_tag_and_what_looks_like_a_tag_stays(shown: str) -> None:
    parsed = of(SHORT)
    device = ScriptedDevice([Offer("ready\n"), Hear(), Hear(), Offer(f"{shown}\ndone\n")])
    text, _ = recorded(parsed, device, values_of("u1", "New-pass2-Q"))
    assert "New-pass2-Q" not in text
    plays_again(parsed, text, Outcome.OK)


@pytest.mark.parametrize(
    "shown", ["New-\npass2-Q", "new-PASS2-q", "4e65772d70617373322d51", "it is New-pa..."]
)
def test_a_secret_in_another_form_makes_no_recording(shown: str) -> None:
    device = ScriptedDevice([Offer("ready\n"), Hear(), Hear(), Offer(f"{shown}\ndone\n")])
    with pytest.raises(Unrecordable, match="secret"):
        recorded(of(SHORT), device, values_of("u1", "New-pass2-Q"))


def test_nothing_said_makes_no_recording() -> None:
    with pytest.raises(Unrecordable, match="nothing was said"):
        dialogue(Recorder(), "\n", {}, [], Outcome.OK)


def test_a_dialogue_of_another_template_is_refused() -> None:
    with pytest.raises(TemplateError, match="line 1: the template does not use"):
        list(played(field_bench(of(SHORT), "own"), "> [#USERNAME#]\n"))
