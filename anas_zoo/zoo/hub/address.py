"""Address of a repository on the Hub: ``hf://org/name[@revision]``, or timm's form, ``hf-hub:``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from anas_zoo.core.errors import HubError

PREFIXES = ("hf://", "hf-hub:")


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

        Raises :class:`HubError` for what is not a valid address.
        """
        from huggingface_hub.errors import HFValidationError
        from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

        prefix = next((known for known in PREFIXES if text.startswith(known)), "")
        repo_id, _, revision = text.removeprefix(prefix).partition("@")
        try:
            validate_repo_id(repo_id)
            if not prefix or "/" not in repo_id or ".." in revision:
                raise HFValidationError("a part is missing or not allowed")
        except HFValidationError as exc:
            raise HubError(
                f"{text!r} is not a valid address of the Hub; write hf://org/name or "
                f"hf://org/name@revision ({exc})"
            ) from exc
        return cls(repo_id, revision or None)

    @property
    def pinned(self) -> bool:
        """Whether the revision is a commit, which never changes."""
        return self.revision is not None and re.fullmatch(r"[0-9a-f]{40}", self.revision) is not None

    def at(self, revision: str | None) -> HubAddress:
        """The same repository at another revision."""
        return HubAddress(self.repo_id, revision)

    def __str__(self) -> str:
        return f"hf://{self.repo_id}" + (f"@{self.revision}" if self.revision else "")
