"""What is managed: zones, authorities, devices, accounts, credentials, and the rules that choose for them."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, String, Table, UniqueConstraint, false

from engine.store.metadata import Json, identity, metadata, moment, partial_index, reference

zone = Table(
    "zone",
    metadata,
    identity(),
    Column("name", String(64), nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    moment("created"),
)

# Where accounts live: a device of its own, a directory, a cluster, a failover pair.
authority = Table(
    "authority",
    metadata,
    identity(),
    Column("name", String(255), nullable=False, unique=True),
    moment("created"),
)

device = Table(
    "device",
    metadata,
    identity(),
    Column("name", String(255), nullable=False, unique=True),
    reference("authority_id", "authority"),
    reference("zone_id", "zone"),
    Column("address", String(4096), nullable=False),
    Column("ports", Json, nullable=False),  # {"ssh": 22}
    Column("site", String(64), nullable=False, default=""),
    Column("vendor", String(64), nullable=False, default=""),
    Column("model", String(64), nullable=False, default=""),
    Column("type", String(64), nullable=False, default=""),
    Column("domain", String(255), nullable=False, default=""),
    Column("tags", Json, nullable=False),  # ["tag", …]
    Column("connection_limit", Integer, nullable=False, default=4),
    Column(
        "jump_credential_id", Integer
    ),  # logs in to the jump host on the way; no constraint, it would be a circle
    Column("paused", Boolean, nullable=False, default=False),
    Column("pause_reason", String(200)),
    # A person decided that its secrets may be sent where others can read them, as telnet does.
    Column("cleartext", Boolean, nullable=False, default=False, server_default=false()),
    Column("weak_algorithms", Boolean, nullable=False, default=False, server_default=false()),
    moment("created"),
)

host_key = Table(
    "host_key",
    metadata,
    identity(),
    reference("device_id", "device"),
    Column("line", String(4096), nullable=False),  # "ssh-ed25519 AAAA…"
    Column("trusted_by", String(255), nullable=False),
    moment("trusted_at"),
    UniqueConstraint("device_id", "line"),
)

# One row per account of an authority. Lease, lockout budget and the live index sit here, because they
# belong to the account and not to the several credentials that may name it.
account = Table(
    "account",
    metadata,
    identity(),
    reference("authority_id", "authority"),
    Column("name", String(255), nullable=False),  # normalised
    Column("identity", String(255)),  # the target's own immutable id, recorded at the first proof
    Column("epoch", Integer, nullable=False, default=0),
    Column("lease_owner", String(128)),
    moment("lease_until", nullable=True),
    Column("failures", Integer, nullable=False, default=0),  # refused tries in this window
    Column("in_flight", Integer, nullable=False, default=0),  # tries charged whose end is not known yet
    moment("failures_since", nullable=True),
    moment("locked_until", nullable=True),
    UniqueConstraint("authority_id", "name"),
)

policy = Table(
    "policy",
    metadata,
    identity(),
    Column("name", String(64), nullable=False, unique=True),
    Column("rules", Json, nullable=False),  # engine.catalog.policies
    moment("created"),
)

profile = Table(
    "profile",
    metadata,
    identity(),
    Column("name", String(64), nullable=False, unique=True),
    Column("priority", Integer, nullable=False, default=0),
    Column("rules", Json, nullable=False),  # engine.catalog.profiles
    moment("created"),
)

credential = Table(
    "credential",
    metadata,
    identity(),
    reference("account_id", "account"),
    reference("device_id", "device"),
    Column("username", String(255), nullable=False),  # as it was given
    Column("domain", String(255), nullable=False, default=""),
    Column("kind", String(32), nullable=False, default="password"),
    Column("service", String(64), nullable=False, default=""),
    Column("identifier", String(255)),
    Column("additional", String(4096), nullable=False, default=""),
    Column("tags", Json, nullable=False),
    Column("state", String(32), nullable=False, default="unverified"),
    Column("reason", String(500)),
    moment("since"),
    Column("enabled", Boolean, nullable=False, default=False),  # a person has allowed changes
    reference("policy_id", "policy"),
    Column("template", String(128)),  # overrides the profile's
    reference("auth_id", "credential", nullable=True),  # logs in to change this one
    reference("become_id", "credential", nullable=True),  # whose secret `su` asks for
    reference("reconcile_id", "credential", nullable=True),
    reference("parent_id", "credential", nullable=True),
    Column("link", String(8)),  # same | own
    Column("parent_version", Integer),  # a `same` child: the parent's version that it must get
    moment("next_due", nullable=True),
    moment("created"),
    UniqueConstraint("account_id", "kind", "service"),
    partial_index("uq_credential_identifier", "identifier", where="identifier IS NOT NULL"),
    Index("ix_credential_parent", "parent_id"),
)

# Worker processes, as they report themselves at each tick; a row stays until its process is long gone.
worker = Table(
    "worker",
    metadata,
    identity(),
    Column("name", String(128), nullable=False, unique=True),  # owns leases under it
    reference("zone_id", "zone"),
    Column("host", String(255), nullable=False),
    Column("release", String(32), nullable=False),
    Column("threads", Integer, nullable=False),
    Column("busy", Integer, nullable=False, default=0),  # operations at work at the last beat
    Column("draining", Boolean, nullable=False, default=False),
    moment("started"),
    moment("beat"),
    moment("stopped", nullable=True),
    Index("ix_worker_zone", "zone_id"),
)
