"""One file or folder a protocol: how to talk to one kind of target; plugins by entry point."""
