"""Text from outside made safe to show on a terminal or a page."""

from __future__ import annotations

import re
import shlex
import unicodedata

# Control characters (with them ANSI's escapes), characters without a shape (with them those that turn the
# direction of writing round), halves of characters, separators of lines.
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"  # Persian, the Indic scripts and many emoji are written with them
_MARKUP = re.compile(r"[\\`*\[\]<>&|~$]")


def _is_hidden(character: str) -> bool:
    return unicodedata.category(character) in _HIDDEN and character not in _JOINERS


def hidden_characters(text: str) -> str:
    """The invisible characters of ``text``, as 'U+001B, U+202E'; '' if it has none."""
    if text.isascii() and text.isprintable():
        return ""
    return ", ".join(dict.fromkeys(f"U+{ord(c):04X}" for c in text if _is_hidden(c)))


def printable(text: str) -> str:
    """``text`` on one line of a terminal: hidden characters are shown as escapes, such as ``\\x1b``."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(repr(c)[1:-1] if _is_hidden(c) else c for c in text)


def one_line(value: object) -> str:
    """``value`` as printable text in which every run of white space is one space."""
    return printable(" ".join(str(value).split()))


def quoted(word: object) -> str:
    """``word`` as a shell takes it, for commands that people paste: quotes where it has a space or a #."""
    return shlex.quote(str(word))


def markdown(text: object) -> str:
    """``text`` as Markdown that shows exactly that, on one line: no link, no HTML, no table cell."""
    return _MARKUP.sub(lambda found: "\\" + found[0], one_line(text))


def markdown_code(text: object) -> str:
    """``text`` as a code span, in a table as well; what cannot stand in one is written otherwise."""
    inside = one_line(text).replace("`", "'").replace("|", "\\|")
    return f"`{inside}`"
