"""Try an emulated device by hand: `python -m executors.emulated PLATFORM --port N`."""

from __future__ import annotations

import argparse
import getpass
import time

from executors.emulated.account import Account
from executors.emulated.catalogue import PLATFORMS
from executors.emulated.device import Device
from executors.emulated.ssh import SshDevice
from executors.emulated.telnet import TelnetDevice


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m executors.emulated", description=__doc__)
    parser.add_argument("platform", choices=sorted(PLATFORMS))
    parser.add_argument("--port", type=int, required=True, help="of loopback; 0 for a free one")
    parser.add_argument("--telnet", action="store_true", help="Telnet instead of SSH")
    parser.add_argument("--user", default="admin")
    given = parser.parse_args()
    platform = PLATFORMS[given.platform]
    first = getpass.getpass(f"The password that {given.user} begins with (not a real one): ")
    services = [Account(name, first, service=True) for name in platform.services]
    device = Device(platform, [Account(given.user, first), *services])
    served = TelnetDevice(device, port=given.port) if given.telnet else SshDevice(device, port=given.port)
    with served:
        print(f"{platform.title} at {served.address} port {served.port}; Control-C ends it.", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print("\nended")


if __name__ == "__main__":
    main()
