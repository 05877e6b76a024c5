"""From a draft to a published entry or supernet: every gate, then card and manifest, then one rename."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import onnx

from anas_zoo.core.errors import AnasError, EntryError, OutputError
from anas_zoo.core.files import (
    atomic_write,
    disk_errors,
    output_folder,
    refuse_occupied,
    sha256_bytes,
    sha256_file,
    write_json,
)
from anas_zoo.core.hints import Call, Option
from anas_zoo.entry import (
    CARD,
    CONFIG,
    MANIFEST,
    SUPERNET,
    CheckedFolder,
    Cost,
    Entry,
    SupernetFolder,
    check_files,
    kind_of_folder,
    write_manifest,
    write_report,
)
from anas_zoo.entry.licence import broken_terms, under_licence
from anas_zoo.entry.manifest import LITERT, ONNX
from anas_zoo.exporting import Target, check_file, list_targets
from anas_zoo.exporting.litert import with_metadata
from anas_zoo.profiling import count_onnx_macs
from anas_zoo.zoo.card import model_card, stated_licence
from anas_zoo.zoo.counting import count_network
from anas_zoo.zoo.hub import HubAddress, HubCommit, check_destination, push
from anas_zoo.zoo.supernet_card import supernet_card
from anas_zoo.zoo.supernets import load_supernet, try_subnets
from anas_zoo.zoo.verifying import check_onnx_files, check_torch, network_at_hand

NO_LICENCE = {"", "unknown", "none", "unlicensed", "tbd", "todo"}


def publish(draft: str | Path, to: str | Path, *, licence: str | None = None) -> Path:
    """Publish ``draft`` as the new folder ``to``.

    Args:
        draft: a folder with config.json, report.json, model.safetensors, golden.safetensors and at least
            one validated .onnx file; or one with supernet.json and supernet.safetensors. It is left as it is.
        to: the folder that becomes the entry or the supernet; it must not hold anything yet.
        licence: SPDX name of the weights' licence, of a draft that has none yet or is to get another one.

    Returns ``to``. Raises :class:`EntryError` that names the gate which refused, and then leaves nothing
    behind; :class:`OutputError` when ``to`` is taken.
    """
    entry, to = under_licence(_read(draft), licence), Path(to)
    _refuse_taken(to, entry)
    check_gates(entry)
    with output_folder(to, "to") as staging:
        _fill(staging, entry)
    return to


def _read(folder: str | Path) -> CheckedFolder:
    return kind_of_folder(Path(folder)).read(folder)


def _refuse_taken(to: Path, entry: CheckedFolder) -> None:
    own, record = entry.weights, entry.own_files[0]
    if own is not None and (to / MANIFEST).is_file() and (to / record).is_file():
        there = type(entry)(to)
        if there.weights is not None and there.weights.sha256 == own.sha256:
            raise OutputError(
                f"{to} already holds {there.name}, published with these weights; check it: ",
                Call("verify", to),
                "; or give another ",
                Option("to"),
            )
    refuse_occupied(to, "to")


def _names(entry: CheckedFolder) -> list[str]:
    """What is published of ``entry`` and nothing else: a draft may hold notes and leftovers."""
    if entry.is_published:  # keeps its bytes, so that it stays the same everywhere
        return [MANIFEST, *entry.manifest.files]
    return list(entry.own_files)


def _fill(staging: Path, entry: CheckedFolder) -> None:
    """Put what is published of ``entry`` into the empty folder ``staging``, once the gates let it pass."""
    for name in _names(entry):
        with disk_errors(staging / name):
            shutil.copyfile(entry.folder / name, staging / name)
        if sha256_file(staging / name) != entry.sha256(name):
            raise EntryError(f"{entry.folder / name} was changed while it was published; publish it again")
    if entry.is_published:
        return
    if entry.weights != type(entry)(staging).weights:  # a licence was chosen just now
        _relicense(staging, entry)
    complete(staging)


def complete(folder: Path) -> None:
    """Write card and manifest of the draft in ``folder``, which is complete and fixed with them."""
    atomic_write(folder / CARD, _card(kind_of_folder(folder)(folder)))
    write_manifest(folder)


def _card(entry: CheckedFolder) -> str:
    if isinstance(entry, SupernetFolder):
        return supernet_card(entry.config)
    assert isinstance(entry, Entry)
    return model_card(entry.config, entry.report)


def _relicense(staging: Path, entry: CheckedFolder) -> None:
    """Write the licence of ``entry`` into its record and every exported file of ``staging``, a copy of it."""
    if isinstance(entry, SupernetFolder):
        write_json(staging / SUPERNET, entry.config.to_dict())
        return
    assert isinstance(entry, Entry)
    weights = entry.weights
    assert weights is not None
    assert weights.licence is not None
    write_json(staging / CONFIG, entry.config.to_dict())
    files = {}
    for name, info in entry.report.files.items():
        added = {"licence": weights.licence}
        if name.endswith(LITERT):
            content = with_metadata((staging / name).read_bytes(), added)
        else:
            model = onnx.load(staging / name)
            metadata = {one.key: one.value for one in model.metadata_props} | added
            onnx.helper.set_model_props(model, dict(sorted(metadata.items())))
            content = model.SerializeToString(deterministic=True)
        atomic_write(staging / name, content)
        files[name] = info.model_copy(update={"size_bytes": len(content), "sha256": sha256_bytes(content)})
    write_report(staging, entry.report.model_copy(update={"files": files}))


@contextlib.contextmanager
def staged(source: str | Path, licence: str | None = None) -> Iterator[CheckedFolder]:
    """The entry or the supernet as it would be published, after every gate, in a temporary folder.

    Raises :class:`EntryError` that names the gate which refused.
    """
    entry = under_licence(_read(source), licence)
    check_gates(entry)
    with tempfile.TemporaryDirectory(prefix="anas-publish-") as temporary:
        _fill(Path(temporary), entry)
        yield type(entry)(temporary)


@dataclass(frozen=True)
class Plan:
    """What publishing would write.

    Attributes:
        name: of the entry or the supernet.
        licence: of the weights.
        files: size in bytes of every file.
        card: the text of README.md.
    """

    name: str
    licence: str
    files: dict[str, int]
    card: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data for machines."""
        return asdict(self)


