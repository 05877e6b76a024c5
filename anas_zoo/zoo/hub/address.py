"""Where an entry lies on the Hub: ``hf://org/name[@revision]``, or timm's way of writing it, ``hf-hub:``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from anas_zoo.core.errors import HubError

__all__ = ["COMMIT", "PREFIXES", "HubAddress", "is_address"]

PREFIXES = ("hf://", "hf-hub:")
COMMIT = re.compile(r"[0-9a-f]{40}")
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_REPOSITORY = re.compile(rf"{_PART}/{_PART}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]*")
MAX_REPOSITORY = 96  # characters; the Hub's own limit


def is_address(text: str) -> bool:
    """Whether ``text`` is written as an address of the Hub."""
    return text.startswith(PREFIXES)


@dataclass(frozen=True)
class HubAddress:
    """A repository on the Hub and, where it matters, which state of it.

    Attributes:
        repo_id: "org/name".
        revision: a branch, a tag or the 40 digits of a commit; None for the branch main.
    """

    repo_id: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``hf://org/name[@revision]`` or ``hf-hub:org/name[@revision]``.

        Raises :class:`HubError` for anything else.
        """
        prefix = next((known for known in PREFIXES if text.startswith(known)), "")
        repo_id, at, revision = text.removeprefix(prefix).partition("@")
        bad_name = not _REPOSITORY.fullmatch(repo_id) or len(repo_id) > MAX_REPOSITORY
        if not prefix or bad_name or "--" in repo_id or ".." in repo_id or repo_id.endswith(".git"):
            raise HubError(
                f"{text!r} is no address of the Hub; write hf://org/name or hf://org/name@revision, with "
                "letters, digits, '.', '_' and '-' in both names"
            )
        if at and (not _REVISION.fullmatch(revision) or ".." in revision):
            raise HubError(
                f"{text!r}: {revision!r} cannot be a branch, tag or commit; write hf://{repo_id}@main"
            )
        return cls(repo_id, revision or None)

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit, which never changes."""
        return self.revision is not None and COMMIT.fullmatch(self.revision) is not None

    def at(self, revision: str | None) -> HubAddress:
        """The same repository at another revision."""
        return HubAddress(self.repo_id, revision)

    def __str__(self) -> str:
        return f"hf://{self.repo_id}" + (f"@{self.revision}" if self.revision else "")
