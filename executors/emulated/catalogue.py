"""Every platform by its name."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Final

from executors.emulated.device import Platform
from executors.emulated.platforms import (
    aix,
    asa,
    bsd,
    eos,
    f5,
    fortios,
    gaia,
    idrac,
    ilo,
    ios,
    iosxr,
    junos,
    linux,
    nxos,
    panos,
    routeros,
    solaris,
    vrp,
)

FAMILIES: Final = (
    linux, bsd, aix, solaris, ios, iosxr, nxos, asa, junos, eos, vrp, f5, fortios, panos, gaia, routeros,
    ilo, idrac,
)  # fmt: skip
PLATFORMS: Final[Mapping[str, Platform]] = {
    platform.name: platform for platform in chain.from_iterable(family.PLATFORMS for family in FAMILIES)
}
