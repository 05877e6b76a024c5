"""Registers our models with timm right after timm itself has been imported, and costs nothing before.

``import anas_zoo`` loads no torch, so it cannot import timm, and a program that imports timm afterwards never
asks us again. timm reads no entry points of installed packages, so there is no other moment than its import.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def _register() -> None:
    import_module("anas_zoo.zoo.timm_models")


class _Finder(MetaPathFinder):
    """Finds ``timm`` as the other finders do, and adds our registration to what its import executes."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "timm":
            return None
        others = [finder.find_spec for finder in sys.meta_path if finder is not self]
        spec = next(filter(None, (find(fullname, path, target) for find in others)), None)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def execute_and_register(module: ModuleType) -> None:
                execute(module)
                del loader.exec_module  # so that the loader is as it was
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                _register()

            loader.exec_module = execute_and_register
        return spec


def install() -> None:
    """Register now if timm is there already, otherwise when it is imported."""
    if "timm" in sys.modules:
        _register()
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
