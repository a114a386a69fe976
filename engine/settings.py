"""All settings in one typed object: a TOML file, overridden by KEYTURN_* environment variables."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

CONFIG_FILE = "keyturn.toml"


class Settings(BaseSettings):
    """Times are seconds. The order deadline < lease must hold, so that a take-over never meets a living
    child."""

    model_config = SettingsConfigDict(env_prefix="KEYTURN_", extra="forbid")

    data: Path
    listen: str = "127.0.0.1:8470"
    zone: str = "default"
    journal: Path | None = Field(
        default=None, description="directory of the escrow journal; best on another volume"
    )
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
    def database_url(self) -> str:
        return f"sqlite:///{self.data / 'keyturn.sqlite'}"

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
