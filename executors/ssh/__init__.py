"""The ssh executor."""

from executors.ssh.executor import SshExecutor

__all__ = ["SshExecutor"]
