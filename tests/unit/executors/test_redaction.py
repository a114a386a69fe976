from __future__ import annotations

import base64
import copy
import html
import json
import pickle
import random
import re
import shlex
import string
import urllib.parse
from collections.abc import Callable, Mapping

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from executors.contract import redaction
from executors.contract.parts import MASK
from executors.contract.redaction import WITHHELD, Redactor
from executors.contract.secret import Secret, SecretMisuse

Encode = Callable[[str], str]


def b64(offset: int, *, url: bool = False, charset: str = "utf-8", tail: int = 0) -> Encode:
    """Base64 of the secret with `offset` bytes before and `tail` after it."""
    encode = base64.urlsafe_b64encode if url else base64.b64encode
    return lambda secret: encode(b"u:x"[:offset] + secret.encode(charset) + b"\n!?"[:tail]).decode()


def percent_all(secret: str) -> str:
    return "".join(f"%{byte:02x}" for byte in secret.encode())


def every_other(escape: Encode, plain: Encode = str) -> Encode:
    return lambda secret: "".join((plain, escape)[index % 2](char) for index, char in enumerate(secret))


def u_escape(char: str) -> str:
    units = char.encode("utf-16-be").hex()
    return "".join("\\u" + units[index : index + 4] for index in range(0, len(units), 4))


def all_u(secret: str) -> str:
    return "".join(map(u_escape, secret))


def powershell(secret: str) -> str:
    return re.sub(r'([`"$])', r"`\1", secret)


ENCODINGS: Mapping[str, Encode] = {
    "raw": str,
    "utf-16le as text": lambda s: s.encode("utf-16-le").decode("latin-1"),
    "utf-8 taken for latin-1": lambda s: s.encode().decode("latin-1"),
    "utf-16le hex": lambda s: s.encode("utf-16-le").hex(),
    **{
        f"base64 {name} {offset}+{tail}": b64(offset, url=url, charset=charset, tail=tail)
        for name, url, charset in (
            ("std", False, "utf-8"),
            ("url", True, "utf-8"),
            ("utf-16le", False, "utf-16-le"),
        )
        for offset in range(3)
        for tail in range(3)
    },
    "base64 unpadded": lambda s: base64.b64encode(s.encode()).decode().rstrip("="),
    "base64 in mime lines": lambda s: base64.encodebytes(b"x" * 70 + s.encode()).decode(),
    "base64 in a query": lambda s: urllib.parse.quote(base64.b64encode(s.encode()).decode(), safe=""),
    "base64 in php json": lambda s: base64.b64encode(s.encode()).decode().replace("/", "\\/"),
    "percent": urllib.parse.quote,
    "percent, all reserved": lambda s: urllib.parse.quote(s, safe=""),
    "percent, component": lambda s: urllib.parse.quote(s, safe="!'()*~"),
    "percent, lower case": lambda s: re.sub("%..", lambda m: m[0].lower(), urllib.parse.quote(s, safe="")),
    "percent, every byte": percent_all,
    "percent, twice": lambda s: urllib.parse.quote(urllib.parse.quote(s, safe="")),
    "form": urllib.parse.quote_plus,
    "json": json.dumps,
    "json, unicode": lambda s: json.dumps(s, ensure_ascii=False),
    "json, slash escaped": lambda s: json.dumps(s).replace("/", "\\/"),
    "json in json": lambda s: json.dumps({"body": json.dumps({"password": s})}),
    "json, html safe": lambda s: re.sub("[<>&']", lambda m: u_escape(m[0]), json.dumps(s)),
    "\\u, all": all_u,
    "\\u, upper case": lambda s: re.sub(r"\\u(....)", lambda m: "\\u" + m[1].upper(), all_u(s)),
    "\\u, every other": every_other(u_escape, lambda char: char.replace("\\", "\\\\")),
    "python repr": repr,
    "python bytes repr": lambda s: repr(s.encode()),
    "c octal": lambda s: "".join(f"\\{byte:03o}" for byte in s.encode()),
    "html": html.escape,
    "html, text only": lambda s: html.escape(s, quote=False),
    "xml apos": lambda s: html.escape(s).replace("&#x27;", "&apos;"),
    "html, decimal": lambda s: "".join(f"&#{ord(char)};" for char in s),
    "html, hexadecimal": lambda s: "".join(f"&#x{ord(char):X};" for char in s),
    "html, every other, padded": every_other(lambda char: f"&#{ord(char):05d};"),
    "posix, shlex": shlex.quote,
    "posix, single": lambda s: "'" + s.replace("'", "'\\''") + "'",
    "posix, double": lambda s: '"' + re.sub(r'([$`"\\])', r"\\\1", s) + '"',
    "posix, backslash": lambda s: re.sub(r"([^A-Za-z0-9_.-])", r"\\\1", s),
    "backslash, all": lambda s: "".join("\\" + char for char in s),
    "powershell, single": lambda s: "'" + s.replace("'", "''") + "'",
    "powershell, double": lambda s: '"' + powershell(s) + '"',
    "cmd": lambda s: re.sub(r'([&|<>^"()%!])', r"^\1", s),
    "sql": lambda s: "'" + s.replace("'", "''") + "'",
    "sql identifier": lambda s: '"' + s.replace('"', '""') + '"',
    "regular expression": re.escape,
    "sed": lambda s: re.sub(r"([][\\/.*^$&])", r"\\\1", s),
    "hex": lambda s: s.encode().hex(),
    "hex, upper case": lambda s: s.encode().hex().upper(),
    "hex with colons": lambda s: s.encode().hex(":"),
    "hex with dashes": lambda s: s.encode().hex("-").upper(),
    "\\x": lambda s: "".join(f"\\x{byte:02x}" for byte in s.encode()),
    "wrapped by cr lf": lambda s: "\r\n".join(s[index : index + 5] for index in range(0, len(s), 5)),
    "wrapped by erase": lambda s: "\r\n\x1b[K".join([s[:3], s[3:]]),
    "wrapped by readline": lambda s: " \r".join([s[:4], s[4:]]),
    "coloured": "\x1b[1;31m".join,
    "with a title inside": lambda s: "\x1b]0;host\x07".join([s[:2], s[2:]]),
    "behind a stray escape": lambda s: "\x1b[" + s,
    "echoed with nuls": "\0".join,
}

