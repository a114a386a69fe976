"""Template files parse to what they say, or fail with a line and a reason; nothing else comes out."""

from __future__ import annotations

import hashlib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.catalog.states import Action, LoginAs
from engine.templating.header import MAX_BYTES, OPTIONAL, REQUIRED, TemplateFile, Tier, parse_file
from executors.contract import ProofKind, TemplateError, ValueKind

GOOD = """\
---
name: linux-own-password
executor: ssh
action: change_secret
version: 3
summary: The account changes its own password.
platform: linux
login: self
proof: login
tier: emulated
undo: 300
tags:
  USERNAME: username
  new_password: secret
---
exec "passwd"
end
"""


def failure(text: str | bytes) -> TemplateError:
    with pytest.raises(TemplateError) as caught:
        parse_file(text, "x.template")
    return caught.value


def test_a_whole_file_parses() -> None:
    assert parse_file(GOOD, "x.template") == TemplateFile(
        name="linux-own-password",
        executor="ssh",
        action=Action.CHANGE_SECRET,
        body='exec "passwd"\nend\n',
        first_line_of_body=16,
        sha256=hashlib.sha256(GOOD.encode()).hexdigest(),
        version=3,
        summary="The account changes its own password.",
        platform="linux",
        login=LoginAs.SELF,
        proof=ProofKind.LOGIN,
        tier=Tier.EMULATED,
        undo=300,
        tags={"USERNAME": ValueKind.USERNAME, "NEW_PASSWORD": ValueKind.SECRET},
    )


def test_the_body_begins_on_the_line_that_is_named() -> None:
    file = parse_file(GOOD, "x.template")
    assert GOOD.split("\n")[file.first_line_of_body - 1] == file.body.split("\n")[0]


def test_the_body_is_kept_to_the_byte() -> None:
    body = " first\r\n\r\n---\n\tlast  \x1b[0m \u00e9"
    assert parse_file(GOOD.rpartition("---\n")[0] + "---\n" + body, "x").body == body


def test_text_and_bytes_are_one_file() -> None:
    assert parse_file(GOOD, "x") == parse_file(GOOD.encode(), "x")


def test_the_digest_is_over_the_exact_bytes() -> None:
    windows = GOOD.replace("\n", "\r\n").encode()
    marked = b"\xef\xbb\xbf" + GOOD.encode()
    for data in (windows, marked):
        file = parse_file(data, "x")
        assert file.sha256 == hashlib.sha256(data).hexdigest()
        assert file.version == 3
        assert file.summary == "The account changes its own password."


def test_the_optional_keys_may_be_left_out() -> None:
    text = "".join(line for line in GOOD.splitlines(True) if line.split(":")[0] not in OPTIONAL)
    file = parse_file(text, "x")
    assert (file.platform, file.login, file.proof, file.tier, file.undo) == ("", None, None, None, None)


def test_a_template_without_tags_says_so() -> None:
    text = GOOD.replace("tags:\n  USERNAME: username\n  new_password: secret\n", "tags: {}\n")
    assert parse_file(text, "x").tags == {}


@pytest.mark.parametrize("key", REQUIRED)
def test_each_required_key_is_required(key: str) -> None:
    lines = [line for line in GOOD.splitlines(True) if not line.startswith(f"{key}:")]
    if key == "tags":
        lines = [line for line in lines if not line.startswith("  ")]
    assert failure("".join(lines)).reason == f"the header lacks {key}"


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("version: 3", "version: 0", 5, "whole number"),
        ("version: 3", "version: 1.5", 5, "whole number"),
        ("version: 3", "version: three", 5, "whole number"),
        ("version: 3", "version: -1", 5, "whole number"),
        ("version: 3", "version: 9999999999", 5, "whole number"),
        ("version: 3", "version: [3]", 5, "one value"),
        ("version: 3", "version: {a: 3}", 5, "one value"),
        ("version: 3", "version: 3\nversion: 4", 6, "'version' twice"),
        ("version: 3", "version: 3\ncolour: red", 6, "no key 'colour'; known: name"),
        ("version: 3", "version: !!python/object:os.system 3", 5, "anchors, aliases and tags"),
        ("version: 3", "version: &a 3", 5, "anchors, aliases and tags"),
        ("version: 3", "version: *a", 5, "anchors, aliases and tags"),
        ("version: 3", 'version: "\\UFFFFFFFF"', 1, "YAML forbids"),
        ("version: 3", "version: 3\x00", 1, "YAML forbids"),
        ("version: 3", "version: 3\n  bad: indent", 6, "not YAML"),
        ("version: 3", "version: '3", 14, "not YAML"),
        ("name: linux-own-password", "name: Linux Own", 2, "lower-case"),
        ("name: linux-own-password", "name: ../../etc", 2, "lower-case"),
        ("name: linux-own-password", "name:", 2, "printable"),
        ("name: linux-own-password", "? [name]\n: x", 2, "one value"),
        ("executor: ssh", "executor: os.system", 3, "lower-case word"),
        ("action: change_secret", "action: dance", 4, "one of change_secret, verify"),
        ("login: self", "login: nobody", 8, "one of self, root, other"),
        ("proof: login", "proof: hope", 9, "one of login, su, none"),
        ("tier: emulated", "tier: perfect", 10, "one of proven, emulated"),
        ("tier: emulated", "tier: [proven]", 10, "one value"),
        ("undo: 300", "undo: 0", 11, "undo must be whole seconds"),
        ("undo: 300", "undo: 5 minutes", 11, "undo must be whole seconds"),
        ("undo: 300", "undo: 100000", 11, "undo must be whole seconds"),
        ("summary: The account changes its own password.", "summary: |\n  two\n  lines", 6, "printable"),
        ("summary: The", "summary: The" + "e" * 500, 6, "1 to 500"),
        ("  USERNAME: username", "  USERNAME: password", 13, "one of username, hostname"),
        ("  USERNAME: username", "  USER-NAME: username", 13, "letters, digits"),
        ("  USERNAME: username", "  NEW_PASSWORD: secret", 14, "NEW_PASSWORD is declared twice"),
        ("  USERNAME: username", "  USERNAME: [username]", 13, "one value"),
        ("tags:\n  USERNAME: username\n  new_password: secret", "tags: none", 12, "names with their kinds"),
    ],
)
def test_a_wrong_header_names_line_and_reason(old: str, new: str, line: int, reason: str) -> None:
    assert old in GOOD
    error = failure(GOOD.replace(old, new))
    assert reason in error.reason
    assert error.line == line


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 0, "the file is empty"),
        (" \n\t\r\n", 0, "the file is empty"),
        (b"\xef\xbb\xbf", 0, "the file is empty"),
        ("---\nname: x\n", 1, "does not end"),
        ("---\n---\nbody", 2, "key: value"),
        ("---\n- a\n---\nbody", 2, "key: value"),
        ("---\nwords\n---\nbody", 2, "key: value"),
        ("---\na: b\n--- c\n---\nbody", 1, "one YAML document"),
        ("---\n" + "[" * 50_000 + "\n---\nbody", 2, "key: value"),
        ("---\na: " + "{a: " * 50_000 + "\n---\nbody", 2, "one value"),
        (b"first\nsecond \xff", 2, "not UTF-8"),
        ("lone \ud800", 0, "surrogate"),
        ("x" * (MAX_BYTES + 1), 0, "256 KiB"),
        ('exec "passwd"', 1, "no header"),
    ],
)
def test_a_wrong_file_names_line_and_reason(text: str | bytes, line: int, reason: str) -> None:
    error = failure(text)
    assert reason in error.reason
    assert error.line == line


