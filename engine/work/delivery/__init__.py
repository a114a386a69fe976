"""Notices on their way out: to SIEM, webhooks and requesters."""
