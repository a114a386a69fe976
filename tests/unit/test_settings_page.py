"""The page of settings says what the settings are."""

from __future__ import annotations

from engine.settings import Settings
from tests.write_settings_page import PAGE, page


def test_the_page_about_settings_is_current() -> None:
    assert PAGE.read_text() == page()


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
