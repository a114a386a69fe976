from __future__ import annotations

import traceback
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.vault.errors import CannotSeal, SealBroken, UnknownFormat, VaultError, WrongKey
from engine.vault.sealing import (
    Context,
    Purpose,
    key_id,
    open_bytes,
    open_sealed,
    reseal,
    seal,
    seal_bytes,
    sealed_to,
)
from executors.contract.secret import Secret

ZONE = X25519PrivateKey.generate()
OTHER = X25519PrivateKey.generate()
CONTEXT = Context("dir.example", "svc-backup", "password", 7, Purpose.SECRET)

any_name = st.text(max_size=20)
contexts = st.builds(
    Context, any_name, any_name, any_name, st.integers(-(2**70), 2**70), st.sampled_from(list(Purpose))
)


@given(text=st.text(), context=contexts)
def test_any_secret_opens_again_in_its_own_context(text: str, context: Context) -> None:
    blob = seal(Secret(text), ZONE.public_key(), context)
    assert open_sealed(blob, ZONE, context) == Secret(text)


@given(payload=st.binary(), context=contexts)
def test_any_bytes_open_again_in_their_own_context(payload: bytes, context: Context) -> None:
    assert open_bytes(seal_bytes(payload, ZONE.public_key(), context), ZONE, context) == payload


@given(one=contexts, other=contexts)
def test_a_value_of_one_context_does_not_open_in_another(one: Context, other: Context) -> None:
    assume(one != other)
    assert one.encoded() != other.encoded()
    with pytest.raises(SealBroken):
        open_sealed(seal(Secret("hunter2hunter2"), ZONE.public_key(), one), ZONE, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (replace(CONTEXT, authority="a", account="bc"), replace(CONTEXT, authority="ab", account="c")),
        (
            replace(CONTEXT, credential="password", version=12),
            replace(CONTEXT, credential="password1", version=2),
        ),
        (replace(CONTEXT, authority="a\0b", account=""), replace(CONTEXT, authority="a", account="b")),
        (replace(CONTEXT, account="\udc80"), replace(CONTEXT, account="\udc81")),
    ],
)
def test_contexts_that_look_alike_when_joined_encode_differently(one: Context, other: Context) -> None:
    assert one.encoded() != other.encoded()


def test_every_flipped_bit_is_refused() -> None:
    blob = seal(Secret("hunter2hunter2"), ZONE.public_key(), CONTEXT)
    for position in range(len(blob) * 8):
        flipped = bytearray(blob)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises((SealBroken, WrongKey, UnknownFormat)):
            open_sealed(bytes(flipped), ZONE, CONTEXT)


def test_every_shortened_blob_and_every_tail_is_refused() -> None:
    blob = seal(Secret("hunter2hunter2"), ZONE.public_key(), CONTEXT)
    for length in range(len(blob)):
        with pytest.raises((SealBroken, UnknownFormat)):
            open_sealed(blob[:length], ZONE, CONTEXT)
    with pytest.raises(SealBroken):
        open_sealed(blob + b"\0", ZONE, CONTEXT)


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_with_a_typed_error(junk: bytes) -> None:
    header = b"\1" + bytes.fromhex(key_id(ZONE.public_key()))
    for blob in (junk, b"\1" + junk, header + junk):
        with pytest.raises(VaultError):
            open_sealed(blob, ZONE, CONTEXT)


def test_swapping_the_blobs_of_two_rows_is_refused_in_both() -> None:
    first, second = replace(CONTEXT, account="alice"), replace(CONTEXT, account="mallory")
    rows = {
        first: seal(Secret("alices-secret"), ZONE.public_key(), second),
        second: seal(Secret("mallorys-secret"), ZONE.public_key(), first),
    }
    for context, blob in rows.items():
        with pytest.raises(SealBroken, match="belongs to another"):
            open_sealed(blob, ZONE, context)


def test_a_wrapped_key_moved_to_another_text_is_refused() -> None:
    one = seal(Secret("same-length-1"), ZONE.public_key(), CONTEXT)
    two = seal(Secret("same-length-2"), ZONE.public_key(), CONTEXT)
    cut = len(one) - len("same-length-1") - 16 - 12
    with pytest.raises(SealBroken):
        open_sealed(one[:cut] + two[cut:], ZONE, CONTEXT)


def test_another_zones_key_is_refused_by_name() -> None:
    blob = seal(Secret("hunter2hunter2"), ZONE.public_key(), CONTEXT)
    with pytest.raises(WrongKey) as caught:
        open_sealed(blob, OTHER, CONTEXT)
    assert caught.value.needed == key_id(ZONE.public_key()) == sealed_to(blob)
    assert caught.value.given == key_id(OTHER.public_key())
    assert caught.value.needed in str(caught.value)


@pytest.mark.parametrize("blob", [b"", b"\0", b"\1", b"\2" + bytes(200), b"{}"])
def test_what_is_not_sealed_is_an_unknown_format(blob: bytes) -> None:
    with pytest.raises(UnknownFormat):
        sealed_to(blob)


def test_sealing_the_same_twice_gives_different_bytes() -> None:
    blobs = {seal(Secret("hunter2hunter2"), ZONE.public_key(), CONTEXT) for _ in range(20)}
    assert len(blobs) == 20


def test_resealing_moves_a_secret_to_another_key_and_context() -> None:
    there = replace(CONTEXT, purpose=Purpose.REVEAL)
    blob = seal(Secret("hunter2hunter2"), ZONE.public_key(), CONTEXT)
    moved = reseal(blob, ZONE, CONTEXT, OTHER.public_key(), there)
    assert open_sealed(moved, OTHER, there) == Secret("hunter2hunter2")
    with pytest.raises(SealBroken):
        open_sealed(moved, OTHER, CONTEXT)
    with pytest.raises(WrongKey):
        open_sealed(moved, ZONE, there)


def test_an_unusable_public_key_is_refused() -> None:
    with pytest.raises(CannotSeal, match="X25519"):
        seal(Secret("hunter2hunter2"), X25519PublicKey.from_public_bytes(bytes(32)), CONTEXT)


def test_no_error_holds_the_secret_anywhere() -> None:
    blob = seal_bytes(b"hunter2\xff", ZONE.public_key(), CONTEXT)
    for attempt in (
        lambda: seal(Secret("hunter2\udc80"), ZONE.public_key(), CONTEXT),
        lambda: open_sealed(seal(Secret("hunter2"), ZONE.public_key(), CONTEXT), OTHER, CONTEXT),
        lambda: open_sealed(blob, ZONE, replace(CONTEXT, version=8)),
    ):
        with pytest.raises(VaultError) as caught:
            attempt()
        error: BaseException | None = caught.value
        while error is not None:
            assert "hunter2" not in "".join(map(str, (error.args, vars(error), getattr(error, "object", ""))))
            assert "hunter2" not in "".join(traceback.format_exception_only(error))
            error = error.__context__


def test_a_large_transcript_round_trips() -> None:
    text = bytes(range(256)) * 4096
    context = replace(CONTEXT, purpose=Purpose.TRANSCRIPT)
    assert open_bytes(seal_bytes(text, ZONE.public_key(), context), ZONE, context) == text
