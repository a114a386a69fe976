"""The list of templates over HTTP says what each was tried on."""

from __future__ import annotations

from sqlalchemy import update

from engine.templating.models import template
from tests.unit.api.conftest import Api

FIELD = {"executor": "ssh", "action": "change_secret", "content": 'expect "#"\nexec "[#NEW_PASSWORD#]"\n'}
NATIVE = 'shell\n  answer "#" set [#NEW_PASSWORD#]\n  until "#"\n'


def tiers(api: Api) -> dict[str, str | None]:
    return {each["name"]: each["tier"] for each in api.get("/templates").json()}


def test_the_list_has_the_tier_and_the_whole_digest(api: Api) -> None:
    listed = {each["name"]: each for each in api.get("/templates").json()}
    assert listed["linux-own-password"]["tier"] == "proven"
    assert listed["juniper-junos-by-administrator"]["tier"] == "emulated"
    assert len(listed["juniper-junos-by-administrator"]["sha256"]) == 64


def test_an_imported_template_is_untried_whatever_it_says(api: Api) -> None:
    header = "---\nname: our/own\nexecutor: ssh\naction: change_secret\nsummary: s\ntier: proven\n"
    native = {"content": header + "tags: {NEW_PASSWORD: secret}\nversion: 1\n---\n" + NATIVE}
    assert api.put("/templates/our/own", native).json()["tier"] is None
    assert api.put("/templates/our/field", FIELD).json()["tier"] is None
    assert tiers(api)["our/own"] is tiers(api)["our/field"] is None


def test_a_header_of_a_newer_release_does_not_spoil_the_list(api: Api) -> None:
    with api.context.database.writing() as connection:
        newer = "---\nname: linux-own-password\nhologram: yes\n---\nrun true\n"
        connection.execute(
            update(template).where(template.c.name == "linux-own-password").values(content=newer)
        )
    assert tiers(api)["linux-own-password"] is None
    assert tiers(api)["linux-by-root"] == "proven"
