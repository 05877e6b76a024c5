"""``anas publish``: a draft of an entry or a supernet is published, here or on the Hub, past every gate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from anas_zoo.cli.options import JsonOption
from anas_zoo.cli.output import print_json, print_lines
from anas_zoo.core.text import quoted

if TYPE_CHECKING:
    from anas_zoo.zoo.hub import HubCommit
    from anas_zoo.zoo.publishing import Plan


def publish(
    entry: Annotated[
        str,
        typer.Argument(
            metavar="ENTRY",
            help="Folder of a draft, an entry or a supernet (RUN/supernet); it is not changed.",
        ),
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
    private: Annotated[bool, typer.Option("--private", help="Make the Hub repository private.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check every gate, show files and card, and write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Publish a draft or a supernet as a new folder or on the Hub, if no evidence is missing."""
    from anas_zoo.pipeline.publish import publish as run

    done = run(entry, to, licence=licence, private=private, dry_run=dry_run)
    if as_json:
        dry = {"dry_run": True, "to": to, "private": private} if dry_run else {}
        print_json(dry | done.to_dict())
    elif done.plan is not None:
        _print_plan(done.plan, to, private)
    elif done.commit is not None:
        _print_commit(done.commit)
    elif done.folder is not None:
        folder = done.folder
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
        print_lines(f"nothing to publish: {commit.address} already holds exactly this")
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
