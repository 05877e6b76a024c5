"""Pages of HTML and Markdown from Jinja2 templates, in which other people's text can be no markup."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from anas_zoo.core.tables import Markdown
from anas_zoo.core.text import markdown, markdown_code, one_line


def render_page(template: Path, **values: Any) -> str:
    """The HTML of ``template`` filled in with ``values``.

    Every value is escaped and shown on one line without hidden characters, unless it is
    :class:`markupsafe.Markup`; an undefined name in the template is an error of Jinja2.
    """
    page = _render(template, values, lambda value: value if hasattr(value, "__html__") else one_line(value))
    return page + "\n"


def render_markdown(template: Path, **values: Any) -> str:
    """The Markdown of ``template`` filled in with ``values``.

    Every value is shown as it is and on one line, unless it is :class:`~anas_zoo.core.tables.Markdown`: the
    filter ``raw`` says so of a text, ``code`` makes a code span of it. Blank lines in a row become one.
    """
    text = _render(template, values, lambda value: value if isinstance(value, Markdown) else markdown(value))
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.rstrip("\n") + "\n"


def _render(template: Path, values: dict[str, Any], finalize: Callable[[Any], Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=template.suffix == ".html",
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"raw": Markdown, "code": lambda text: Markdown(markdown_code(text))}
    return environment.get_template(template.name).render(values)
