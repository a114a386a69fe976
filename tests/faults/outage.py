"""The database is away for a while: nothing is sent meanwhile, and everything goes on afterwards.

python -m tests.faults.outage [--seconds 300]
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from executors.fake.target import Behaviour
from tests.acceptance.cluster import SHORT_LEASES, Cluster, running
from tests.acceptance.fakes import Fakes, Managed
from tests.peers.postgres import PostgresServer
from tests.peers.redis import RedisServer

ACCOUNTS = 12
SLOW = Behaviour(delay_before=0.5, delay_after=0.5)
UNDER_WAY = 3.0  # seconds that what was marked as sent may take to reach its target
PATIENCE = 60.0  # seconds
POLL = 0.05  # seconds


def outage(folder: Path, seconds: float) -> str:
    """What went wrong. Changes are asked for, and the database crashes in the middle of them."""
    with contextlib.ExitStack() as stack:
        postgres = PostgresServer(fsync=True)
        stack.callback(postgres.remove)
        redis = RedisServer()
        stack.callback(redis.remove)
        cluster = Cluster(folder / "cluster", postgres, redis, {"default": 2}, threads="2", **SHORT_LEASES)
        stack.enter_context(running(cluster))
        fakes = Fakes.among(cluster.api, folder)
        accounts = [fakes.account(SLOW) for _ in range(ACCOUNTS)]
        asked = [fakes.rotate(account) for account in accounts]
        _until_some_are_sent(accounts)
        postgres.stop(immediate=True)
        time.sleep(UNDER_WAY)
        before = _sent(accounts)
        time.sleep(seconds)
        meanwhile = _sent(accounts) - before
        postgres.start()
        ends = [fakes.ended(number)["state"] for number in asked]
        wrong = [] if before < ACCOUNTS else ["nothing was left to be sent when the database went away"]
        wrong += [f"{meanwhile} changes were sent without a database"] if meanwhile else []
        wrong += [f"operations ended {ends}"] if set(ends) != {"succeeded"} else []
        wrong += [f"{each.target.path} is lost" for each in accounts if not fakes.opens(each)]
        return "; ".join(wrong)


def _until_some_are_sent(accounts: Sequence[Managed]) -> None:
    until = time.monotonic() + PATIENCE
    while _sent(accounts) == 0 and time.monotonic() < until:
        time.sleep(POLL)


def _sent(accounts: Sequence[Managed]) -> int:
    return sum(len(account.sent()) for account in accounts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    seconds = parser.parse_args().seconds
    folder = Path(tempfile.mkdtemp(prefix="keyturn-outage-"))
    wrong = outage(folder, seconds)
    print(wrong or f"{ACCOUNTS} changes survived {seconds:g} s without a database")
    if not wrong:
        shutil.rmtree(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
