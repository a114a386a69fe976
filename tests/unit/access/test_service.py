"""What a principal may do."""

from __future__ import annotations

import pytest

from engine.access.errors import Forbidden
from engine.access.service import PERMISSIONS, Permission, Principal, Role, allow
from engine.store.errors import Kind


@pytest.mark.parametrize("permission", list(Permission))
def test_an_administrator_may_do_everything(permission: Permission) -> None:
    allow(Principal("ann", Role.ADMIN), permission, "credential root@web1")


@pytest.mark.parametrize("permission", sorted(set(Permission) - {Permission.SEE}))
def test_a_reader_may_see_and_nothing_else(permission: Permission) -> None:
    reader = Principal("bob", Role.READER)
    allow(reader, Permission.SEE, "credential root@web1")
    with pytest.raises(Forbidden, match=f"bob has no right to {permission} credential root@web1") as refused:
        allow(reader, permission, "credential root@web1")
    assert (refused.value.code, refused.value.kind) == ("forbidden", Kind.FORBIDDEN)


def test_every_role_is_in_the_table() -> None:
    assert set(PERMISSIONS) == set(Role)
