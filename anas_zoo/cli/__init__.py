"""The command line ``anas``: one module per command, and nothing heavy imported before a command runs."""

from __future__ import annotations

from anas_zoo.cli.run import main

__all__ = ["main"]
