"""Runs a parsed terminal template over a channel of bytes: `conversation.converse`."""
