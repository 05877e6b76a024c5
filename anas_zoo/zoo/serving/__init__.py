"""The web client on this machine: its page, an entry and onnxruntime-web, for the browser on 127.0.0.1."""

from __future__ import annotations

from anas_zoo.zoo.serving.runtime import fetch_runtime, find_runtime
from anas_zoo.zoo.serving.site import page_server, page_url, write_site

__all__ = ["fetch_runtime", "find_runtime", "page_server", "page_url", "write_site"]