def plan_publication(source: str | Path, *, licence: str | None = None) -> Plan:
    """What :func:`publish` or :func:`publish_to_hub` would write; nothing is written and no server is asked.

    Raises :class:`EntryError` that names the gate which refused.
    """
    with staged(source, licence) as entry:
        files = {name: (entry.folder / name).stat().st_size for name in entry.files}
        card = (entry.folder / CARD).read_text(encoding="utf-8")
        return Plan(entry.name, _licence_of(entry), files, card)


def publish_to_hub(
    source: str | Path, to: str, *, private: bool = False, licence: str | None = None
) -> HubCommit:
    """Publish a draft, an entry or a supernet on the Hub, in one commit or not at all.

    Args:
        source: the folder of a draft, or of what is published already.
        to: ``hf://org/name[@branch]``; the repository and the branch are made when they do not exist.
        private: make the repository a private one.
        licence: as :func:`publish` takes it.

    Raises :class:`EntryError` that names the gate which refused, and as
    :func:`anas_zoo.zoo.hub.push` does.
    """
    address = HubAddress.parse(to)
    check_destination(address)  # before the gates, which take a while
    with staged(source, licence) as entry:
        message = f"Publish {entry.name} ({_what(entry)}, {_licence_of(entry)})"
        return push(entry.folder, address, private=private, message=message)


def _what(entry: CheckedFolder) -> str:
    if isinstance(entry, SupernetFolder):
        return f"supernet of the space {entry.space.id}"
    assert isinstance(entry, Entry)
    return f"architecture {entry.config.anas.arch_id}"


def _licence_of(entry: CheckedFolder) -> str:
    weights = entry.weights
    return (weights.licence or "") if weights is not None else ""


def check_gates(entry: CheckedFolder) -> None:
    """Refuse a draft without complete and matching evidence; the weights are loaded once, each file run once.

    Raises :class:`EntryError` beginning with the gate's name: files, consistency, licence, calibration, cost,
    accuracy, weights, golden, parity; for a supernet files, licence, weights, subnets.
    """

    def passed(gate: str, step: Callable[[], T]) -> T:
        try:
            return step()
        except AnasError as exc:
            raise EntryError(f"gate {gate!r} of {entry.folder}: ", *exc.parts) from exc

    passed("files", lambda: check_files(entry.folder))
    if isinstance(entry, SupernetFolder):
        passed("licence", lambda: _licence(entry))
        supernet = passed("weights", lambda: load_supernet(entry))
        passed("subnets", lambda: try_subnets(supernet, entry.folder))
        return
    assert isinstance(entry, Entry)
    for name, gate in _GATES.items():
        passed(name, lambda gate=gate: gate(entry))  # type: ignore[misc]
    network = passed("weights", lambda: network_at_hand(entry))
    if network is not None:
        passed("golden", lambda: check_torch(entry, network))
    passed("parity", lambda: check_onnx_files(entry, network))
    passed("parity", lambda: _check_targets(entry))
    passed("cost", lambda: _check_graph_counts(entry))


def _check_graph_counts(entry: Entry) -> None:
    """Count every file again that the report has a count of; drafts of older versions have none."""
    cost = entry.report.cost
    for name, recorded in ((cost and cost.onnx) or {}).items():
        if (found := count_onnx_macs(entry.folder / name)) != recorded:
            raise EntryError(
                f"report.json says {recorded.macs} multiply-adds and {recorded.weights + recorded.biases} "
                f"parameters of {name}, its graph has {found.macs} and {found.weights + found.biases}"
            )