SYMBOLS = string.ascii_letters + string.digits + string.punctuation
NOISE = string.ascii_lowercase + " \n"


def leaks(encode: Encode, secret: str, text: str) -> bool:
    return secret in text or encode(secret) in text


def noise(source: random.Random) -> str:
    return "".join(source.choices(NOISE, k=source.randrange(60)))


@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_random_secrets_leave_nothing_in_any_encoding_at_any_place(seed: int) -> None:
    source = random.Random(seed)
    for _ in range(100):
        secret = "".join(source.choices(SYMBOLS, k=source.randint(6, 32)))
        names = source.sample(sorted(ENCODINGS), k=len(ENCODINGS))
        around = [(noise(source) + "→", "\r\n←" + noise(source)) for _ in names]
        pieces = [
            before + ENCODINGS[name](secret) + after
            for name, (before, after) in zip(names, around, strict=True)
        ]
        results = Redactor([Secret(secret)]).redact("¶".join(pieces)).split("¶")
        for name, result, (before, after) in zip(names, results, around, strict=True):
            encoded = ENCODINGS[name](secret)
            assert MASK in result, (name, encoded)
            assert not leaks(ENCODINGS[name], secret, result), (name, encoded)
            assert result.startswith(before), name
            assert result.endswith(after), name
            kept = len(result) - len(before) - len(after) - len(MASK)
            assert kept <= max(12, len(encoded) - len(secret)), name


plain_secrets = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=6, max_size=30)


