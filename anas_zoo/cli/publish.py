"""``anas publish``: a draft becomes an entry, here or on the Hub, if every gate lets it pass."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anas_zoo.cli.options import JsonOption
from anas_zoo.cli.output import print_json, print_lines
from anas_zoo.core.text import quoted

if TYPE_CHECKING:
    from anas_zoo.zoo.hub import HubCommit
    from anas_zoo.zoo.publishing import Plan

__all__ = ["publish"]


def publish(
    draft: Annotated[
        str, typer.Argument(metavar="ENTRY", help="A draft's or an entry's folder; it is left as it is.")
    ],
    to: Annotated[
        str,
        typer.Option("--to", metavar="DIR|hf://ORG/NAME[@BRANCH]", help="A new folder, or the Hub."),
    ],
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence",
            metavar="SPDX",
            help="Licence of the weights, such as Apache-2.0; for a draft that has none yet.",
        ),
    ] = None,
    private: Annotated[
        bool, typer.Option("--private", help="Make the Hub's repository a private one.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check every gate, show files and card, and write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Publish a draft as a new folder, or on the Hugging Face Hub in one commit; or refuse and say which
    evidence is missing.
    """
    from anas_zoo import zoo
    from anas_zoo.cli.entries import find_entry
    from anas_zoo.core.errors import OutputError
    from anas_zoo.zoo.hub import HubAddress, is_address

    on_hub = is_address(to)
    if private and not on_hub:
        raise OutputError(f"--private is for repositories of the Hub, and {to} is a folder; leave it out")
    if on_hub:
        HubAddress.parse(to)  # before the gates, which take a while
    source = find_entry(draft)
    if dry_run:
        plan = zoo.plan_publication(source, licence=licence)
        if as_json:
            print_json({"dry_run": True, "to": to, "private": private, **plan.to_dict()})
        else:
            _print_plan(plan, to, private)
    elif on_hub:
        commit = zoo.publish_to_hub(source, to, private=private, licence=licence)
        if as_json:
            print_json(commit.to_dict())
        else:
            _print_commit(commit)
    else:
        folder = zoo.publish(source, Path(to), licence=licence)
        if as_json:
            print_json({"folder": str(folder)})
        else:
            print_lines(f"published {folder}", f"  check it at any time: anas verify {quoted(folder)}")


def _print_plan(plan: Plan, to: str, private: bool) -> None:
    width = max(map(len, plan.files))
    total = sum(plan.files.values())
    print_lines(
        f"would publish {plan.name} to {to}{' (private)' if private else ''}, under {plan.licence}:",
        *(f"  {name.ljust(width)}  {size:>12,} bytes" for name, size in plan.files.items()),
        f"  {'total'.ljust(width)}  {total:>12,} bytes",
        "",
        *plan.card.splitlines(),
    )


def _print_commit(commit: HubCommit) -> None:
    if not commit.changed and not commit.deleted:
        print_lines(f"nothing to publish: {commit.address} holds exactly this entry")
    else:
        print_lines(f"published {commit.address}")
        print_lines(*(f"  wrote {name}" for name in commit.changed))
        if commit.deleted:
            print_lines(*(f"  removed {name}" for name in commit.deleted))
    repo = commit.address.partition("@")[0]
    print_lines(
        f"  commit {commit.commit}",
        f"  {commit.url}",
        f"  get it anywhere: anas pull {quoted(f'{repo}@{commit.commit[:40]}')} --out DIR",
    )
