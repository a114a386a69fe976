"""A generated key is what ssh itself takes, and its public half is found whatever form it came in."""

from __future__ import annotations

from typing import get_args

import pytest
from cryptography.hazmat.primitives import serialization

from engine.catalog.policies import PolicyData
from engine.catalog.ssh_keys import KeyType, generate_key, public_key
from executors.contract import Secret

TYPES = {
    "ed25519": "ssh-ed25519",
    "ecdsa-p256": "ecdsa-sha2-nistp256",
    "ecdsa-p384": "ecdsa-sha2-nistp384",
    "rsa-3072": "ssh-rsa",
    "rsa-4096": "ssh-rsa",
}


@pytest.mark.parametrize("kind", get_args(KeyType))
def test_every_kind_of_key_is_made_and_read_by_its_public_half(kind: KeyType) -> None:
    made = generate_key(kind)
    public = public_key(made)
    assert public is not None
    assert public.split()[0] == TYPES[kind]
    assert len(public.split()) == 2


def test_two_keys_are_never_the_same() -> None:
    assert len({public_key(generate_key("ed25519")) for _ in range(20)}) == 20


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
def test_a_key_in_another_form_is_the_same_key(form: serialization.PrivateFormat) -> None:
    made = generate_key("ecdsa-p256")
    key = serialization.load_ssh_private_key(made.reveal().encode(), None)
    text = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
    assert public_key(Secret(text)) == public_key(made)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a password",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "\ud800",
    ],
)
def test_what_is_no_key_has_no_public_half(text: str) -> None:
    assert public_key(Secret(text)) is None


def test_a_key_with_a_passphrase_has_none_either() -> None:
    key = serialization.load_ssh_private_key(generate_key("ed25519").reveal().encode(), None)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH)
    locked = key.private_bytes(*form, serialization.BestAvailableEncryption(b"canary")).decode()
    assert public_key(Secret(locked)) is None


def test_a_policy_that_says_nothing_of_keys_asks_for_ed25519() -> None:
    assert PolicyData.model_validate({}).ssh_key == "ed25519"
    assert PolicyData.model_validate({"ssh_key": "rsa-3072"}).ssh_key == "rsa-3072"
    with pytest.raises(ValueError, match="ssh_key"):
        PolicyData.model_validate({"ssh_key": "dsa"})