@settings(max_examples=400)
@given(secret=plain_secrets, name=st.sampled_from(sorted(set(ENCODINGS) - {"behind a stray escape"})))
@example(secret="''abc''", name="posix, shlex")
@example(secret="''abc''", name="posix, single")
@example(secret="'" * 9, name="sql")
@example(secret="\\" * 9, name="json in json")
@example(secret="pä\u00dfwörd\U0001f511", name="\\u, all")
@example(secret="+ + +%20", name="form")
@example(secret="&amp;&amp;", name="html")
def test_any_printable_secret_is_found_in_any_encoding(secret: str, name: str) -> None:
    assume(len(secret.strip()) == len(secret))
    encoded = ENCODINGS[name](secret)
    if name in ("utf-16le as text", "utf-8 taken for latin-1"):
        assume(sum(char >= " " for char in encoded) >= redaction.SHORTEST_ENCODED)
    result = Redactor([Secret(secret)]).redact(f"before {encoded} after")
    assert MASK in result
    assert encoded not in result.replace(MASK, "")


@given(st.text(), st.lists(plain_secrets, max_size=3))
def test_any_text_is_redacted_without_an_error(text: str, secrets: list[str]) -> None:
    result = Redactor(map(Secret, secrets)).redact(text)
    assert result != WITHHELD
    for secret in secrets:
        assert secret not in result.replace(MASK, "\n")


@given(st.text(st.sampled_from("abcdefgh \n\\%&'\"`^+\x1b[;")))
def test_a_text_without_the_secret_is_left_as_it_is(text: str) -> None:
    assert Redactor([Secret("ZZ-TOP-1970")]).redact(text) == text


def test_without_secrets_the_text_is_left_as_it_is() -> None:
    assert Redactor([]).redact("as it is") == "as it is"
    assert Redactor([Secret("")]).redact("as it is") == "as it is"


def test_overlapping_secrets_leave_no_rest() -> None:
    redactor = Redactor([Secret("abcdef"), Secret("defghi"), Secret("abcdefgh")])
    assert redactor.redact("x abcdefghi y") == f"x {MASK} y"


def test_repeated_and_self_overlapping_secrets_leave_no_rest() -> None:
    redactor = Redactor([Secret("abcabc")])
    assert redactor.redact("abcabcabc abcabc") == f"{MASK} {MASK}"


def test_the_characters_that_share_bits_with_an_unaligned_secret_go_too() -> None:
    encoded = base64.b64encode(b"user:hunter2hunter2:more").decode()
    result = Redactor([Secret("hunter2hunter2")]).redact(f"Basic {encoded} ok")
    kept_before, kept_after = result.removeprefix("Basic ").removesuffix(" ok").split(MASK)
    assert base64.b64decode(kept_before + "A" * (-len(kept_before) % 4))[:4] == b"user"
    assert encoded.startswith(kept_before)
    assert encoded.endswith(kept_after)
    assert len(kept_before) * 6 <= len("user:") * 8
    assert len(kept_after) * 6 <= len(":more") * 8


def test_a_short_secret_takes_its_whole_line() -> None:
    text = "one\r\nenter abc12 now\r\nthree\r\n"
    assert Redactor([Secret("abc12")]).redact(text) == f"one\r\n{MASK}\nthree\r\n"


def test_a_short_secret_on_the_first_and_last_line_takes_those() -> None:
    assert Redactor([Secret("abc")]).redact("abc\nmiddle\nabc") == f"{MASK}\nmiddle\n{MASK}"


def test_a_wrapped_short_secret_takes_both_lines() -> None:
    assert Redactor([Secret("abc12")]).redact("one\nxab\nc12y\ntwo") == f"one\n{MASK}\ntwo"


@pytest.mark.parametrize("form", ["%61bc12", "YWJjMTI=", "6162633132", "&#97;bc12"])
def test_a_short_secret_in_another_form_takes_its_line_too(form: str) -> None:
    assert Redactor([Secret("abc12")]).redact(f"one\n{form}\ntwo") == f"one\n{MASK}\ntwo"


KEY = "\n".join(
    [
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        *(random.Random(number).choices(SYMBOLS[:62], k=1)[0] * 3 + f"{number:040d}" for number in range(5)),
        "QUJD",
        "-----END OPENSSH PRIVATE KEY-----",
        "",
    ]
)


