"""The products that can be emulated, one module a family; each says what is known and what is guessed."""
