"""What systems say at a login about an account, besides yes and no."""

from __future__ import annotations

import re
from typing import Final

# Words of Linux-PAM: pam_unix(8) at the end of an account or password, pam_faillock(8), pam_tally2(8).
MUST_CHANGE: Final = re.compile(
    r"required to change|password has expired|new password|current password|\(current\)", re.I
)
EXPIRED: Final = re.compile(
    r"account has expired|not yet been activated|account is (?:currently )?not available", re.I
)
LOCKED: Final = re.compile(r"account is (?:temporarily )?locked|account locked|locked due to", re.I)
# What asks for a new password at the first login, where the text before it need not say why.
ASKS_TO_CHANGE: Final = re.compile(r"(?:current|old|new|retype|confirm)[^\n]*password[^\n]*:[ \t]*\Z", re.I)
ORDERS_TO_CHANGE: Final = re.compile(r"required to change|password has expired|must (?:be )?change", re.I)
