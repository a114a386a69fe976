"""The change protocol as a pure state machine. Standard library only: no I/O, no clock, no randomness."""
