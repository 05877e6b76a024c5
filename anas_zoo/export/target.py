"""Deployment targets: what an exported file has to be, and how far it may deviate (``export/targets``)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from anas_zoo.errors import ConfigError, nearest
from anas_zoo.resources import resource_folder
from anas_zoo.schema import Schema, parse, read_yaml

__all__ = ["Target", "Tolerance", "Tolerances", "list_targets"]

NAME = r"^[a-z0-9][a-z0-9-]*$"


class Tolerance(Schema):
    """A limit and why it is what it is; a limit nobody can explain is no gate."""

    value: float = Field(ge=0, allow_inf_nan=False)
    reason: str = Field(min_length=20)


class Tolerances(Schema):
    """How far the exported file may lie from the torch network.

    Attributes:
        max_abs_logit_diff: largest difference of any logit of any image.
        min_top1_agreement_pct: images for which both name the same class first, in percent.
    """

    max_abs_logit_diff: Tolerance
    min_top1_agreement_pct: Tolerance


class Target(Schema):
    """One kind of exported file, and the runtime it is for."""

    name: str = Field(pattern=NAME)
    precision: Literal["fp32"]
    opset: int = Field(ge=18)  # older ones cannot express what torch's exporter writes
    runtime: Literal["onnxruntime"]
    provider: str
    batch: Literal["dynamic"]
    tolerances: Tolerances

    @classmethod
    def load(cls, source: str | Path) -> Target:
        """The target of a name (see :func:`list_targets`) or of a ``.yaml`` file.

        Raises :class:`ConfigError` that says what is wrong in the file or which targets there are.
        """
        path = Path(source)
        if path.suffix not in (".yaml", ".yml"):
            known = list_targets()
            if str(source) not in known:
                raise ConfigError(
                    f"no target named {str(source)!r}{nearest(str(source), known)}; "
                    f"targets: {', '.join(known)}; or give a .yaml file"
                )
            path = _folder() / f"{source}.yaml"
        target = parse(cls, read_yaml(path), str(path))
        if target.name != path.stem:
            raise ConfigError(f"{path}: the target is named {target.name!r}, its file must be too")
        return target


def list_targets() -> list[str]:
    """Names of the targets that come with the package."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def _folder() -> Path:
    return resource_folder("export") / "targets"
