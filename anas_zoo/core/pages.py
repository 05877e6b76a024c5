"""HTML pages from Jinja2 templates, which escape all text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anas_zoo.core.text import one_line

__all__ = ["render_page"]


def render_page(template: Path, **values: Any) -> str:
    """The HTML of ``template`` filled in with ``values``.

    Every value is escaped and shown on one line without hidden characters, unless it is
    :class:`markupsafe.Markup`; an undefined name in the template is an error of Jinja2.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if hasattr(value, "__html__") else one_line(value),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(values) + "\n"
