"""The tk-expect executor."""

from executors.tk_expect.executor import TkExpectExecutor

__all__ = ["TkExpectExecutor"]
