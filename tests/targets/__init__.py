"""Disposable targets: real protocols, accounts in memory, ended with the process that started them."""