def test_a_header_without_body_is_refused() -> None:
    error = failure(GOOD.rpartition("---\n")[0] + "---\n \n")
    assert error.line == 15
    assert "no body" in error.reason


def test_a_file_without_header_takes_executor_and_action_from_its_folders() -> None:
    text = '# a comment\nexec "passwd [#USERNAME#]"\n'
    file = parse_file(text, "SSH/Change password/Cisco IOS", executor="ssh", action=Action.CHANGE_SECRET)
    assert (file.name, file.executor, file.action) == ("Cisco IOS", "ssh", Action.CHANGE_SECRET)
    assert (file.body, file.first_line_of_body, file.tags) == (text, 1, None)


def test_a_header_wins_over_the_folder() -> None:
    assert parse_file(GOOD, "x", executor="fake", action=Action.VERIFY).executor == "ssh"


YAMLISH = st.text(
    st.sampled_from("---\n\r:{}[],&*!|>'\"%@`#?~ \t\\xuU0123abtruenlsoy.\x00\x85\u2028\ufeff\ud800\u00e9"),
    max_size=120,
)
HEADER_LINES = st.lists(st.sampled_from(GOOD.splitlines(True)) | YAMLISH, max_size=16).map("".join)
FILES = (
    st.binary(max_size=200)
    | YAMLISH
    | HEADER_LINES
    | st.tuples(HEADER_LINES, YAMLISH).map(lambda parts: f"---\n{parts[0]}\n---\n{parts[1]}")
)


def parsed(content: str | bytes) -> TemplateFile | TemplateError:
    try:
        return parse_file(content, "fuzz")
    except TemplateError as error:
        return error


@given(FILES)
@settings(max_examples=2000)
def test_any_file_is_a_template_or_a_template_error(content: str | bytes) -> None:
    result = parsed(content)
    if isinstance(result, TemplateError):
        assert result.reason
        assert 0 <= result.line <= len(content) + 1
    else:
        assert result.tags is not None
        assert result.version >= 1


@given(st.integers(0, len(GOOD)), st.integers(0, 30), YAMLISH)
@settings(max_examples=500)
def test_a_good_file_with_one_wound_is_a_template_or_a_template_error(
    start: int, length: int, wound: str
) -> None:
    result = parsed(GOOD[:start] + wound + GOOD[start + length :])
    assert isinstance(result, TemplateFile) or result.reason


WORDS = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=60)


@given(
    WORDS,
    WORDS,
    st.integers(1, 999_999_999),
    st.sampled_from(Action),
    st.dictionaries(
        st.from_regex(r"[A-Z0-9_]{1,20}", fullmatch=True), st.sampled_from(ValueKind), max_size=5
    ),
)
def test_a_written_header_reads_back(
    summary: str, platform: str, version: int, action: Action, tags: dict[str, ValueKind]
) -> None:
    header = {
        "name": "a-b/c.1", "executor": "ssh", "action": action.value, "version": version, "summary": summary,
        "platform": platform, "tags": {name: kind.value for name, kind in tags.items()},
    }  # fmt: skip
    text = "---\n" + yaml.safe_dump(header, allow_unicode=True) + "---\nbody"
    file = parse_file(text, "x")
    assert (file.summary, file.platform, file.version) == (summary, platform, version)
    assert (file.action, file.tags, file.body) == (action, tags, "body")
