"""Devices, credentials, policies, profiles, zones: what is managed."""
