"""What Keyturn does, in under a minute, on this machine alone: `make demo`."""
