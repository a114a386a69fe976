"""What executors and the engine agree on. Standard library only."""

from __future__ import annotations

from executors.contract.encoders import COMMON as COMMON_ENCODERS
from executors.contract.encoders import one_line, shell_word
from executors.contract.executor import (
    CONTRACT_VERSION,
    Capabilities,
    Connecting,
    Connection,
    Executor,
    Program,
    Reusable,
    Section,
)
from executors.contract.job import (
    Hop,
    Login,
    Proof,
    ProofKind,
    ProofPlan,
    Report,
    SecretKind,
    StepRecord,
    Target,
)
from executors.contract.outcomes import Failure, Outcome, TemplateError, Verdict
from executors.contract.parts import (
    MASK,
    Encoder,
    Literal,
    Rendered,
    Tag,
    Text,
    Value,
    ValueKind,
    Values,
    join,
    parse_text,
    tags_of,
)
from executors.contract.redaction import Redactor
from executors.contract.secret import Secret, SecretMisuse
from executors.contract.transcript import Transcript

__all__ = [
    "COMMON_ENCODERS",
    "CONTRACT_VERSION",
    "MASK",
    "Capabilities",
    "Connecting",
    "Connection",
    "Encoder",
    "Executor",
    "Failure",
    "Hop",
    "Literal",
    "Login",
    "Outcome",
    "Program",
    "Proof",
    "ProofKind",
    "ProofPlan",
    "Redactor",
    "Rendered",
    "Report",
    "Reusable",
    "Secret",
    "SecretKind",
    "SecretMisuse",
    "Section",
    "StepRecord",
    "Tag",
    "Target",
    "TemplateError",
    "Text",
    "Transcript",
    "Value",
    "ValueKind",
    "Values",
    "Verdict",
    "join",
    "one_line",
    "parse_text",
    "shell_word",
    "tags_of",
]
