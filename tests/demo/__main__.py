"""`python -m tests.demo`: exit code 0 if everything was as promised."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from tests.demo.engine import EngineFailed
from tests.demo.story import EVERYONE, Scene, scene, tell
from tests.demo.telling import NotSo, Stopwatch


def main(record: Path | None) -> int:
    """Run it all in a temporary directory, which is removed."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # the ticks, on a terminal without them
    took = Stopwatch()
    print("Keyturn changes passwords on real targets, proves each new one, and loses none.", flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="keyturn-demo-") as directory, scene(Path(directory)) as made:
            try:
                tell(made)
            finally:
                if record is not None:
                    _write_down(made, record)
    except NotSo as failure:
        print(f"\nFAILED after {took}; not so: {failure}", flush=True)
        return 1
    except EngineFailed as failure:
        print(f"\nFAILED after {took}: {failure}", flush=True)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", flush=True)
        return 130
    print(f"\nAll of it was so. {took}", flush=True)
    return 0


def _write_down(scene: Scene, record: Path) -> None:
    """One password a line."""
    held = [password for name in EVERYONE for password in scene.held(name)]
    record.write_text("\n".join(held))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", type=Path, help="write there every password that the targets held")
    sys.exit(main(parser.parse_args().record))
