"""The ssh executor, and the same for the field's older language."""

from executors.ssh.executor import SshExecutor
from executors.ssh.legacy import SshLegacyExecutor

__all__ = ["SshExecutor", "SshLegacyExecutor"]
