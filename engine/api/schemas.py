"""What callers send: strict types, no unknown fields, secrets wrapped at once."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetPydanticSchema,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from engine.catalog.names import character_fault
from engine.catalog.states import Action, CredentialKind
from engine.templating.errors import BadValue
from engine.templating.values import MAX_SECRET, check
from executors.contract import Secret, ValueKind

MAX_NAME: Final = 600  # a domain, a user name, a device and a service
OF_LINES: Final = (CredentialKind.SSH_KEY, CredentialKind.CERTIFICATE)
MAX_ID: Final = 2**31 - 1  # PostgreSQL's integer
MAX_COUNT: Final = 2**63 - 1  # and its bigint, which numbers what comes often


def _clean(text: str) -> str:
    if fault := character_fault(text):
        raise PydanticCustomError("characters", "holds {fault}; remove it", {"fault": fault})
    return text


def _secret(text: str) -> Secret:
    """Line ends are judged by `fits`, once the kind is known."""
    try:
        check(ValueKind.SECRET, Secret(text.replace("\n", "")))
    except BadValue as error:
        raise PydanticCustomError("secret", "{reason}", {"reason": error.reason}) from None
    return Secret(text)


def fits(kind: CredentialKind, secret: Secret) -> Secret:
    """Keys and certificates have lines, every other secret is one line. Raises BadValue."""
    if kind not in OF_LINES:
        check(ValueKind.SECRET, secret)
    return secret


def _secret_schema(*_: Any) -> core_schema.CoreSchema:
    text = core_schema.str_schema(strict=True, min_length=1, max_length=MAX_SECRET)
    return core_schema.no_info_after_validator_function(_secret, text)


Clean = Annotated[str, AfterValidator(_clean)]
Name = Annotated[Clean, Field(min_length=1, max_length=MAX_NAME)]
Label = Annotated[Clean, Field(max_length=255)]
Sentence = Annotated[Clean, Field(min_length=1, max_length=500, pattern=r"\S")]
SecretText = Annotated[
    Secret,
    GetPydanticSchema(_secret_schema),
    Field(json_schema_extra={"writeOnly": True, "format": "password"}),
]
Kind = Annotated[CredentialKind, Field(strict=False)]
Moment = Annotated[
    float, Field(ge=0, le=1e11, allow_inf_nan=False, description="seconds since 1970-01-01 UTC")
]


class Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Nothing(Body):
    """A request that says everything by its address."""


def _bare(body: Nothing | None = None) -> None:
    """An option that is not there must not be ignored in silence."""


Bare = Depends(_bare)


class DeviceBody(Body):
    name: Name
    address: Annotated[Clean, Field(min_length=1, max_length=4096)]
    ports: dict[str, Annotated[int, Field(ge=1, le=65535)]]
    zone: Name | None = None
    authority: Name | None = None
    vendor: Label = ""
    model: Label = ""
    type: Label = ""
    site: Label = ""
    domain: Label = ""
    tags: list[Label] = []
    connection_limit: Annotated[int, Field(ge=1, le=1000)] = 4
    host_keys: list[Annotated[Clean, Field(max_length=8192)]] = []
    jump: Name | None = None
    cleartext: bool = False
    weak_algorithms: bool = False


class ConsentBody(Body):
    cleartext: bool | None = None
    weak_algorithms: bool | None = None


class TrustBody(Body):
    host_key: Annotated[Clean, Field(min_length=1, max_length=8192)]


class ReasonBody(Body):
    reason: Sentence


class CredentialBody(Body):
    name: Name
    kind: Kind = CredentialKind.PASSWORD
    secret: SecretText | None = None
    auth: Name | None = None
    become: Name | None = None
    reconcile: Name | None = None
    parent: Name | None = None
    link: Label | None = None
    policy: Name | None = None
    template: Name | None = None
    identifier: Label | None = None
    additional: Annotated[Clean, Field(max_length=4096)] = ""
    tags: list[Label] = []

    @field_validator("secret")
    @classmethod
    def _fits_its_kind(cls, secret: Secret | None, so_far: ValidationInfo) -> Secret | None:
        kind = so_far.data.get("kind")  # not there if it was refused itself
        try:
            return secret if secret is None or kind is None else fits(kind, secret)
        except BadValue as error:
            raise PydanticCustomError("secret", "{reason}", {"reason": error.reason}) from None


class SecretBody(Body):
    secret: SecretText


class RevealBody(Body):
    reason: Sentence
    break_glass: bool = False


class OperationBody(Body):
    credential: Name
    kind: Kind | None = None
    action: Annotated[Action, Field(strict=False)]
    due: Moment | None = None
    expires: Moment | None = None
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    callback: Annotated[Clean, Field(max_length=2048, pattern=r"^https?://")] | None = None


class EventBody(Body):
    event: Annotated[Clean, Field(min_length=1, max_length=32)]
    credential: Name
    kind: Kind | None = None
    action: Annotated[Action | None, Field(strict=False)] = None


class PolicyBody(Body):
    name: Name
    rules: dict[str, Any] = {}


class ReceiverBody(Body):
    name: Name
    kind: Annotated[Clean, Field(max_length=16)]
    url: Annotated[Clean, Field(max_length=2048)]
    zone: Name | None = None
    format: Annotated[Clean, Field(max_length=16)] | None = None
    kinds: Annotated[list[Annotated[Clean, Field(max_length=64)]], Field(max_length=64)] = ["*"]
    options: dict[str, Any] = {}
    secret: SecretText | None = None
    from_start: bool = False


class RedeliverBody(Body):
    delivery: Annotated[int, Field(ge=1, le=MAX_COUNT)] | None = None
