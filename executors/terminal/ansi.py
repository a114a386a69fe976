"""Terminal output as plain text: UTF-8 decoded, escape sequences and control characters taken out."""

from __future__ import annotations

import codecs
import re

# ECMA-48: CSI sequences, OSC and other strings up to BEL or ST, two- and three-character escapes.
SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b[ -/]+[0-~]"
    r"|\x1b[0-OQ-WYZ\\`-~]"
)
UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)\Z")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")
LONGEST_UNFINISHED = 4096  # characters; a sequence that goes on longer is text, or it could hide all the rest


class PlainText:
    """Turns the bytes of a terminal into text as they come, however they are cut."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""

    def feed(self, data: bytes) -> str:
        text = SEQUENCE.sub("", self._held + self._decoder.decode(data))
        unfinished = UNFINISHED.search(text)
        if unfinished and len(unfinished[0]) <= LONGEST_UNFINISHED:
            text, self._held = text[: unfinished.start()], unfinished[0]
        else:
            self._held = ""
        return CONTROL.sub("", text)
