"""Room for what must be written before and after a target is touched."""

from __future__ import annotations

import shutil

from engine.settings import Settings


def full_volumes(settings: Settings) -> list[str]:
    """What lies on a volume with less than `min_free_disk` left. While there is any, nothing is begun."""
    places = {"the escrow journal": settings.journal_directory, "the data directory": settings.data}
    return [
        what
        for what, place in places.items()
        if place.exists() and shutil.disk_usage(place).free < settings.min_free_disk
    ]
