"""Stage: a front, or named architectures -> drafts of fixed subnets: calibrated, tested once, profiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anas_zoo.core.errors import OutputError, SearchError
from anas_zoo.core.files import output_folder, sha256_file, write_json
from anas_zoo.core.hints import Call, Option
from anas_zoo.core.progress import track
from anas_zoo.core.schema import read_json
from anas_zoo.core.text import quoted
from anas_zoo.entry import SUPERNET_WEIGHTS, Entry
from anas_zoo.nets import Subnet
from anas_zoo.pipeline.fixed_training import tempered
from anas_zoo.pipeline.run import Run
from anas_zoo.pipeline.search_folder import finished_search, recorded_search
from anas_zoo.pipeline.search_scoring import make_evaluator
from anas_zoo.pipeline.tested_draft import write_tested_draft
from anas_zoo.pipeline.truncated import space_of
from anas_zoo.pipeline.winners import Winners, chosen_winners, trained_winner
from anas_zoo.searching import Evaluation, best_under, pick_subnets, read_evaluations
from anas_zoo.searching.archive import FRONT
from anas_zoo.space import Architecture, SearchSpace

SHORTEST_ID = 4
ORDER = "order.json"


@dataclass(frozen=True)
class Extracted:
    """What :func:`extract` made.

    Attributes:
        drafts: folders of the drafts, which :func:`anas_zoo.export` takes next.
    """

    drafts: tuple[Path, ...]


def extract(
    run: str | Path,
    *,
    max_mflops: float | Sequence[float] | None = None,
    arch: str | Sequence[str] | None = None,
    search: str | Path | None = None,
    data: str | None = None,
) -> Extracted:
    """Extract subnets of a search, calibrate, profile, and test them once on the test split.

    Args:
        run: the folder of a run with a finished search.
        max_mflops: million multiply-adds; the most accurate subnet within each is extracted. Without it and
            ``arch``, subnets spread over the front, from small to large.
        arch: architectures that the search evaluated, each by the beginning of its id, or a ``.json`` file of
            one; they join what was extracted before.
        search: the folder of the search to extract from; by default ``RUN/search``.
        data: where the run's images are now, if they moved; the run remembers it.

    Raises :class:`SearchError` when the search is not finished, is of another space, or has no such
    architecture; :class:`OutputError` for what was extracted before.
    """
    if arch and max_mflops:
        raise SearchError(
            Option("arch"), " and ", Option("max_mflops"), " name architectures in two ways; give one of them"
        )
    folder = None if search is None else Path(search)
    opened = Run.open(Path(run), data)
    if arch:
        texts, where = [arch] if isinstance(arch, str) else arch, folder or opened.search_folder
        names = extract_more(opened, [find_architecture(text, where, opened.space, run) for text in texts])
    else:
        found = _found(folder or opened.search_folder, opened.space, opened.folder, folder)
        if max_mflops:
            limits = [max_mflops] if isinstance(max_mflops, (int, float)) else max_mflops
            best = {best_under(found, round(limit * 1e6)) for limit in limits}
            chosen = sorted(best, key=lambda item: item.macs)
        else:
            chosen = pick_subnets(found, opened.recipe.search.subnets)
        names = extract_stage(opened, chosen=chosen, search=folder)
    return Extracted(tuple(opened.drafts_folder / name for name in names))


def _found(search: Path, space: SearchSpace, run: Path | str, out: Path | None) -> list[Evaluation]:
    evaluations = read_evaluations(finished_search(search, run, out))
    record = recorded_search(search)
    if record is not None and record["space"]["id"] != space.id:
        raise SearchError(
            f"{search} is a search of the space {record['space']['name']!r}, {space.name!r} is needed"
        )
    return evaluations


def extract_stage(
    run: Run, *, chosen: Sequence[Evaluation] | None = None, search: Path | None = None
) -> list[str]:
    """Extract the ``chosen`` subnets (default: spread over the front) into the new ``RUN/subnets``.

    Those of a run that trains them on are its trained ones by default. ``search`` is the folder of the search
    that found them, where it is not the run's own. Returns their names from small to large. Only extraction
    sees the test split.

    Raises :class:`OutputError` where something was extracted before.
    """
    run.use_threads()
    winners = Winners.of(run) if chosen is None else None
    if chosen is None:
        chosen = chosen_winners(run)
    _refuse_extracted(run, chosen, search)
    names = run.entry_names(len(chosen))
    evaluator = make_evaluator(run) if winners is None else None
    with output_folder(run.drafts_folder) as staging:
        pairs = list(zip(names, chosen, strict=True))
        for name, evaluation in track(pairs, "extract, calibrate, test and profile"):
            if evaluator is not None:
                _write(run, staging / name, name, evaluator.calibrated(evaluation.arch))
            else:
                stages = f"; its first {len(evaluation.arch.depth)} stages" if run.is_truncated else ""
                subnet = trained_winner(run, name).cpu()
                how = f"{stages}; then trained on as a fixed network; {tempered(run, subnet)}"
                _write(run, staging / name, name, subnet, how)
        write_json(staging / ORDER, names)
    return names


def _refuse_extracted(run: Run, chosen: Sequence[Evaluation], search: Path | None) -> None:
    """Where there are drafts, those that were chosen can only join them, each under its id."""
    if not run.drafts_folder.is_dir() or not any(run.drafts_folder.iterdir()):
        return
    ids = {Entry.read(draft).config.anas.arch_id for draft in run.drafts().values()}
    new = [item.arch.id for item in chosen if item.arch.id not in ids]
    raise OutputError(
        f"{run.drafts_folder} already holds {', '.join(run.entry_order())}; "
        f"add {'these' if new else 'others'} by id: ",
        Call("extract", run.folder, search=search, arch=new or "ID"),
        f"; or extract anew after: rm -r {quoted(run.drafts_folder)}",
    )


def extract_more(run: Run, archs: Sequence[Architecture]) -> list[str]:
    """Extract ``archs`` beside what ``RUN/subnets`` may hold, each under the run's name and its id.

    Returns their names. Raises :class:`OutputError` when one is there already, and
    :class:`SpaceError` for one outside the run's space.
    """
    run.use_threads()
    named = {f"{run.recipe.name}_{arch.id}": arch for arch in archs}
    for name, arch in named.items():
        run.space.validate(arch)
        if (run.drafts_folder / name).exists():
            raise OutputError(f"{run.drafts_folder / name} was extracted already; remove it to do it again")
    evaluator = make_evaluator(run)
    for name, arch in track(list(named.items()), "extract, calibrate, test and profile"):
        with output_folder(run.drafts_folder / name) as staging:
            _write(run, staging, name, evaluator.calibrated(arch))
        order = run.drafts_folder / ORDER
        before = read_json(order, error=OutputError) if order.is_file() else []
        write_json(order, sorted([*before, name], key=lambda name: _macs(run.drafts_folder / name)))
    return list(named)


def find_architecture(
    text: str, search: Path, space: SearchSpace, run: str | Path | None = None
) -> Architecture:
    """The architecture that ``text`` names: a JSON file, or the beginning of an evaluated one's id.

    Args:
        text: what a user typed.
        search: the folder of the search that evaluated it.
        space: that it has to be in.
        run: whose search it is, for errors.

    Raises :class:`SearchError` when no evaluation, or more than one, has such an id.
    """
    if not text.endswith(".json") and (len(text) < SHORTEST_ID or Path(text).exists() or "/" in text):
        raise SearchError(
            Option("arch"),
            f" is {text!r}: give at least {SHORTEST_ID} digits of an id, or an architecture's .json file",
        )
    if text.endswith(".json"):
        arch = Architecture.from_dict(read_json(Path(text), error=SearchError))
        space.validate(arch)
        return arch
    evaluations = _found(search, space, run or "RUN", search)
    found = {e.arch for e in evaluations if e.arch.id.startswith(text)}
    front = read_json(search / FRONT, error=SearchError)
    for baseline in front.get("baselines", front.get("references", [])):
        if text in (baseline["name"], baseline["evaluation"]["arch_id"]):
            found.add(Architecture.from_dict(baseline["evaluation"]["arch"]))
    if len(found) == 1:
        arch = found.pop()
        space.validate(arch)
        return arch
    what = "none" if not found else f"{len(found)}"
    raise SearchError(
        f"{what} of the {len(evaluations)} architectures evaluated in {search} has an id that begins with "
        f"{text!r}; give more of the 12 digits (see {search / FRONT}), or the .json file of one"
    )


def _macs(draft: Path) -> int:
    cost = Entry.read(draft).report.cost
    return 0 if cost is None else cost.macs


def _write(run: Run, folder: Path, name: str, subnet: Subnet, how: str = "") -> None:
    weights = run.init_folder / SUPERNET_WEIGHTS if run.is_truncated else run.supernet_file
    write_tested_draft(
        folder,
        subnet,
        run.test_images,
        run.source,
        name=name,
        space=space_of(run, subnet.arch) if run.is_truncated else run.space,
        licence=run.licence,
        lineage=run.provenance + how,
        source_sha256=sha256_file(weights),
        ancestors=run.lineage,
    )
