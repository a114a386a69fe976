"""Tests of the life of an operation."""