def _check_targets(entry: Entry) -> None:
    """Hold every file against its target once more; a target of the user's own was held when validated."""
    for name, info in entry.report.files.items():
        if info.parity is None or info.target not in list_targets():
            continue
        target = Target.load(info.target).as_made(opset=info.opset, form=info.input)
        if not entry.is_published:  # what is published already was held to the target of its day
            check_file(entry.folder / name, target)
        limits = target.tolerances
        if (
            info.parity.max_abs_logit_diff > limits.max_abs_logit_diff.value
            or info.parity.top1_agreement_pct < limits.min_top1_agreement_pct.value
        ):
            raise EntryError(
                f"{name} differs from torch by {info.parity.max_abs_logit_diff:.3g} and agrees on "
                f"{info.parity.top1_agreement_pct:.2f} % of the images, beyond what {info.target} allows"
            )


def _consistency(entry: Entry) -> None:
    config, report = entry.config, entry.report
    problems = []
    if report.name != entry.name:
        problems.append(f"report.json is about {report.name!r}, config.json about {entry.name!r}")
    if report.arch_id != config.anas.arch_id:
        problems.append(f"report.json measured architecture {report.arch_id}, not {config.anas.arch_id}")
    if report.accuracy is not None and report.accuracy.preprocessing != config.anas.preprocessing.mode:
        problems.append("the accuracy was measured with another preprocessing than config.json states")
    if problems:
        raise EntryError("; ".join(problems))


def _licence(entry: CheckedFolder) -> None:
    weights = entry.weights
    if weights is None:
        raise EntryError("config.json states no weights; an entry without weights is not published")
    if (weights.licence or "").strip().lower() in NO_LICENCE:
        found = (
            "have none"
            if weights.licence is None
            else f"are under {weights.licence!r}, which is not a licence"
        )
        raise EntryError(
            f"the weights {found}; choose one that the training images allow and give it, such as ",
            Option("licence", "CC-BY-4.0"),
        )
    if broken := broken_terms(weights):
        raise EntryError("; ".join(broken))
    if CARD in entry.files and entry.is_published:
        stated = stated_licence((entry.folder / CARD).read_text(encoding="utf-8", errors="replace"))
        if stated != stated_licence(_card(entry)):
            record = entry.own_files[0]
            raise EntryError(f"{CARD} states another licence than {record}; publish the draft again")


def _calibration(entry: Entry) -> None:
    if entry.config.anas.calibration is None:
        raise EntryError(
            "batch norm was never calibrated; extract the draft again, which does: ", Call("extract", "RUN")
        )


def _cost(entry: Entry) -> None:
    config, cost = entry.config, entry.report.cost
    if cost is None:
        raise EntryError(
            "report.json has no cost; extract the draft again, which counts it: ", Call("extract", "RUN")
        )
    if config.is_own:  # of which the graphs alone can be counted again
        _refuse_stray_counts(cost, entry)
        return
    counted = count_network(config)
    macs, params = counted.macs, counted.params
    if (cost.macs, cost.params, cost.resolution) != (macs, params, config.resolution):
        raise EntryError(
            f"report.json says {cost.macs} multiply-adds and {cost.params} parameters at {cost.resolution}, "
            f"the network has {macs} and {params} at {config.resolution}"
        )
    if cost.params_authors not in (None, counted.params_authors):
        raise EntryError(
            f"report.json says {cost.params_authors} parameters as the authors count, there are "
            f"{counted.params_authors}"
        )
    _refuse_stray_counts(cost, entry)


def _refuse_stray_counts(cost: Cost, entry: Entry) -> None:
    if stray := sorted((cost.onnx or {}).keys() - entry.report.files.keys()):
        raise EntryError(f"report.json counts {', '.join(stray)}, which it does not list as a file")


def _accuracy(entry: Entry) -> None:
    if entry.report.accuracy is None:
        raise EntryError(
            "report.json has no accuracy on a test split; drafts of a run have it, and imports with images "
            "in folders named by class"
        )


def _parity(entry: Entry) -> None:
    files = entry.report.files
    if not files:
        raise EntryError(
            "report.json lists no ONNX file; run: ",
            Call("export", entry.folder),
            "; then: ",
            Call("validate", entry.folder),
        )
    if unproved := [name for name, info in files.items() if info.parity is None]:
        raise EntryError(
            f"{', '.join(unproved)} was never validated against torch; run: ", Call("validate", entry.folder)
        )
    if stray := [name for name in entry.files if name.endswith((ONNX, LITERT)) and name not in files]:
        raise EntryError(f"{', '.join(stray)} is in the draft but not in report.json; validate or remove it")


T = TypeVar("T")

# In the order in which a draft is made, so that the first refusal names the stage to go back to.
_GATES: dict[str, Callable[[Entry], None]] = {
    "consistency": _consistency,
    "licence": _licence,
    "calibration": _calibration,
    "accuracy": _accuracy,
    "cost": _cost,
    "parity": _parity,
}
