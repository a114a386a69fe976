"""`python -m tests.model [--whole]`: search every instance, print a table, fail unless all is as expected."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tests.model.instances import ABLATIONS, PROTOCOL, WHOLE, Instance
from tests.model.search import Finding

LEAST = Path(__file__).with_name("states.json")


def least_states() -> dict[str, int]:
    """How many states each instance had when it was last agreed on; fewer would prove less."""
    least: dict[str, int] = json.loads(LEAST.read_text())
    return least


def complaint(instance: Instance, finding: Finding, least: dict[str, int]) -> str:
    """Why this finding fails the run, or nothing."""
    if finding.kind != instance.expected:
        return f"expected: {instance.expected}"
    if instance.name not in least:
        return f"{LEAST.name} does not say how many states to expect"
    if finding.states < least[instance.name]:
        return f"searched {least[instance.name]} states before"
    return ""


def report(instance: Instance, least: dict[str, int]) -> bool:
    started = time.monotonic()
    finding = instance.search()
    wrong = complaint(instance, finding, least)
    seconds = time.monotonic() - started
    print(f"{instance.name:64} {finding.states:8} {seconds:6.1f} s  {finding.verdict}", flush=True)
    for step in finding.trace:
        print(f"      {step}")
    if wrong:
        print(f"  !!  {wrong}")
    return not wrong


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--whole"]):
        print("usage: python -m tests.model [--whole]", file=sys.stderr)
        return 2
    least = least_states()
    instances = [*PROTOCOL, *(WHOLE if arguments else []), *ABLATIONS]
    print(f"{'variant':64} {'states':>8} {'time':>8}  verdict")
    passed = [report(instance, least) for instance in instances]
    print(f"{sum(passed)} of {len(passed)} variants as expected")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
