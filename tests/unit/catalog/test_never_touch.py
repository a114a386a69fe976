"""Accounts whose secret something else owns are refused, with the reason."""

from __future__ import annotations

import pytest

from engine.catalog.never_touch import BY_HINT, Hint, never_touch


@pytest.mark.parametrize(
    "username",
    [
        "krbtgt",
        "KRBTGT",
        "krbtgt_12345",
        "krbtgt@corp.example",
        r"CORP\krbtgt",
        "web1$",
        "web1$@corp.example",
        r"CORP\gmsa_sql$",
        "web1\uff04",
        "MSOL_0123456789ab",
        "msol_x",
        "AZUREADSSOACC",
        "AZUREADSSOACC$",
        "HealthMailbox1234",
        "##MS_PolicyEventProcessingLogin##",
        "rdsadmin",
        "vpxuser",
    ],
)
def test_accounts_on_the_list_are_never_touched(username: str) -> None:
    reason = never_touch(username)
    assert reason is not None
    assert reason.startswith("this account is never changed: ")


@pytest.mark.parametrize(
    "username", ["root", "ann", "administrator", "cash$flow", "myvpxuser", "xkrbtgt", "msol", "rdsadmin2"]
)
def test_other_accounts_may_be_changed(username: str) -> None:
    assert never_touch(username) is None


@pytest.mark.parametrize("vendor", ["aws", "AWS", "Amazon", "gcp", "azure"])
def test_the_root_of_a_cloud_account_is_not_the_root_of_a_host(vendor: str) -> None:
    assert never_touch("root", vendor=vendor) is not None
    assert never_touch("root", vendor="debian") is None


@pytest.mark.parametrize("hint", list(Hint))
def test_each_hint_forbids_any_name_and_says_why(hint: Hint) -> None:
    assert never_touch("ann", hints=frozenset({hint})) == f"this account is never changed: {BY_HINT[hint]}"


def test_the_local_account_of_a_domain_controller_is_refused_because_it_is_the_domains() -> None:
    reason = never_touch("Administrator", hints=frozenset({Hint.LOCAL_ON_DOMAIN_CONTROLLER}))
    assert reason is not None
    assert "reset the domain's Administrator" in reason
