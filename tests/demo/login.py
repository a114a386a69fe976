"""A login as anybody would try it, by another SSH library than the engine's."""

from __future__ import annotations

import asyncio

import asyncssh

from tests.targets.box import Box


def opens(box: Box, account: str, password: str) -> bool:
    """Whether this password logs in; the target must show its key. Raises asyncssh.Error."""
    return asyncio.run(_opens(box, account, password))


async def _opens(box: Box, account: str, password: str) -> bool:
    try:
        connection = await asyncssh.connect(
            box.address,
            box.port,
            username=account,
            password=password,
            known_hosts=asyncssh.import_known_hosts(f"[{box.address}]:{box.port} {box.host_key}\n"),
            preferred_auth="password",
            client_keys=None,
            agent_path=None,
            config=None,
        )
    except asyncssh.PermissionDenied:
        return False
    connection.close()
    await connection.wait_closed()
    return True
