"""The shipped templates for network devices, run against the emulated ones: what each comes to, and that none
claims a success which the device does not know of."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executors.contract import Outcome, Section
from executors.emulated import cli
from executors.emulated.account import Account, Lies, Rules
from executors.emulated.platforms.routeros import VARIABLE
from executors.emulated.trouble import Delay, Drop, Noise, Point, Silence
from executors.ssh.encoders import ENCODERS
from tests.native_rig import library
from tests.unit.library.network import ASKING, ENABLE, IOS, NEW, OLD, OTHERS, TARGET, WAYS, Way

UNLOCKED = (*ASKING, "mikrotik-routeros-by-administrator")  # no configuration that somebody else could hold
FOLDERS = ("cisco", "juniper", "arista", "huawei", "mikrotik")

each_way = pytest.mark.parametrize("way", WAYS, ids=str)


def those(*names: str) -> pytest.MarkDecorator:
    """The ways whose templates end so."""
    return pytest.mark.parametrize("way", [way for way in WAYS if way.template.endswith(names)], ids=str)


def test_every_template_for_a_network_device_is_tried_here() -> None:
    shipped = {name for name in library() if name.startswith(FOLDERS)}
    assert shipped == {way.template for way in WAYS}


@pytest.mark.parametrize("chunk", [65536, 1], ids=["whole", "bytewise"])
@each_way
def test_the_new_password_alone_opens_and_stays_after_a_restart(way: Way, chunk: int) -> None:
    rig = way.rig(chunk=chunk)
    changed = rig.change(way.template, **way.given())
    assert (changed.outcome, changed.message) == (Outcome.OK, "")
    old = way.given()["CURRENT_PASSWORD"]
    assert rig.opens(way.secret, NEW)
    assert not rig.opens(way.secret, old)
    kept = rig.run(way.template, Section.PERSIST, **way.given())
    assert (kept.outcome, kept.message) == (Outcome.OK, "")
    rig.clock.sleep(24 * 3600)
    rig.device.reload()
    assert rig.opens(way.secret, NEW)
    assert not rig.opens(way.secret, old)


@each_way
def test_the_lines_that_save_work_over_a_new_connection_too(way: Way) -> None:
    rig = way.rig()
    assert rig.change(way.template, **way.given()).outcome is Outcome.OK
    rig.hang_up()
    assert rig.run(way.template, Section.PERSIST, **way.given()).outcome is Outcome.OK
    rig.clock.sleep(24 * 3600)
    assert rig.opens(way.secret, NEW)
    assert rig.device.is_saved


@each_way
def test_what_was_not_proven_is_not_permanent(way: Way) -> None:
    """A restart, or the time that the header says, brings the old password back; RouterOS saves at once."""
    rig = way.rig()
    rig.change(way.template, **way.given())
    rig.clock.sleep(library()[way.template].undo or 0)
    rig.device.reload()
    assert rig.opens(way.secret, way.given()["CURRENT_PASSWORD"]) is (way.platform != "mikrotik")


@each_way
def test_no_secret_is_in_the_transcript_or_the_plan(way: Way) -> None:
    rig = way.rig()
    rig.change(way.template, **way.given())
    rig.run(way.template, Section.PERSIST, **way.given())
    said = rig.transcript.text()
    assert said
    assert [word for word in (OLD, NEW, ENABLE) if word in said] == []


@pytest.mark.parametrize(
    ("new", "rules", "outcome"),
    [
        ("Ab1-", Rules(min_length=8), Outcome.REFUSED_BY_POLICY),
        ("abcdefghij", Rules(min_length=8, kinds=3), Outcome.REFUSED_BY_POLICY),
        ("Before-1!", Rules(remembers=3), Outcome.TOO_SOON),
        (OLD, Rules(), Outcome.TOO_SOON),
        (NEW, Rules(min_age=86400), Outcome.TOO_SOON),
    ],
    ids=["too short", "too simple", "used before", "the same", "too young"],
)
@pytest.mark.parametrize("chunk", [65536, 1], ids=["whole", "bytewise"])
@pytest.mark.parametrize("way", [*IOS, *OTHERS], ids=str)
def test_a_password_that_the_rules_refuse_is_named_so(
    way: Way, chunk: int, new: str, rules: Rules, outcome: Outcome
) -> None:
    target = Account(TARGET, OLD, before=["Before-1!"], changed_at=0.0)
    rig = way.rig(chunk=chunk, target=target, rules=rules)
    changed = rig.change(way.template, **way.given(NEW_PASSWORD=new))
    assert changed.outcome is outcome, changed.message
    assert rig.opens(TARGET, OLD)
    assert new not in changed.message


@pytest.mark.parametrize("way", [way for way in WAYS if way.asks], ids=str)
def test_a_wrong_old_password_is_a_bad_login(way: Way) -> None:
    rig = way.rig()
    changed = rig.run(way.template, Section.CHANGE, **way.given(CURRENT_PASSWORD="Wrong-pass9"))
    assert changed.outcome is Outcome.BAD_LOGIN, changed.message
    assert rig.opens(TARGET, OLD)


@pytest.mark.parametrize("way", [way for way in WAYS if way.own], ids=str)
def test_a_locked_account_does_not_get_in(way: Way) -> None:
    rig = way.rig(target=Account(TARGET, OLD, locked=True))
    assert rig.change(way.template, **way.given()).outcome is Outcome.BAD_LOGIN
    assert rig.device.received == []


@those("vrp-by-administrator")
def test_the_status_says_that_an_account_is_locked(way: Way) -> None:
    rig = way.rig(target=Account(TARGET, OLD, locked=True))
    assert rig.run(way.template, Section.STATUS, **way.given()).facts["status"] == "locked"


@pytest.mark.parametrize("way", [way for way in OTHERS + IOS if not way.own], ids=str)
def test_an_account_that_is_not_there_is_not_made(way: Way) -> None:
    rig = way.rig()
    changed = rig.change(way.template, **way.given(USERNAME="nobody"))
    assert changed.outcome is Outcome.ACCOUNT_MISSING, changed.message
    assert rig.device.find("nobody") is None


@pytest.mark.parametrize("way", [way for way in WAYS if way.template not in UNLOCKED], ids=str)
def test_a_configuration_that_somebody_else_holds_is_not_touched(way: Way) -> None:
    rig = way.rig(lock_holder="robin")
    changed = rig.change(way.template, **way.given())
    assert changed.outcome is Outcome.UNKNOWN, changed.message
    assert not rig.opens(way.secret, NEW)
    assert not [line for line in rig.device.received if NEW in line]


@those("-enable", "asa-by-administrator", "eos-by-administrator")
def test_a_wrong_enable_secret_is_a_bad_login(way: Way) -> None:
    rig = way.rig()
    rig.device.accounts()[0].privilege = 1  # the administrator begins below the privileged mode
    wrong = way.given(BECOME_PASSWORD="Wrong-pass9", CURRENT_PASSWORD="Wrong-pass9")
    changed = rig.change(way.template, **wrong)
    assert changed.outcome is Outcome.BAD_LOGIN, changed.message
    assert not rig.opens(way.secret, NEW)


@those(
    "ios-by-administrator",
    "nxos-by-administrator",
    "iosxr-by-administrator",
    "eos-by",
    "mikrotik-routeros-by",
)
def test_whoever_lacks_the_right_is_told_so(way: Way) -> None:
    if way.template == "cisco-ios-by-administrator-enable":
        pytest.skip("it is for those who lack it")
    rig = way.rig()
    rig.device.accounts()[0].privilege = 1
    changed = rig.change(way.template, **way.given())
    assert not rig.opens(TARGET, NEW)
    assert changed.outcome in (Outcome.PERMISSION_DENIED, Outcome.OK), changed.message


BANNERS = {
    "hashes": "#" * 70 + "\nAuthorized users only > # $ %\n" + "#" * 70 + "\n",
    "prompts": "Router# switch> [edit]\nType Password: never\nadmin@x> \n",
    "long": "All access is recorded.\n" * 200,
}


@pytest.mark.parametrize("banner", BANNERS.values(), ids=BANNERS)
@pytest.mark.parametrize("chunk", [65536, 1], ids=["whole", "bytewise"])
@each_way
def test_a_banner_is_not_taken_for_a_prompt(way: Way, banner: str, chunk: int) -> None:
    rig = way.rig(banner=banner, chunk=chunk)
    changed = rig.change(way.template, **way.given())
    assert changed.outcome is Outcome.OK, changed.message
    assert rig.opens(way.secret, NEW)
    assert rig.run(way.template, Section.PERSIST, **way.given()).outcome is Outcome.OK
    assert rig.device.is_saved


@each_way
def test_a_slow_device_is_waited_for(way: Way) -> None:
    points = (Point.PROMPT, Point.OLD, Point.NEW, Point.AGAIN, Point.AFTER_CHANGE, Point.AFTER_SAVE)
    rig = way.rig(troubles={point: [Delay(4.0)] for point in points})
    assert rig.change(way.template, **way.given()).outcome is Outcome.OK
    assert rig.opens(way.secret, NEW)


@each_way
def test_noise_on_the_line_is_borne(way: Way) -> None:
    noise = Noise(b"\x1b[2J\x1b[1;31m\xff\xfe\x07\x1b[0m")
    rig = way.rig(troubles={Point.BANNER: [noise], Point.PROMPT: [noise]})
    assert rig.change(way.template, **way.given()).outcome is Outcome.OK


@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [(Drop(), Outcome.UNREACHABLE), (Silence(), Outcome.TIMEOUT)],
    ids=["lost", "mute"],
)
@pytest.mark.parametrize("point", Point)
@each_way
def test_a_connection_that_fails_is_never_a_success(
    way: Way, point: Point, trouble: Drop | Silence, outcome: Outcome
) -> None:
    rig = way.rig(troubles={point: [trouble]})
    changed = rig.change(way.template, **way.given())
    if changed.outcome is Outcome.OK:  # the change did not pass by there; saving it may
        assert rig.opens(way.secret, NEW)
        changed = rig.run(way.template, Section.PERSIST, **way.given())
    if changed.outcome is not Outcome.OK:
        assert changed.outcome is outcome, changed.message
    else:
        assert rig.device.is_saved


@those("nxos-own-password", "vrp-own-password", "routeros-own-password")
def test_an_expired_password_is_changed_in_the_dialogue_that_the_device_forces(way: Way) -> None:
    rig = way.rig(target=Account(TARGET, OLD, must_change=True))
    changed = rig.change(way.template, **way.given())
    assert changed.outcome is Outcome.OK, changed.message
    assert rig.opens(TARGET, NEW)


@those("ios-own-password", "iosxr-own-password", "asa-own-password", "junos-own-password", "eos-own-password")
def test_an_expired_password_that_it_cannot_change_is_said_to_be_one(way: Way) -> None:
    rig = way.rig(target=Account(TARGET, OLD, must_change=True))
    changed = rig.change(way.template, **way.given())
    assert changed.outcome is Outcome.PERMISSION_DENIED, changed.message
    assert rig.opens(TARGET, OLD)


@pytest.mark.parametrize("way", [*IOS, *OTHERS], ids=str)
def test_a_device_that_says_no_is_believed_to_have_said_no(way: Way) -> None:
    """What it did is the proof's to find out."""
    rig = way.rig(lies=Lies(says_no_but_does=True))
    said = rig.change(way.template, **way.given()).outcome
    assert said in (Outcome.REFUSED_BY_POLICY, Outcome.SCRIPT_MISMATCH)
    assert rig.opens(TARGET, NEW)


