"""The shipped library of execution templates, by platform."""
