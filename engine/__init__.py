"""What happens to an operation, room by room, in the order in which data flows through it."""
