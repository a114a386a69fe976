"""Writes docs/findings.md from the rules: `.venv/bin/python -m tests.write_findings_page`."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from executors.language.findings import ALL, Rule

PAGE = Path(__file__).parents[1] / "docs" / "findings.md"

HEAD = """\
# What `keyturn template lint` finds

Generated from the code: `.venv/bin/python -m tests.write_findings_page`.

Each finding has a stable code and the line that it is about. An *error* cannot be run as it stands; a
*warning* runs, and a person should look at it first; a *note* changes nothing. The status of a file is
`error`, `warning` or `ok`: notes leave it `ok`.

"""


def page() -> str:
    groups = groupby(ALL, key=lambda rule: rule.group)
    return HEAD + "\n".join(f"## {name}\n\n{''.join(map(_entry, rules))}" for name, rules in groups)


def _entry(rule: Rule) -> str:
    sentence = rule.sentence[0].upper() + rule.sentence[1:]
    return f"**`{rule.code}`** ({rule.severity}) {sentence}.\n*Mend:* {rule.mend}\n\n"


if __name__ == "__main__":
    PAGE.write_text(page())
