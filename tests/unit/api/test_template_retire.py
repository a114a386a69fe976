"""Taking an imported template out of use, over HTTP."""

from __future__ import annotations

from engine.access.service import Role
from tests.unit.api.conftest import Api
from tests.unit.api.test_api import is_problem

OWN = {"executor": "ssh", "action": "change_secret", "content": 'expect "#"\nexec "[#NEW_PASSWORD#]"\n'}


def names(api: Api) -> set[str]:
    return {each["name"] for each in api.get("/templates").json()}


def test_a_renamed_file_leaves_no_old_name_behind(api: Api) -> None:
    api.put("/templates/our/old", OWN)
    api.put("/templates/our/new", OWN)
    gone = api.post("/templates/our/old/retire")
    assert (gone.status_code, gone.json()["name"], gone.json()["version"]) == (200, "our/old", 1)
    assert names(api) & {"our/old", "our/new"} == {"our/new"}
    assert is_problem(api.get("/templates/our/old"), 404, "unknown_template")
    assert is_problem(api.post("/templates/our/old/retire"), 404, "unknown_template")


def test_what_is_used_or_shipped_stays(api: Api) -> None:
    api.put("/templates/our/own", OWN)
    api.given_device()
    api.given_credential(template="our/own")
    refused = api.post("/templates/our/own/retire")
    assert is_problem(refused, 409, "template_in_use")
    assert "svc@web1" in refused.json()["detail"]
    assert is_problem(api.post("/templates/linux-own-password/retire"), 409, "shipped_template")
    assert {"our/own", "linux-own-password"} <= names(api)


def test_only_an_administrator_takes_templates_out_of_use(api: Api) -> None:
    api.put("/templates/our/own", OWN)
    answer = api.call("POST", "/api/v1/templates/our/own/retire", api.token_of(Role.READER))
    assert is_problem(answer, 403, "forbidden")
    assert "our/own" in names(api)


def test_a_template_may_itself_be_called_retire(api: Api) -> None:
    api.put("/templates/our/retire", OWN)
    assert api.post("/templates/our/retire/retire").json()["name"] == "our/retire"
