"""The web client on this machine: its page, one entry and onnxruntime-web, for the browser on 127.0.0.1."""

from __future__ import annotations

from anas_zoo.zoo.serving.routes import Routes, page_routes
from anas_zoo.zoo.serving.runtime import fetch_runtime, find_runtime
from anas_zoo.zoo.serving.server import PageServer

__all__ = ["PageServer", "Routes", "fetch_runtime", "find_runtime", "page_routes"]
