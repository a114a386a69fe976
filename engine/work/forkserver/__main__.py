"""`python -m engine.work.forkserver CONTROL WORKER [HOLD]`: descriptor numbers only."""

from __future__ import annotations

import socket
import sys

from engine.work.forkserver.server import serve

control, worker, *hold = map(int, sys.argv[1:])
serve(socket.socket(fileno=control), worker, hold)
