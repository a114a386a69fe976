"""The field's tags: which there are, under which other names they go, and which of them are secrets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from executors.contract import Literal, Tag, Text, parse_text


def names(words: str) -> frozenset[str]:
    """Names written one after the other."""
    return frozenset(words.split())


SECRETS: Final = names("""
    NEW_PASSWORD CURRENT_PASSWORD AUTH_PASSWORD BECOME_PASSWORD TOTP_TOKEN
    APP_AUTH_UNIQUE_KEY APP_AUTH_CLIENT_SECRET APP_AUTH_CONSUMER_SECRET APP_AUTH_TOKEN APP_AUTH_TOKEN_SECRET
    SECRET_DATA SECRET_ACCESS_KEY CREDENTIAL_PASSWORD AZURE_APP_SECRET GOOGLE_KEY
    """)
OTHERS: Final = names("""
    USERNAME AUTH_USER AUTH_DOMAIN BECOME_USER ADD_INFO IP HOSTNAME PORT DOMAIN SERVER_PATH
    APP_NAME APP_AUTH_TYPE APP_AUTH_CLIENT_ID APP_AUTH_CONSUMER_KEY
    SECRET_NAME SECRET_IDENTIFIER SECRET_VERSION SECRET_ENGINE SECRET_EXPIRATION_DATE
    ACCESS_KEY_ID ACCESS_KEY_TTL CREDENTIAL_HOSTNAME CREDENTIAL_USERNAME CREDENTIAL_ADDITIONAL_INFORMATION
    CREDENTIAL_TTL
    GRUPO_NOME HOME UID SHELL CODIGO_GOVERNANCA OPERACAO_COD
    AZURE_APP_ID AZURE_TENANT AZURE_VAULT GOOGLE_PROJECT
    """)
KNOWN: Final = SECRETS | OTHERS

ALIASES: Final[Mapping[str, str]] = {
    "COE_SENHA": "AUTH_PASSWORD",  # wherever the field's templates want the password of the login
    "PASSWORD": "CURRENT_PASSWORD",
}


def text_of(source: str) -> Text:
    """Literals and tags of a text; tags by their own name, whatever alias or case they were written in."""
    return tuple(_named(part) for part in parse_text(source))


def text_with_encoder(source: str, encoder: str) -> Text:
    """The same, where a tag without an encoder of its own gets the one that its place needs."""
    return tuple(encoded(part, encoder) for part in text_of(source))


def encoded(part: Literal | Tag, encoder: str) -> Literal | Tag:
    return replace(part, encoder=encoder) if isinstance(part, Tag) and part.encoder is None else part


def _named(part: Literal | Tag) -> Literal | Tag:
    return replace(part, name=ALIASES.get(part.name, part.name)) if isinstance(part, Tag) else part


def names_in(texts: Iterable[Text]) -> frozenset[str]:
    return frozenset(part.name for text in texts for part in text if isinstance(part, Tag))


def has_secret(text: Text) -> bool:
    return any(isinstance(part, Tag) and part.name in SECRETS for part in text)


def literals(text: Text) -> Iterator[str]:
    return (part.text for part in text if isinstance(part, Literal))


def shown(text: Text) -> str:
    """As it is written, for people."""
    return "".join(part.text if isinstance(part, Literal) else f"[#{part.name}#]" for part in text)
