"""The built-in login: name and password at the prompts that ask for them, once, and what the answer says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from executors.contract import (
    MASK,
    Failure,
    Login,
    Outcome,
    SecretKind,
    Transcript,
    Verdict,
    one_line,
)
from executors.terminal.ansi import PlainText
from executors.terminal.channel import Channel, Clock
from executors.terminal.words import ASKS_TO_CHANGE, EXPIRED, LOCKED, ORDERS_TO_CHANGE

NAME: Final = re.compile(
    r"(?:(?<!last )login|user[ -]?(?:name|id)?|account|usu[aá]rio|benutzer(?:name)?)[^\n:>]{0,40}[:>]\s*\Z",
    re.I,
)
PASSWORD: Final = re.compile(
    r"(?:password|passwd|passcode|passwort|senha|contrase)[^\n:>]{0,40}[:>]\s*\Z", re.I
)
REFUSED: Final = re.compile(
    r"login incorrect|incorrect (?:login|password)"
    r"|(?:login|authentication|access)[^\n]{0,20} (?:failed|denied|invalid)"
    r"|(?:failed|invalid)[^\n]{0,20}(?:login|password|credentials)|bad passwords?|permission denied",
    re.I,
)
SURE: Final = re.compile(r"[$#>%]\s*\Z")  # how the prompt of a shell or of a device ends
LIKELY: Final = re.compile(r"[:?\])}~]\s*\Z")  # the same for menus
QUIET_SECONDS: Final = 0.5
LONG_QUIET_SECONDS: Final = 2.0
MOST: Final = 256 * 1024  # characters of a whole login


class Terminal(Channel, Protocol):
    def put_back(self, data: bytes) -> None: ...


class NotLoggedIn(Failure):
    """`verdict` is what the target's answer says about the secret."""

    def __init__(self, outcome: Outcome, verdict: Verdict, message: str) -> None:
        super().__init__(outcome, message)
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class Prompts:
    """Texts that the template names; without one, the words of the trade."""

    name: str = ""
    password: str = ""

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Prompts:
        return cls(settings.get("username-prompt", ""), settings.get("password-prompt", ""))

    def asks_name(self, text: str) -> bool:
        return _ends(text, self.name) if self.name else NAME.search(text[-200:]) is not None

    def asks_password(self, text: str) -> bool:
        return _ends(text, self.password) if self.password else PASSWORD.search(text[-200:]) is not None


def _ends(text: str, prompt: str) -> bool:
    return text.rstrip().endswith(prompt.strip())


def log_in(
    terminal: Terminal,
    device: str,
    login: Login,
    prompts: Prompts,
    seconds: float,
    transcript: Transcript,
    clock: Clock,
) -> None:
    """One try; `seconds` for each answer. What follows the password is put back for whoever comes next.

    Raises NotLoggedIn (the target refuses) or Failure (no answer, or none that can be understood).
    """
    if login.kind is not SecretKind.PASSWORD:
        raise NotLoggedIn(Outcome.BAD_LOGIN, Verdict.UNKNOWN, f"{device}: telnet takes passwords only")
    try:
        one_line(login.username), one_line(login.secret.reveal())
    except ValueError as error:
        raise NotLoggedIn(
            Outcome.BAD_LOGIN, Verdict.UNKNOWN, f"{device}: it cannot be typed: {error}"
        ) from None
    _Attempt(terminal, device, login, prompts, seconds, transcript, clock).make()


