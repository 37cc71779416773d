"""`quickstudy list` and `data`: what there is."""

from __future__ import annotations

import dataclasses

import click

from .. import registry
from ..errors import UnknownName
from .output import as_json, console, emit, table

KINDS = {"learners": "learner", "sources": "source", "nets": "net"}
ENCODERS = "encoders"  # which are no part of a recipe, and say whether they are ready here


@click.command("list")
@click.argument("what", required=False, metavar="[learners|sources|nets|encoders]")
@as_json
def list_command(what: str | None, as_json: bool) -> None:
    """What there is, with one line and the paper each.

    \b
    quickstudy list
    quickstudy list learners
    """
    if what is not None and what not in (*KINDS, ENCODERS):
        raise UnknownName.among("list", what, (*KINDS, ENCODERS))
    if what == ENCODERS:
        _list_encoders(as_json)
        return
    shown = [what] if what else list(KINDS)
    found = {kind: registry.entries(KINDS[kind]) for kind in shown}
    if as_json:
        plain = {
            k: [{"name": e.name, "line": e.line, "paper": e.paper} for e in entries] for k, entries in found.items()
        }
        emit(plain, "", True)
        return
    for kind, entries in found.items():
        table([kind, "", "paper"], [[e.name, e.line, e.paper] for e in entries])
        click.echo()


def _list_encoders(wants_json: bool) -> None:
    from ..encoders.choice import CHOICES

    rows = [{"name": c.name, "reads": c.modality, "line": c.what, "ready": c.ready()} for c in CHOICES]
    if wants_json:
        emit(rows, "", True)
        return
    lines = [[str(r["name"]), str(r["reads"]), str(r["line"]), "yes" if r["ready"] else "no"] for r in rows]
    table([ENCODERS, "reads", "", "ready here"], lines)


@click.group("data")
def data_command() -> None:
    """Data sets by name: what is here, fetch one, check one.

    \b
    quickstudy data show
    quickstudy data fetch omniglot
    quickstudy data verify omniglot
    """


@data_command.command("show")
@as_json
def data_show(as_json: bool) -> None:
    """Every named data set, and where it was found."""
    from ..tasks.datasets import brought, named

    rows = [*named.catalogue(), *brought.catalogue()]
    if as_json:
        emit([dataclasses.asdict(row) for row in rows], "", True)
        return
    table(
        ["name", "what", "licence", "found"],
        [[r.name, r.what, r.licence, str(r.found or f"no: quickstudy data fetch {r.name}")] for r in rows],
    )


@data_command.command("fetch")
@click.argument("name")
def data_fetch(name: str) -> None:
    """Download a data set from its official place, check its hash, convert and cache it."""
    from ..tasks.datasets.brought import BROUGHT, brought
    from ..tasks.datasets.named import fetch

    if name in BROUGHT:  # where it is, or how to bring it
        click.echo(str(brought(name)[0].parent))
        return
    with console().status(f"Fetching {name} ..."):
        path = fetch(name)
    click.echo(str(path))


@data_command.command("verify")
@click.argument("name")
def data_verify(name: str) -> None:
    """Check a data set that is here against what it should be."""
    from ..tasks.datasets.named import verify

    click.echo(verify(name))
