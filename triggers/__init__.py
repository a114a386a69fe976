"""One file an occasion: which event asks for which operations; plugins by entry point."""
