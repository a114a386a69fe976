"""Writes docs/templates.md from the code: `.venv/bin/python -m tests.write_templates_page`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from engine.catalog.profiles import SHIPPED
from engine.templating.header import OPTIONAL, REQUIRED, TemplateFile, Tier
from engine.templating.library import shipped
from engine.templating.tags import TAGS
from executors.ssh import grammar
from executors.ssh.encoders import ENCODERS

PAGE = Path(__file__).parents[1] / "docs" / "templates.md"

HEAD = """\
# Templates

Generated from the code: `.venv/bin/python -m tests.write_templates_page`.

A template says how one action is carried out on one kind of target. It is a file: a header between two
lines `---`, and a body in the language of its executor. Files without a header are in the field's own
language; they are imported (`keyturn template import`), and what is doubtful about them is on
[a page of its own](findings.md). `keyturn template list` shows the templates in use with their tier and
SHA-256, `keyturn template show NAME` the text of one.

## The header

"""

KEYS = {
    "name": "lower-case words joined by `-`, `.` or `/`; other templates and profiles name it so",
    "executor": "whose language the body is in",
    "action": "what it does, such as `change_secret`",
    "version": "a whole number; a changed file is a new version, whatever it says here",
    "summary": "one sentence for people",
    "tags": "the tags that the body uses, each with its kind: `{NEW_PASSWORD: secret}`",
    "platform": "for what product it was written",
    "login": "who logs in: the account itself (`self`), `root`, or another account (`other`)",
    "proof": "how the new secret is proven; what the profile says must agree",
    "tier": "what it was tried on, see below; without it: nothing",
    "undo": "seconds after which the target undoes the change by itself, unless `[persist]` confirms it",
}

TIERS = {
    Tier.PROVEN: "runs in our tests against the real product.",
    Tier.EMULATED: (
        "runs in our tests against an emulation, whose words are from manuals and memory. "
        "A policy may use it after a trial on a real device: `keyturn template trial NAME USER@DEVICE` "
        "changes one credential with it and records the success."
    ),
}

GRAMMAR = """\

## The language of native ssh templates

```
{grammar}
```

A section runs its commands in their order and stops at the first that does not end well. `[status]` changes
nothing and runs first; `[change]` runs once; `[persist]` runs after the proof, over the same connection, and
makes permanent what was proven.

In a `shell`, what the device says last is its prompt. A banner, a bar of hashes or a password that looks like
a prompt is none: of what comes before a line that was typed is repeated, only the very last counts. A shell
with `until` stays where it is, and the next `shell` goes on there: devices give one session, and end the
connection with it.

Of refusals that begin at the same place the longest counts: a general one, such as
`refuse script_mismatch "\\n% "`, stands beside those that say more.

## Encoders

A value is written so that the place where it stands reads it as one value, or it is refused before anything
is sent. Without an encoder a command takes values as `sh`, a line that is typed as `line`, a text that is
looked for as `raw`.

"""

PROFILE = {
    "name": "routers",
    "executor": "ssh",
    "service": "ssh",
    "priority": 1,
    "login": "other",
    "match": {"kind": "password", "vendor": "Cisco", "model": "IOS"},
    "templates": {"change_secret": "cisco-ios-by-administrator-enable"},
}

LIBRARY = """\

## The library

Devices whose record names a vendor and a model of this table (`device add --vendor V --model M`, in any case)
are served by a shipped profile, others of Linux by those that ask for nothing.

| vendor | model | profiles, called as their templates are |
| --- | --- | --- |
{products}
Of two that fit, one that was added with `keyturn profile add` and a higher priority wins. Where a template
takes on rights (`BECOME_PASSWORD`), the credential says whose, with `--become`: on routers the enable secret,
a credential of its own.

```json
{profile}
```

"""


def page() -> str:
    keys = "".join(f"| `{key}` | {_needed(key)} | {KEYS[key]} |\n" for key in REQUIRED + OPTIONAL)
    tiers = "".join(f"- **{tier}** {TIERS[tier]}\n" for tier in Tier)
    said = GRAMMAR.format(grammar=inspect.cleandoc(grammar.__doc__ or ""))
    tags = "".join(f"| `{spec.name}` | {spec.kind} | {spec.meaning} |\n" for spec in TAGS.values())
    return "".join(
        (
            HEAD,
            "| key | | meaning |\n| --- | --- | --- |\n",
            keys,
            "\n## Tags\n\n`[#NAME#]` is a value, `[#NAME|encoder#]` one that an encoder writes.\n\n",
            "| tag | kind | value |\n| --- | --- | --- |\n",
            tags,
            "\n## Tiers\n\n",
            tiers,
            said,
            "".join(f"- `{name}`: {_on_one_line(encode.__doc__)}\n" for name, encode in ENCODERS.items()),
            LIBRARY.format(products="".join(_products()), profile=json.dumps(PROFILE, indent=1)),
            *map(_platform, _by_platform(shipped())),
        )
    )


def _products() -> Iterator[str]:
    """Rows of the table, in the order in which profiles are shipped."""
    served: dict[tuple[str | None, str | None], list[str]] = {}
    for each in SHIPPED:
        if each.match.vendor is not None:
            served.setdefault((each.match.vendor, each.match.model), []).append(each.name)
    for (vendor, model), names in served.items():
        yield f"| {vendor} | {model} | {', '.join(f'`{name}`' for name in names)} |\n"


def _needed(key: str) -> str:
    return "needed" if key in REQUIRED else ""


def _on_one_line(text: str | None) -> str:
    return " ".join(inspect.cleandoc(text or "").split())


def _by_platform(files: Iterable[TemplateFile]) -> list[tuple[str, list[TemplateFile]]]:
    ordered = sorted(
        (file for file in files if file.tier is not None), key=lambda file: (file.platform, file.name)
    )
    return [(name, list(group)) for name, group in groupby(ordered, key=lambda file: file.platform)]


def _platform(group: tuple[str, list[TemplateFile]]) -> str:
    name, files = group
    return f"### {name}\n\n{''.join(map(_entry, files))}\n"


def _entry(file: TemplateFile) -> str:
    undo = f", undone after {file.undo} s unless confirmed" if file.undo else ""
    return f"- **`{file.name}`** ({file.action}, login {file.login}, {file.tier}{undo}) {file.summary}\n"


if __name__ == "__main__":
    PAGE.write_text(page())
