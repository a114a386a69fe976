"""All settings in one typed object: a TOML file, overridden by KEYTURN_* environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

CONFIG_FILE = "keyturn.toml"
SCHEMES: Mapping[str, tuple[str, ...]] = {
    "database": ("postgresql+psycopg", "postgresql"),
    "broker": ("redis", "rediss", "amqp", "amqps"),
}
LONGEST_LEASE = 3600.0  # seconds; the visibility timeout of a broker that keeps what is not done


class Settings(BaseSettings):
    """Times are seconds. deadline < lease < visibility timeout, so that a take-over never meets a living
    child."""

    model_config = SettingsConfigDict(env_prefix="KEYTURN_", extra="forbid")

    data: Path = Field(description="directory of this process alone: keys, tokens, SQLite, journal")
    listen: str = Field(default="127.0.0.1:8470", description="HOST:PORT of the API")
    zone: str = Field(default="default", description="whose targets a worker reaches")
    journal: Path | None = Field(
        default=None, description="directory of the escrow journal; best on another volume"
    )
    database: str | None = Field(
        default=None,
        description="URL of PostgreSQL without its password; else SQLite in `data`",
    )
    database_password_file: Path | None = Field(default=None, description="its first line is the password")
    broker: str | None = Field(
        default=None,
        description="URL of Redis or RabbitMQ without its password; else one process",
    )
    broker_password_file: Path | None = Field(default=None, description="its first line is the password")
    acknowledge: Literal["early", "late"] = Field(
        default="early",
        description="when the broker forgets a message: when it is taken, or done",
    )
    metrics: str | None = Field(
        default=None, description="HOST:PORT where metrics and health are served, to whoever can reach it"
    )
    pepper: Path | None = Field(
        default=None, description="file that keys the hashes of tokens, the same for all API processes"
    )
    tls_certificate: Path | None = Field(default=None, description="PEM file, with the chain, of the API")
    tls_key: Path | None = Field(default=None, description="PEM file of the certificate's private key")
    plaintext: Literal["refuse", "tolerate"] = Field(
        default="refuse", description="whether the API listens beyond loopback without TLS, behind a proxy"
    )
    reachable_targets: Literal["refuse", "tolerate"] = Field(
        default="refuse", description="what an API process does that finds out that it could reach a target"
    )
    callback_hosts: tuple[str, ...] = Field(
        default=(), description="hosts that requesters may name in callbacks; no others are called"
    )
    heartbeat: float = Field(
        default=60.0, gt=0, description="how often receivers hear that the engine lives; silence is an alarm"
    )
    keep_transcripts: float = Field(default=90.0, gt=0, description="days")
    keep_operations: float = Field(default=400.0, gt=0, description="days after their end")
    keep_notices: float = Field(default=30.0, gt=0, description="days; undelivered ones are kept longer")
    threads: int = Field(default=8, ge=1, le=64, description="operations that one worker runs at a time")
    tick: float = Field(
        default=1.0, gt=0, description="how often due operations and lost leases are looked for"
    )
    deadline: float = Field(default=240.0, gt=0, description="the executor child's hard limit")
    lease: float = Field(default=300.0, gt=0, description="how long a claim holds without renewal")
    margin: float = Field(
        default=5.0, gt=0, description="how much earlier than the database a holder gives up"
    )
    max_body: int = Field(default=1024 * 1024, ge=1024, description="largest request body, bytes")
    min_free_disk: int = Field(
        default=16 * 1024 * 1024, ge=0, description="no change is begun below this, bytes"
    )

    @property
    def database_url(self) -> URL:
        """The URL that opens the database. Printing it hides the password. Raises OSError for its file."""
        if self.database is None:
            return make_url(f"sqlite:///{self.data / 'keyturn.sqlite'}")
        return make_url(self.database).set(password=_first_line(self.database_password_file))

    @property
    def broker_url(self) -> str:
        """What Celery connects to: never print it. Raises OSError for the password's file."""
        if self.broker is None:
            return "memory://"
        url = make_url(self.broker)
        password = _first_line(self.broker_password_file)
        # without a user's name, even an empty one, a URL has no place for a password
        whole = url if password is None else url.set(username=url.username or "", password=password)
        return whole.render_as_string(hide_password=False)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.deadline + self.margin > self.lease:
            raise ValueError("a lease must outlive the child: deadline + margin may not be more than lease")
        if self.lease >= LONGEST_LEASE:
            raise ValueError(
                f"lease must be below {LONGEST_LEASE:.0f}: then a broker gives a message out again"
            )
        return self

    @field_validator("database", "broker")
    @classmethod
    def _usable(cls, given: str | None, info: ValidationInfo) -> str | None:
        if given is None:
            return None
        try:
            url = make_url(given)
        except (ArgumentError, ValueError):  # ValueError: a port that is no number; its text quotes the URL
            raise ValueError("this is no URL; write SCHEME://USER@HOST:PORT/NAME") from None
        if url.password is not None:
            raise ValueError("leave the password out of the URL and name its file: …_password_file")
        known = SCHEMES[str(info.field_name)]
        if url.drivername not in known:
            raise ValueError(f"its scheme is none of {', '.join(known)}")
        return given

    @field_validator("tls_key")
    @classmethod
    def _with_certificate(cls, given: Path | None, info: ValidationInfo) -> Path | None:
        if given is not None and info.data.get("tls_certificate") is None:
            raise ValueError("name its certificate, too: tls_certificate")
        return given

    @property
    def pepper_path(self) -> Path:
        return self.pepper or self.data / "pepper"

    @property
    def keys(self) -> Path:
        return self.data / "keys"

    @property
    def journal_directory(self) -> Path:
        return self.journal or self.data / "journal"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings names them
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        data = init_settings().get("data") or env_settings().get("data")
        toml = Path(data) / CONFIG_FILE if data else Path(CONFIG_FILE)
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml)


def _first_line(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_bytes().partition(b"\n")[0].rstrip(b"\r").decode()
    except UnicodeDecodeError:  # raised anew outside of it: its text quotes a byte of the password
        pass
    raise OSError(f"{path} holds no password in UTF-8; write it anew, on the first line")
