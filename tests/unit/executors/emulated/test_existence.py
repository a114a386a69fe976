"""Each network device says whether an account is there, without its whole configuration."""

from __future__ import annotations

import pytest

from tests.unit.executors.emulated.talking import Seat, device

ASKED = {
    "ios": ("show running-config | count ^username {}_", "regexp = 1\n", "regexp = 0\n"),
    "nxos": ('show running-config | grep count "^username {} "', "\n1\n", "\n0\n"),
    "eos": ('show running-config | grep -c "^username {} "', "\n1\n", "\n0\n"),
    "iosxr": ("show running-config username {}", "\nusername op\n", "% No such configuration item(s)\n"),
    "asa": ("show running-config username {}", "\nusername op password *", "ERROR: user o does not exist\n"),
    "junos": ("show configuration system login user {} | count", "Count: 5 lines\n", "Count: 0 lines\n"),
    "vrp": ("display local-user username {}", "State    : active\n", "Error: The user does not exist.\n"),
    "mikrotik": ("/user print count-only where name={}", "\n1\n", "\n0\n"),
}


def seated(platform: str) -> Seat:
    seat = Seat(device(platform))
    if platform in ("asa", "eos"):
        seat.lines(["enable", "OLD"])
    return seat


@pytest.mark.parametrize("platform", ASKED)
def test_an_account_is_there_or_not(platform: str) -> None:
    """The name must be the whole name: `o` is not `op`."""
    line, there, missing = ASKED[platform]
    seat = seated(platform)
    assert there in seat.say(line.format("op"))
    assert missing in seat.say(line.format("o"))


def test_a_blocked_account_is_shown_as_one() -> None:
    target = device("vrp")
    account = target.find("op")
    assert account is not None
    account.locked = True
    assert "State    : block\n" in Seat(target).say("display local-user username op")


def test_what_waits_for_a_commit_is_shown() -> None:
    seat = seated("iosxr")
    pending = "show configuration | include ^username"
    assert "\nusername" not in seat.lines(["configure terminal", pending])
    assert "\nusername op\n" in seat.lines(["username op secret 0 NEW", pending])
    assert "\nusername" not in seat.lines(["commit", pending])
