"""Devices: what is accepted, what is refused and with which words."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection

from engine.catalog.devices import (
    get_device,
    list_devices,
    pause_device,
    resume_device,
    set_consents,
    set_jump,
    trust_host_key,
)
from engine.catalog.errors import (
    BadInput,
    DuplicateDevice,
    UnknownCredential,
    UnknownDevice,
    UnknownZone,
    WrongState,
    ZoneKeyDiffers,
)
from engine.catalog.host_keys import parse_host_key
from engine.catalog.zones import ensure_zone, get_zone
from engine.store.errors import Kind
from tests.unit.scene import ACTOR, audited, given_credential, given_device, host_key, zone

# `ssh-keygen -t ed25519`, and what `ssh-keygen -l` says of it
REAL_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG++K0GraqqmJYNicdctDd4FLxzJC+Nu/qwYwbwid6zR"
REAL_FINGERPRINT = "SHA256:g528lllLqVZ7Q2H0e0PRNr2KISv8naCTqzMUk34vQio"


@pytest.fixture(autouse=True)
def zone_there(connection: Connection) -> None:
    zone(connection)


def test_a_zone_is_made_once_and_keeps_its_key(connection: Connection) -> None:
    first = ensure_zone(connection, ACTOR, "dmz", b"key")
    assert ensure_zone(connection, ACTOR, "dmz", b"key") == first == get_zone(connection, "dmz")
    assert audited(connection).count(("zone.add", "zone dmz")) == 1


def test_a_zone_with_another_key_is_refused_because_nobody_could_open_its_secrets(
    connection: Connection,
) -> None:
    with pytest.raises(ZoneKeyDiffers, match="zone default is registered with another public key"):
        ensure_zone(connection, ACTOR, "default", b"another")


def test_a_device_is_kept_as_it_was_given(connection: Connection) -> None:
    made = given_device(
        connection,
        "web1",
        address="2001:db8::1",
        ports={"ssh": 22, "https": 443},
        vendor="debian",
        model="12",
        type="server",
        site="berlin",
        domain="corp.example",
        tags=("prod", "linux", "prod"),
        connection_limit=2,
        host_keys=(REAL_KEY + " root@web1",),
    )
    assert made == get_device(connection, "web1")
    assert (made.address, made.ports) == ("2001:db8::1", {"ssh": 22, "https": 443})
    assert (made.vendor, made.model, made.type, made.site) == ("debian", "12", "server", "berlin")
    assert (made.domain, made.tags, made.connection_limit) == ("corp.example", ("linux", "prod"), 2)
    assert (made.zone, made.authority, made.jump, made.paused) == ("default", "web1", None, False)
    assert [(key.line, key.fingerprint, key.trusted_by) for key in made.host_keys] == [
        (REAL_KEY, REAL_FINGERPRINT, ACTOR)
    ]
    assert ("device.add", "device web1") in audited(connection)


def test_device_names_ignore_case_as_host_names_do(connection: Connection) -> None:
    assert given_device(connection, "Web1").name == "web1"
    assert get_device(connection, "WEB1").name == "web1"
    with pytest.raises(DuplicateDevice):
        given_device(connection, "wEb1")


def test_devices_of_one_authority_share_it(connection: Connection) -> None:
    first = given_device(connection, "node1", authority="cluster")
    second = given_device(connection, "node2", authority="CLUSTER")
    assert first.authority_id == second.authority_id


def test_a_duplicate_device_is_refused_naming_the_first(connection: Connection) -> None:
    first = given_device(connection, "web1")
    with pytest.raises(DuplicateDevice) as refused:
        given_device(connection, "web1", address="192.0.2.99")
    assert f"web1 is registered already (id {first.id}, address 192.0.2.10)" in refused.value.message
    assert (refused.value.code, refused.value.kind) == ("duplicate_device", Kind.CONFLICT)


def test_an_unknown_zone_is_refused_naming_those_there_are(connection: Connection) -> None:
    zone(connection, "dmz")
    with pytest.raises(UnknownZone, match=r"there is no zone 'lan'; known zones: default, dmz"):
        given_device(connection, zone="lan")


def test_an_unknown_device_is_refused_saying_how_to_add_one(connection: Connection) -> None:
    with pytest.raises(UnknownDevice, match="there is no device 'web9'; add it with `keyturn device add`"):
        get_device(connection, "web9")


@pytest.mark.parametrize("name", ["", "a b", "-web", "web1@x", "web/1", "wéb", "w" * 300, "web\n"])
def test_a_bad_device_name_is_refused(connection: Connection, name: str) -> None:
    with pytest.raises(BadInput, match="a device name is 1 to 254 letters"):
        given_device(connection, name)


@pytest.mark.parametrize(
    ("ports", "words"),
    [
        ({}, "there is none"),
        ({"ssh": 0}, "from 1 to 65535"),
        ({"ssh": 65536}, "from 1 to 65535"),
        ({"ssh": -1}, "from 1 to 65535"),
        ({"ssh": True}, "whole number"),
        ({"ssh": "22"}, "whole number"),
        ({"ssh": 22.0}, "whole number"),
        ({"s h": 22}, "letters, digits"),
        ({"": 22}, "letters, digits"),
    ],
)
def test_bad_ports_are_refused(connection: Connection, ports: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=f"ports: .*{words}"):
        given_device(connection, ports=ports)


@pytest.mark.parametrize(
    "address", ["192.0.2.1", "::1", "fe80::1%eth0", "web1", "web1.corp.example", "a-b.c_d."]
)
def test_an_address_may_be_ipv4_ipv6_or_a_host_name(connection: Connection, address: str) -> None:
    assert given_device(connection, address=address).address == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        " ",
        "a b",
        "-oProxyCommand=x",
        "192.0.2.256",
        "1.2.3",
        "host:22",
        "a..b",
        "a" * 64,
        "a." * 127 + "b",
        "x\0",
    ],
)
def test_what_is_no_address_is_refused(connection: Connection, address: str) -> None:
    with pytest.raises(BadInput, match="address: this is no IPv4 address, IPv6 address or host name"):
        given_device(connection, address=address)


def test_an_address_in_brackets_is_refused_saying_how_to_write_it(connection: Connection) -> None:
    with pytest.raises(BadInput, match="without brackets"):
        given_device(connection, address="[::1]")


def test_a_path_is_an_address_of_fake_targets_only(connection: Connection) -> None:
    path = "/var/lib/target.sqlite"
    assert given_device(connection, "fake1", address=path, ports={"fake": 1}).address == path
    with pytest.raises(BadInput, match="address of a fake target only"):
        given_device(connection, "web1", address=path)
    with pytest.raises(BadInput, match="control character"):
        given_device(connection, "fake2", address="/tmp/\n", ports={"fake": 1})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vendor", "v" * 65),
        ("site", "be\nrlin"),
        ("model", "\u202e12"),
        ("type", "\0"),
        ("domain", "corp example"),
        ("tags", ("two words",)),
        ("tags", tuple(f"t{number}" for number in range(65))),
        ("connection_limit", 0),
        ("connection_limit", 1001),
    ],
)
def test_a_bad_field_is_refused_by_name(connection: Connection, field: str, value: Any) -> None:
    with pytest.raises(BadInput) as refused:
        given_device(connection, **{field: value})
    assert refused.value.field == field


def test_a_refused_device_leaves_nothing_behind(connection: Connection) -> None:
    with pytest.raises(UnknownCredential), connection.begin_nested():
        given_device(connection, "web1", jump="nobody@web1")
    assert list_devices(connection) == []


def test_devices_are_listed_by_name_and_filtered(connection: Connection) -> None:
    zone(connection, "dmz")
    given_device(connection, "web2", vendor="debian", host_keys=(host_key(),))
    given_device(connection, "web1", vendor="cisco", site="berlin", type="switch")
    given_device(connection, "web3", zone="dmz")

    def names(**wanted: str) -> list[str]:
        return [each.name for each in list_devices(connection, **wanted)]

    assert names() == ["web1", "web2", "web3"]
    assert names(zone_name="dmz") == ["web3"]
    assert names(vendor="debian") == ["web2"]
    assert names(site="berlin", type_name="switch") == ["web1"]
    assert [len(each.host_keys) for each in list_devices(connection)] == [0, 1, 0]


def test_a_trusted_key_replaces_the_one_of_its_type_and_no_other(connection: Connection) -> None:
    old, other, new = host_key(), host_key("ssh-rsa"), host_key(body=b"n" * 32)
    given_device(connection, "web1", host_keys=(old, other))
    assert {key.line for key in trust_host_key(connection, "bob", "web1", new).host_keys} == {other, new}
    assert [key.trusted_by for key in get_device(connection, "web1").host_keys] == [ACTOR, "bob"]
    assert audited(connection)[-1] == ("device.trust", "device web1")


def test_a_consent_is_given_and_withdrawn_by_name_and_audited(connection: Connection) -> None:
    made = given_device(connection, "web1")
    assert (made.cleartext, made.weak_algorithms) == (False, False)
    allowed = set_consents(connection, "bob", "web1", {"weak_algorithms": True})
    assert (allowed.cleartext, allowed.weak_algorithms) == (False, True)
    assert audited(connection)[-1] == ("device.consent", "device web1")
    both = set_consents(connection, "bob", "web1", {"weak_algorithms": False, "cleartext": True})
    assert (both.cleartext, both.weak_algorithms) == (True, False)
    assert given_device(connection, "web2", weak_algorithms=True).weak_algorithms


@pytest.mark.parametrize("consents", [{}, {"paused": True}])
def test_what_is_no_consent_is_refused(connection: Connection, consents: dict[str, bool]) -> None:
    given_device(connection, "web1")
    with pytest.raises(BadInput, match="cleartext, weak_algorithms"):
        set_consents(connection, ACTOR, "web1", consents)


def test_trusting_the_same_key_again_changes_nothing_else(connection: Connection) -> None:
    given_device(connection, "web1", host_keys=(host_key(),))
    assert len(trust_host_key(connection, ACTOR, "web1", host_key()).host_keys) == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "must begin with one of the types"),
        ("ssh-ed25519", "must begin with one of the types"),
        ("web1 " + REAL_KEY, "must begin with one of the types"),
        ("ssh-ed25519 !!!!", "not base64"),
        ("ssh-ed25519 AAA", "not base64"),
        (host_key("ssh-rsa").replace("ssh-rsa", "ssh-ed25519", 1), "the key inside it is of another type"),
        (REAL_KEY[:-8], "cut off"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "cut off"),
        ("ssh-ed25519 AAAA", "cut off"),
        ("ssh-ed25519 " + "A" * 8000, "longer than any host key"),
    ],
)
def test_a_bad_host_key_line_is_refused(connection: Connection, line: str, words: str) -> None:
    given_device(connection, "web1")
    with pytest.raises(BadInput, match=f"host key: .*{words}"):
        trust_host_key(connection, ACTOR, "web1", line)
    assert get_device(connection, "web1").host_keys == ()


def test_a_fingerprint_is_the_one_that_ssh_keygen_shows() -> None:
    assert parse_host_key(REAL_KEY).fingerprint == REAL_FINGERPRINT


def test_a_device_is_paused_with_a_reason_and_resumed(connection: Connection) -> None:
    given_device(connection, "web1")
    paused = pause_device(connection, ACTOR, "web1", "maintenance")
    assert (paused.paused, paused.pause_reason) == (True, "maintenance")
    resumed = resume_device(connection, ACTOR, "web1")
    assert (resumed.paused, resumed.pause_reason) == (False, None)
    assert [action for action, _ in audited(connection)][-2:] == ["device.pause", "device.resume"]


def test_a_paused_device_is_not_paused_again_and_a_running_one_not_resumed(connection: Connection) -> None:
    given_device(connection, "web1")
    with pytest.raises(WrongState, match="web1 is not paused"):
        resume_device(connection, ACTOR, "web1")
    pause_device(connection, ACTOR, "web1", "first")
    with pytest.raises(WrongState, match=r"web1 is paused already \(first\)"):
        pause_device(connection, ACTOR, "web1", "second")


@pytest.mark.parametrize("reason", ["", "  ", "r" * 201, "a\0b"])
def test_a_pause_needs_a_reason_that_can_be_read(connection: Connection, reason: str) -> None:
    given_device(connection, "web1")
    with pytest.raises(BadInput, match="pause_reason"):
        pause_device(connection, ACTOR, "web1", reason)


def test_a_device_is_reached_through_a_jump_host(connection: Connection) -> None:
    given_device(connection, "bastion")
    given_credential(connection, "hop@bastion")
    assert given_device(connection, "web1", jump="hop@bastion").jump == "hop@bastion"
    assert set_jump(connection, ACTOR, "web1", None).jump is None


def test_a_circle_of_jump_hosts_is_refused(connection: Connection) -> None:
    given_device(connection, "a")
    given_credential(connection, "hop@a")
    given_device(connection, "b", jump="hop@a")
    given_credential(connection, "hop@b")
    with pytest.raises(BadInput, match="device a would be reached through itself"):
        set_jump(connection, ACTOR, "a", "hop@b")


def test_a_jump_host_may_be_of_another_zone(connection: Connection) -> None:
    zone(connection, "dmz")
    given_device(connection, "bastion", zone="dmz")
    given_credential(connection, "hop@bastion")
    assert given_device(connection, "web1", jump="hop@bastion").jump == "hop@bastion"
