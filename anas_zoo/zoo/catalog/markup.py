"""Text of entries as a page may hold it: never markup, never a script, never a control character."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Sequence
from typing import Any

from anas_zoo.core.text import printable

__all__ = ["code_block", "inert_json", "policy", "table", "text"]


def text(value: object) -> str:
    """``value`` as text of HTML or of an attribute in quotes, in one line."""
    return html.escape(printable(" ".join(str(value).split())))


def inert_json(value: Any) -> str:
    """JSON that no HTML parser takes for the end of its script element, and no script for a new line."""
    out = json.dumps(value, separators=(",", ":"), allow_nan=False)  # ASCII: U+2028 is \\u2028 already
    return out.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table that scrolls by itself where it is too wide; without heads the first column is the head."""
    lines = ['<div class="scroll"><table>']
    if heads:
        cells = "".join(f'<th scope="col">{text(head)}</th>' for head in heads)
        lines.append(f"<thead><tr>{cells}</tr></thead>")
    lines.append("<tbody>")
    for row in rows:
        first = f"<td>{text(row[0])}</td>" if heads else f'<th scope="row">{text(row[0])}</th>'
        lines.append(f"<tr>{first}" + "".join(f"<td>{text(cell)}</td>" for cell in row[1:]) + "</tr>")
    return "\n".join([*lines, "</tbody></table></div>"])


def code_block(title: str, *lines: str) -> str:
    """Lines to be copied, one click selects them all."""
    code = "\n".join(map(text, lines))
    return f'<p class="what">{text(title)}</p>\n<pre><code class="copy">{code}</code></pre>'


def policy(*, scripts: Iterable[str], styles: Iterable[str]) -> str:
    """The Content-Security-Policy: these very scripts and styles, and nothing from anywhere."""
    return (
        f"default-src 'none'; script-src {_hashes(scripts)}; style-src {_hashes(styles)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hashes(parts: Iterable[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in parts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)
