"""Stage: a draft with all its evidence -> a published entry or supernet, in a folder or on the Hub."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anas_zoo import zoo
from anas_zoo.core.errors import OutputError
from anas_zoo.core.hints import Option
from anas_zoo.entry import CheckedFolder
from anas_zoo.zoo.hub import HubAddress, HubCommit, is_address
from anas_zoo.zoo.publishing import Plan
from anas_zoo.zoo.shelf import locate


@dataclass(frozen=True)
class Publication:
    """What :func:`publish` did; one of these is not None.

    Attributes:
        folder: the new folder.
        commit: the Hub's commit that holds it.
        plan: what would be published, of a dry run.
    """

    folder: Path | None = None
    commit: HubCommit | None = None
    plan: Plan | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        if self.folder is not None:
            return {"folder": str(self.folder)}
        done = self.commit or self.plan
        return {} if done is None else done.to_dict()


def publish(
    entry: str | Path | CheckedFolder,
    to: str | Path,
    *,
    licence: str | None = None,
    private: bool = False,
    dry_run: bool = False,
) -> Publication:
    """Publish a draft, or an entry or a supernet once more, if every gate lets it pass; it is left as it is.

    Args:
        entry: a draft's folder, an entry as everywhere, or a supernet's folder.
        to: a new folder, or ``hf://org/name[@branch]``, which gets one commit.
        licence: SPDX name of the weights' licence, of a draft that has none yet or is to get another one.
        private: make the Hub's repository a private one.
        dry_run: pass every gate and write nothing.

    Raises :class:`EntryError` that names the gate which refused, and then leaves nothing behind;
    :class:`OutputError` when ``to`` is taken; :class:`HubError` for what the Hub refuses.
    """
    on_hub = is_address(str(to))
    if private and not on_hub:
        raise OutputError(
            Option("private"), f" is for repositories of the Hub, and {to} is a folder; leave it out"
        )
    if on_hub:
        HubAddress.parse(str(to))  # before the gates, which take a while
    source = locate(entry)
    if dry_run:
        return Publication(plan=zoo.plan_publication(source, licence=licence))
    if on_hub:
        return Publication(commit=zoo.publish_to_hub(source, str(to), private=private, licence=licence))
    return Publication(folder=zoo.publish(source, Path(to), licence=licence))
