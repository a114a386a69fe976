"""Secrets at rest: sealing, key providers, versions, the escrow journal."""
