"""The page of a search: one HTML file that shows every evaluation, and needs nothing beside it.

It holds all of plotly.js (about 4.8 MB), so that it opens anywhere, without a network and for years; a policy
in its head forbids the browser any connection. All that comes from the search is escaped text or inert JSON:
the two scripts are constant, and the policy names their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from anas_zoo.core.files import atomic_write
from anas_zoo.pipeline.search_view.figure import figure_of
from anas_zoo.pipeline.search_view.view import SearchView, plain, shown
from anas_zoo.searching import Evaluation
from anas_zoo.searching.objectives import OBJECTIVES

__all__ = ["write_page"]

COMMAND = "extract it with"  # the head of a column whose cells are to be copied


def write_page(path: Path, view: SearchView) -> None:
    """Write the page. The same view gives the same bytes, for one version of plotly."""
    from plotly.offline import get_plotlyjs

    here = Path(__file__)
    template = here.with_suffix(".html").read_text(encoding="utf-8")
    scripts = {"plotly": get_plotlyjs(), "script": here.with_suffix(".js").read_text(encoding="utf-8")}
    content = {"figure": figure_of(view), "extract_command": _command_template(view)}
    parts = {
        "policy": _policy(scripts.values()),
        "title": _text(view.title),
        "summary": _summary(view),
        "answers": _answers(view),
        "references": _references(view),
        "about": _table("About this search", ["", ""], [[key, value] for key, value in view.about.items()]),
        "json": _inert_json(content),
        **scripts,
    }
    # In one pass: what is filled in is not looked through for further fields.
    atomic_write(path, re.sub(r"\{\{(\w+)\}\}", lambda field: parts[field[1]], template))


def _policy(scripts: Iterable[str]) -> str:
    """What the browser may do: run these very scripts, nothing from anywhere else."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{value}'" for value in hashes)
    return (
        # plotly.js compiles its WebGL drawing as it runs, writes styles, and saves pictures from blobs.
        f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _text(text: str) -> str:
    return html.escape(plain(text))


def _inert_json(value: Any) -> str:
    """JSON that no HTML parser can read as the end of its script element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _command_template(view: SearchView) -> str | None:
    return None if view.extract_command is None else plain(view.extract_command)


def _summary(view: SearchView) -> str:
    weighed = " and ".join(OBJECTIVES[name].title for name in view.objectives)
    failed = f", {view.failures} could not be scored" if view.failures else ""
    return _text(
        f"{len(view.evaluations)} evaluated, {len(view.front)} on the Pareto front of {weighed}{failed}. "
        f"Accuracy: {view.scored_by}."
    )


def _answers(view: SearchView) -> str:
    costs = view.known_costs
    rows = []
    for answer in view.answers:
        if answer.best is None:
            rows.append([answer.asked(), "nothing evaluated is within it"])
            continue
        best = answer.best
        command = view.extract(best.arch.id)
        commands = [] if command is None else [command]
        asked = answer.asked() + (", which lies within its bars: measure it" if answer.unsure else "")
        rows.append([asked, best.arch.id, f"{best.top1_pct:.2f}", *_costs(best, costs), *commands])
    heads = ["asked", "architecture", *(OBJECTIVES[name].short for name in ("top1_pct", *costs))]
    if view.extract_command is not None:
        heads.append(COMMAND)
    return _table("The best within each budget", heads, rows)


def _references(view: SearchView) -> str:
    costs = view.known_costs
    rows = [
        [
            reference.name,
            reference.evaluation.arch.id,
            f"{reference.evaluation.top1_pct:.2f}",
            ", ".join(f"{pct:g} ({weights})" for weights, pct in reference.published.items()),
            *_costs(reference.evaluation, costs),
        ]
        for reference in view.references
    ]
    heads = [OBJECTIVES[name].short for name in costs]
    columns = ["model", "architecture", "top-1 % here", "published, not measured here", *heads]
    return _table("Known models, scored alike", columns, rows)


def _costs(evaluation: Evaluation, costs: Sequence[str]) -> list[str]:
    known = [shown(evaluation, cost) is not None for cost in costs]
    return [evaluation.shown(cost) if has else "–" for cost, has in zip(costs, known, strict=True)]


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An HTML table under a heading; nothing without rows. A last row shorter than the heads is stretched."""
    if not rows:
        return ""
    lines = [f"<h2>{_text(title)}</h2>", '<div class="scroll"><table>']
    if any(heads):
        lines.append("<tr>" + "".join(f"<th>{_text(head)}</th>" for head in heads) + "</tr>")
    for row in rows:
        cells = [f"<td>{_text(cell)}</td>" for cell in row]
        if heads[-1] == COMMAND:
            cells[-1] = f'<td><code class="copy">{_text(row[-1])}</code></td>'
        if len(row) < len(heads):
            cells[-1] = f'<td class="none" colspan="{len(heads) - len(row) + 1}">{_text(row[-1])}</td>'
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return "\n".join([*lines, "</table></div>"])
