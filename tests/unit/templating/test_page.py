"""docs/templates.md is what the code says."""

from __future__ import annotations

from engine.catalog.profiles import Profile
from engine.templating.header import OPTIONAL, REQUIRED
from engine.templating.library import shipped
from executors.ssh.encoders import ENCODERS
from tests.write_templates_page import KEYS, PAGE, PROFILE, page


def test_the_page_is_written_anew_when_the_code_changes() -> None:
    assert PAGE.read_text() == page(), "write it: python -m tests.write_templates_page"


def test_the_page_explains_every_key_every_encoder_and_every_template() -> None:
    assert KEYS.keys() == {*REQUIRED, *OPTIONAL}
    text = page()
    assert all(encode.__doc__ for encode in ENCODERS.values())
    assert all(f"**`{file.name}`**" in text for file in shipped() if file.tier)


def test_the_profile_on_the_page_can_be_added() -> None:
    profile = Profile.model_validate(PROFILE)
    by_name = {file.name: file for file in shipped()}
    for action, name in profile.templates.items():
        file = by_name[name]
        assert (file.executor, file.action, file.login) == (profile.executor, action, profile.login)
        assert file.proof is profile.proof
