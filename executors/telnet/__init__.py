"""The telnet executor."""

from executors.telnet.executor import TelnetExecutor

__all__ = ["TelnetExecutor"]
