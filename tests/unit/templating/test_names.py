"""Names of imported templates: legal, one for each file, the same at every import."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.templating.header import LEGAL_NAME
from engine.templating.names import LONGEST, names_of

FOLDERS = "SSH/Change password/"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Linux - Own password", "linux-own-password"),
        ("F5  BIG IP", "f5-big-ip"),
        ("HP Integrated Lights-Out (iLO)'", "hp-integrated-lights-out-ilo"),
        ("Admin + Expert", "admin-expert"),
        ("Estação Größe", "estacao-grosse"),
        ("release 1.2", "release-1-2"),
    ],
)
def test_names_say_folders_and_file(file: str, name: str) -> None:
    assert names_of([FOLDERS + file]) == {FOLDERS + file: "ssh/change-password/" + name}
    assert names_of([FOLDERS + file], "our/own")[FOLDERS + file] == "our/own/ssh/change-password/" + name


def test_files_that_would_share_a_name_all_get_another_that_stays() -> None:
    one, two = FOLDERS + "A+", FOLDERS + "A-"
    both = names_of([one, two])
    assert len({*both.values(), "ssh/change-password/a"}) == 3
    assert names_of([two, one, FOLDERS + "B"]) == {**both, FOLDERS + "B": "ssh/change-password/b"}
    assert names_of(["/elsewhere/" + one, two])["/elsewhere/" + one] == both[one]


@given(st.lists(st.text(st.characters(exclude_characters="/\0"), min_size=1), unique=True))
def test_every_name_is_legal_and_unique(files: list[str]) -> None:
    paths = ["/x/" + FOLDERS + name for name in files if name not in (".", "..")]
    named = names_of(paths)
    assert len(set(named.values())) == len(paths)
    assert all(LEGAL_NAME.fullmatch(name) and len(name) <= LONGEST for name in named.values())