class _Attempt:
    def __init__(
        self,
        terminal: Terminal,
        device: str,
        login: Login,
        prompts: Prompts,
        seconds: float,
        transcript: Transcript,
        clock: Clock,
    ) -> None:
        self._terminal = terminal
        self._who = f"{device}: {login.username}"
        self._login = login
        self._prompts = prompts
        self._seconds = seconds
        self._transcript = transcript
        self._clock = clock
        self._plain = PlainText()
        self._text = ""  # since something was sent
        self._raw = b""  # the same
        self._whole = 0

    def make(self) -> None:
        if self._until_asked(name_too=True):
            self._type(self._login.username, self._login.username)
            self._until_asked(name_too=False)
        self._type(self._login.secret.reveal(), MASK)
        self._judge()
        self._transcript.note(f"logged in as {self._login.username}")
        self._terminal.put_back(self._raw)

    def _until_asked(self, *, name_too: bool) -> bool:
        """Until the name (True) or the password is asked for."""
        deadline = self._clock.now() + self._seconds
        while True:
            self._settle(deadline)
            if self._prompts.asks_password(self._text):
                return False
            if name_too and self._prompts.asks_name(self._text):
                return True
            if not self._hear(deadline):
                what = "a name or a password" if name_too else "the password"
                raise Failure(
                    Outcome.TIMEOUT,
                    f"{self._who}: the target did not ask for {what} within {self._seconds:g} s{self._last()}"
                    "; say in the template how it asks (set-username-prompt, set-password-prompt) or that it"
                    " does not (set-no-authenticate)",
                )

    def _judge(self) -> None:
        """What follows the password: refused, restricted, or a prompt at which the target rests."""
        deadline = self._clock.now() + self._seconds
        self._settle(deadline)
        while not self._is_in():
            if not self._hear(deadline):
                raise self._said_no() or Failure(
                    Outcome.TIMEOUT,
                    f"{self._who}: no prompt after the password within {self._seconds:g} s{self._last()}",
                )
            self._settle(deadline)
        if ORDERS_TO_CHANGE.search(self._text):
            raise self._restricted("must be changed first")

    def _is_in(self) -> bool:
        """Words alone refuse nothing: a target also tells of earlier logins that failed."""
        if ASKS_TO_CHANGE.search(self._text):
            raise self._restricted("must be changed first")
        if self._prompts.asks_password(self._text) or self._prompts.asks_name(self._text):
            raise self._said_no() or self._refused()
        return SURE.search(self._text) is not None or LIKELY.search(self._text) is not None

    def _said_no(self) -> NotLoggedIn | None:
        """Once it is clear that the target does not let in: what its words say of the reason."""
        if LOCKED.search(self._text):
            return NotLoggedIn(
                Outcome.LOCKED_OUT,
                Verdict.LOCKED,
                f"{self._who} is not let in after too many tries{self._last()}",
            )
        if EXPIRED.search(self._text):
            return self._restricted("is right, but the account is expired or disabled")
        return self._refused() if REFUSED.search(self._text) else None

    def _settle(self, deadline: float) -> None:
        """Hear on until nothing more comes: what stands at the end then is a prompt, not half a line."""
        while self._text.strip():
            quiet = QUIET_SECONDS if self._looks_done() else LONG_QUIET_SECONDS
            if not self._hear(min(deadline, self._clock.now() + quiet)):
                return

    def _looks_done(self) -> bool:
        text = self._text
        return (
            SURE.search(text) is not None
            or self._prompts.asks_name(text)
            or self._prompts.asks_password(text)
        )

    def _hear(self, deadline: float) -> bool:
        """Whether something came in time. Raises Failure at the end of the output."""
        left = deadline - self._clock.now()
        if left <= 0:
            return False
        try:
            data = self._terminal.receive(left)
        except TimeoutError:
            return False
        if not data:
            raise self._said_no() or Failure(
                Outcome.UNREACHABLE, f"{self._who}: the target closed during the login{self._last()}"
            )
        text = self._plain.feed(data)
        self._text += text
        self._raw += data
        self._whole += len(data)
        self._transcript.received(text)
        if self._whole > MOST:
            raise Failure(
                Outcome.SCRIPT_MISMATCH,
                f"{self._who}: more than {MOST // 1024} KiB before the login was done",
            )
        return True

    def _type(self, text: str, shown: str) -> None:
        self._transcript.sent(shown)
        self._text, self._raw = "", b""
        self._terminal.send(text.encode() + b"\n")

    def _refused(self) -> NotLoggedIn:
        return NotLoggedIn(
            Outcome.BAD_LOGIN, Verdict.REFUSED, f"{self._who} was refused; check its secret{self._last()}"
        )

    def _restricted(self, why: str) -> NotLoggedIn:
        return NotLoggedIn(
            Outcome.ACCOUNT_DISABLED, Verdict.RESTRICTED, f"{self._who}: the password {why}{self._last()}"
        )

    def _last(self) -> str:
        line = next((line.strip() for line in reversed(self._text.split("\n")) if line.strip()), "")
        return f"; last it said: {self._transcript.redact(line)[:200]}" if line else ""
