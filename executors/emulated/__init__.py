"""Devices in memory with the prompts, words and refusals of real ones, to try templates on.

`device.Device` keeps accounts and judges; `console.Console` is one terminal session, bytes in and bytes out,
without a socket; `platforms` describes each product; `ssh.SshDevice` and `telnet.TelnetDevice` serve a device
on loopback. A test double holds its secrets in clear: never give it a real one.
"""
