"""``anas show``: everything an entry or a supernet says about itself, and how to load it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anas_zoo.cli.options import EntryArgument, JsonOption
from anas_zoo.cli.output import print_json, print_lines, print_pairs, print_table
from anas_zoo.core.text import quoted

if TYPE_CHECKING:
    from anas_zoo.entry import Entry, EntryReport


def show(entry: EntryArgument, as_json: JsonOption = False) -> None:
    """Show an entry or a supernet: what it is, what was measured, its files, and how to load it."""
    from anas_zoo.cli.entries import summary
    from anas_zoo.entry import Entry, SupernetFolder, kind_of_folder
    from anas_zoo.zoo.catalog import model_of
    from anas_zoo.zoo.evidence_tables import accuracy_data
    from anas_zoo.zoo.shelf import locate

    folder = locate(entry)
    if kind_of_folder(folder) is SupernetFolder:
        from anas_zoo.cli.supernet_output import show_supernet

        show_supernet(entry, SupernetFolder.read(folder), as_json)
        return
    found = Entry.read(folder)
    facts = summary(model_of(found))
    sizes = {name: (found.folder / name).stat().st_size for name in found.files}
    loading = _loading_lines(entry, found)
    if as_json:
        measured = found.report.accuracy
        print_json(
            {
                "folder": str(found.folder),
                "summary": facts,
                "config": found.config.to_dict(),
                "report": found.report.to_dict(),
                "accuracy": None if measured is None else accuracy_data(measured, found.config.label_names),
                "files": sizes,
                "loading": loading,
            }
        )
        return
    print_lines(f"{found.name}  ({found.folder})")
    print_pairs("network", _network(found, facts))
    print_pairs("input", _input(found))
    print_pairs("numbers", _numbers(facts, found.report))
    _print_evidence(found.report, found.config.label_names)
    print_pairs("files", {name: f"{size:,} bytes" for name, size in sizes.items()})
    print_lines("", "to load it", *(f"  {line}" for line in loading))


def _network(entry: Entry, facts: dict[str, Any]) -> dict[str, str]:
    config = entry.config
    if config.is_subnet:
        arch = config.arch.to_dict()
        pairs = {"architecture": f"{config.anas.arch_id} of the space {config.space.name}"}
    else:
        arch, pairs = {}, {"architecture": config.title}
    if facts["other_names"]:
        pairs["also known as"] = ", ".join(facts["other_names"])
    pairs |= {key.replace("_", " "): str(value) for key, value in arch.items()}
    labels = config.label_names
    pairs["classes"] = str(config.num_classes) + (f": {_shortened(labels)}" if labels else "")
    weights = config.anas.weights
    if weights is None:
        pairs["weights"] = f"not distributed here; README.md in {entry.folder} says how to get them"
    else:
        pairs["weights"] = weights.source
    pairs["their licence"] = facts["weights_licence"] or "-"
    calibration = config.anas.calibration
    if not config.is_subnet:
        return pairs
    if calibration is not None and calibration.kind == "trained":
        pairs["batch norm"] = "statistics of its own training"
    elif calibration is not None:
        pairs["batch norm"] = f"calibrated on {calibration.images} images at {calibration.resolution} px"
    return pairs


def _shortened(labels: tuple[str, ...], limit: int = 10) -> str:
    return ", ".join(labels[:limit]) + (", ..." if len(labels) > limit else "")


def _input(entry: Entry) -> dict[str, str]:
    from anas_zoo.core.geometry import REFERENCE_CROP, REFERENCE_RESIZE

    pre, side = entry.config.anas.preprocessing, entry.config.resolution
    steps = f"{pre.interpolation}, crop {pre.crop_pct:g}"
    if pre.mode == "reference":
        steps = f"a {REFERENCE_CROP} crop of {REFERENCE_RESIZE} ({pre.interpolation}), resized (bicubic)"
    return {
        "size": f"3 x {side} x {side}, {pre.colour}",
        "preprocessing": f"{pre.mode}, {steps}",
        "transparency": {"white": "laid on white", "dropped": "dropped"}[pre.transparency],
        "mean": ", ".join(f"{value:g}" for value in pre.mean),
        "std": ", ".join(f"{value:g}" for value in pre.std),
    }


def _numbers(facts: dict[str, Any], report: EntryReport) -> dict[str, str]:
    pairs = {
        "cost": f"{facts['macs'] / 1e6:.3f} MFLOPs (multiply-adds)",
        "parameters": f"{facts['params']:,}",
    }
    if report.accuracy is not None:
        own = report.accuracy
        pairs["top-1"] = f"{own.top1}, measured on {own.images} images of {own.source} ({own.split})"
        if own.ece_pct is not None:
            pairs["calibration error"] = f"{own.ece_pct:.2f} %, expected, over 15 bins of confidence"
    elif report.published is not None:
        other = report.published
        pairs["top-1"] = (
            f"{other.top1_pct:.2f} % on {other.dataset}, published by {other.source}; not measured here"
        )
    else:
        pairs["top-1"] = "not measured"
    return pairs


def _print_evidence(report: EntryReport, labels: tuple[str, ...] | None) -> None:
    """Accuracy by class, every further accuracy, every count of the cost, every exported file."""
    from anas_zoo.zoo import evidence_tables
    from anas_zoo.zoo.cost_table import cost_rows

    cost = [] if report.cost is None else cost_rows(report.cost)
    heads, files = evidence_tables.file_table(report.files)
    tables = ({} if report.accuracy is None else evidence_tables.class_tables(report.accuracy, labels)) | {
        "further accuracies, measured": evidence_tables.measured_table(report.further_accuracy),
        "further accuracies, published, not measured here": evidence_tables.published_table(
            report.also_published
        ),
        "cost": (["what", "count", "why"], [[row.what, f"{row.count:,}", row.why] for row in cost]),
        "exported files": (heads[:-1], [row[:-1] for row in files]),  # where they ran is below, or said there
        "latency": evidence_tables.latency_table(report.files),
    }
    for title, (columns, rows) in tables.items():
        if rows:
            print_lines("", title)
            print_table(columns, rows)
    notes: dict[str, dict[str, str]] = {"int8": {}, "not run here": {}, "made and refused": report.refused}
    for name, info in report.files.items():
        if info.quantization is not None:
            notes["int8"][name] = info.quantization.beside_float(info.size_bytes)
        if info.parity is not None and info.parity.not_run_here:
            notes["not run here"][name] = info.parity.not_run_here
    for title, lines in notes.items():
        if lines:
            print_lines("", title, *(f"  {name}: {why}" for name, why in lines.items()))


def _loading_lines(name: str, entry: Entry) -> list[str]:
    from anas_zoo.entry.manifest import LITERT

    pretrained = "True" if entry.has_weights else "False"
    made = f'python: import anas_zoo; model = anas_zoo.create_model("{name}", pretrained={pretrained})'
    lines = [] if entry.config.is_own else [made]
    lines += [
        f'LiteRT: Interpreter(model_path="{entry.folder / file}")'
        if file.endswith(LITERT)
        else f'onnxruntime: onnxruntime.InferenceSession("{entry.folder / file}")'
        for file in entry.report.files
        if file in entry.files
    ]
    if entry.report.files:
        lines.append(f"command line: anas predict {quoted(name)} IMAGE")
    return lines