CARRIED = ["Aa1#(config)#>", "Bb2$%]>[#USERNAME#]", "Cc3|!;&*~^{}=,", "Dd4<>()-_.+:@/", "Router#Ee5"]
NOT_CARRIED = ["Aa1 blank 2", 'Aa1"quote22', "Aa1?help-2", "Aa1é-acute2"]


@pytest.mark.parametrize("chunk", [65536, 1], ids=["whole", "bytewise"])
@pytest.mark.parametrize("new", CARRIED)
@each_way
def test_a_hostile_password_arrives_exactly(way: Way, new: str, chunk: int) -> None:
    rig = way.rig(chunk=chunk, rules=Rules(min_length=1))
    changed = rig.change(way.template, **way.given(NEW_PASSWORD=new))
    assert changed.outcome is Outcome.OK, changed.message
    assert rig.opens(way.secret, new)
    assert new not in rig.transcript.text()


@pytest.mark.parametrize("new", NOT_CARRIED)
@each_way
def test_what_a_command_line_cannot_carry_is_refused_before_anything_is_sent(way: Way, new: str) -> None:
    """Where the device asks for it on a line of its own, it is carried."""
    rig = way.rig(rules=Rules(min_length=1))
    changed = rig.change(way.template, **way.given(NEW_PASSWORD=new))
    if changed.outcome is Outcome.OK:
        assert rig.opens(way.secret, new)
    else:
        assert changed.outcome is Outcome.BAD_TEMPLATE
        assert rig.device.received == []
        assert new not in changed.message


@given(st.text(string.printable + "é\x16", max_size=40))
def test_routeros_reads_back_what_is_written_for_it(value: str) -> None:
    try:
        written = ENCODERS["routeros"](value)
    except ValueError:
        assert not value.isascii() or "?" in value or not value.isprintable()
    else:
        assert cli.value(VARIABLE.sub("", written)) == value
