"""What the engine's processes are made of: one file a command that does not end by itself."""