def test_each_line_of_a_key_is_masked_by_itself() -> None:
    lines = KEY.splitlines()
    redactor = Redactor([Secret(KEY)])
    for line in lines[1:-2]:
        assert redactor.redact(f"line 3: {line} <") == f"line 3: {MASK} <"
    assert redactor.redact(lines[0]) == lines[0]


@pytest.mark.parametrize(
    "name", ["raw", "json", "python repr", "base64 std 1+1", "base64 in mime lines", "hex", "form"]
)
def test_a_whole_key_is_masked_in_other_forms(name: str) -> None:
    result = Redactor([Secret(KEY)]).redact(f"[{ENCODINGS[name](KEY)}]")
    assert MASK in result
    assert not any(line in result for line in KEY.splitlines() if not line.startswith("-----"))
    assert len(result) < 120


def test_a_key_echoed_with_carriage_returns_is_masked() -> None:
    result = Redactor([Secret(KEY)]).redact(KEY.replace("\n", "\r\n"))
    assert not any(line in result for line in KEY.splitlines() if not line.startswith("-----"))


@pytest.mark.parametrize(
    "secret", ["ab\udc80cdefg", "\udcff" * 8, "\ud83d" * 6, "tab\tand\nline", "\x1b[K" * 3, "\0" * 8]
)
def test_odd_secrets_are_masked_or_harmless(secret: str) -> None:
    result = Redactor([Secret(secret)]).redact(f"one\n{secret}\ntwo")
    assert result != WITHHELD
    assert result.replace("\x1b", "") == f"one\n{MASK}\ntwo" or not secret.strip("\0")


def test_control_characters_alone_are_no_secret_to_look_for() -> None:
    assert Redactor([Secret("\r\n\0")]).redact("one\r\n\0two") == "one\r\n\0two"


def test_whatever_fails_the_text_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise RuntimeError("hunter2hunter2")

    redactor = Redactor([Secret("hunter2hunter2")])
    monkeypatch.setattr(redaction, "_masked", fail)
    assert redactor.redact("the secret is hunter2hunter2") == WITHHELD


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_redactor_cannot_be_pickled_or_copied(leak: Callable[[Redactor], object]) -> None:
    with pytest.raises(SecretMisuse):
        leak(Redactor([Secret("hunter2hunter2")]))


def test_a_redactor_does_not_print_its_secrets() -> None:
    assert "hunter2" not in repr(Redactor([Secret("hunter2hunter2")]))


@pytest.mark.parametrize(
    "text",
    [
        *(piece * 50_000 for piece in ("\\", "%", "&", "'", "a")),
        *(piece * 25_000 for piece in ("\x1b]", "\x1bP", "\x1b[", "`^", " \r", "&#", "\\u", "%u", "'\"")),
        *(piece * 8_000 for piece in ("aaaaa\n", "\x1b[0;0;0", "'\"'\"'")),
    ],
)
def test_hostile_texts_are_finished(text: str) -> None:
    assert Redactor([Secret("aaaaaaaaab"), Secret("\\" * 9 + "x"), Secret("'a")]).redact(text) != WITHHELD


def test_what_is_added_to_a_redactor_is_masked_beside_what_it_masked() -> None:
    redactor = Redactor([Secret("second-4711")], Redactor([Secret("first-0815")]))
    assert redactor.redact("first-0815 and second-4711") == f"{MASK} and {MASK}"


@pytest.mark.parametrize("many", [1, 60])
def test_however_many_secrets_are_hidden_each_is_found_in_short_and_long_texts(many: int) -> None:
    secrets = [Secret(f"s{number}-\u017c\u00f3{number:03}x") for number in range(many)] + [
        Secret("q7"),
        Secret("zz 9 a+b"),
    ]
    redactor = Redactor(secrets)
    for secret in secrets:
        for text in (
            secret.reveal(),
            f"<{secret.reveal().encode().hex()}>",
            urllib.parse.quote_plus(secret.reveal()),
        ):
            for around in ("", "a line of output\n" * 400):
                result = redactor.redact(f"{around}{text}{around}")
                assert text not in result
                assert MASK in result
