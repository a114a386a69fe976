"""Profiles and policies over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query

from engine.api.context import Context
from engine.api.identity import Administrator, Readable
from engine.api.schemas import PolicyBody
from engine.catalog import rules
from engine.catalog.lookup import find_credential
from engine.catalog.profiles import Profile
from engine.catalog.rules import Policy
from engine.catalog.states import Action, CredentialKind

router = APIRouter()


@router.post("/policies", status_code=201, tags=["policies"])
def add_policy(body: PolicyBody, context: Context, caller: Administrator) -> Policy:
    """What is left out has its default. A policy that no password meets is refused."""
    with context.database.writing() as connection:
        return rules.add_policy(connection, caller.name, body.name, body.rules)


@router.get("/policies", tags=["policies"], dependencies=[Readable])
def list_policies(context: Context) -> list[Policy]:
    with context.database.reading() as connection:
        return rules.list_policies(connection)


@router.post("/profiles", status_code=201, tags=["profiles"])
def add_profile(body: Annotated[dict[str, Any], Body()], context: Context, caller: Administrator) -> Profile:
    with context.database.writing() as connection:
        return rules.add_profile(connection, caller.name, body)


@router.get("/profiles", tags=["profiles"], dependencies=[Readable])
def list_profiles(context: Context) -> list[Profile]:
    """The shipped ones and those added."""
    with context.database.reading() as connection:
        return rules.list_profiles(connection)


@router.get("/profiles/match", tags=["profiles"], dependencies=[Readable])
def match(
    credential: Annotated[str, Query(description="USER@DEVICE")],
    context: Context,
    kind: CredentialKind | None = None,
    action: Action = Action.CHANGE_SECRET,
) -> Profile:
    """Which profile serves the credential; a problem that says why if none does, or two do equally well."""
    with context.database.reading() as connection:
        return rules.match(connection, find_credential(connection, credential, kind), action)
