"""Measure the latency of a kit's networks on this device. It needs numpy and onnxruntime.

    python measure.py [--threads 1] [--repeats 60] [--out results.json]

The kit is the folder that this file is in. Take the results back to where the kit was made:
anas latency fit --measured results.json --out latency.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
FORMAT = "anas-zoo latency results 1"
ERRORS_ONLY = 3  # onnxruntime's severity
SAY_SECONDS = 10.0  # between lines of progress

try:
    import numpy as np
    import onnxruntime
except ImportError as exc:
    sys.exit(f"measure.py: error: {exc.name} is missing; run: pip install numpy onnxruntime")

sys.path.insert(0, str(HERE))
from device import Watch, facts_of_device  # noqa: E402  # of the kit
from timing import PASSES, clock_of, groups_in, sweep  # noqa: E402


def main() -> int:
    """Measure; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="of onnxruntime; 1 by default")
    parser.add_argument("--repeats", type=int, default=60, help="measured calls of each file; 60 by default")
    parser.add_argument("--out", type=Path, default=Path("results.json"), help="the file to write")
    args = parser.parse_args()
    if args.threads < 1 or args.repeats < 2 * PASSES:
        return failed(f"--threads must be at least 1 and --repeats {2 * PASSES}")
    if args.out.exists():
        return failed(f"{args.out} exists already; give another --out, or remove it first")
    if not args.out.resolve().parent.is_dir():
        return failed(f"{args.out.parent} is no folder; give another --out")
    try:
        kit = json.loads((HERE / "kit.json").read_text(encoding="utf-8"))
        files = [HERE / name for name in kit["files"]]
    except (OSError, ValueError, KeyError, TypeError) as exc:
        return failed(f"{HERE / 'kit.json'} cannot be read ({exc}); copy the whole folder of the kit")
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        return failed(f"{len(missing)} of {len(files)} files are missing ({missing[0]}); copy the whole kit")
    try:
        results = measured(kit, files, args.threads, args.repeats)
    except Exception as exc:  # onnxruntime's own types: a file that was not copied whole
        return failed(f"measuring failed ({' '.join(str(exc).split())[:200]}); copy the whole kit")
    partial = args.out.with_name(f".{args.out.name}")
    partial.write_text(json.dumps(results, indent=1), encoding="utf-8")
    partial.replace(args.out)
    for note in results["notes"]:
        print(f"note: {note}")
    print(f"{args.out}: {len(files)} files in {results['seconds']:.0f} s; back where the kit was made, run")
    print(f"anas latency fit --measured {args.out.name} --out latency.json")
    return 0


def measured(kit: dict, files: list, threads: int, repeats: int) -> dict:
    """The content of the file of results."""
    watch, began, total = Watch(), time.monotonic(), groups_in(len(files), kit["yardsticks"])
    done, said = 0, began
    watch.look()

    def after() -> None:
        nonlocal done, said
        done += 1
        watch.look()
        if time.monotonic() - said > SAY_SECONDS:
            said = time.monotonic()
            print(f"{done} of {total} groups of files, {said - began:.0f} s", flush=True)

    clock = clock_of(threads)
    found = sweep(
        lambda number: opened(files[number], threads),
        len(files),
        yardsticks=kit["yardsticks"],
        rng=np.random.default_rng([kit["seed"], 2]),
        clock=clock,
        repeats=repeats,
        after=after,
    )
    return {
        "format": FORMAT,
        "kit": kit,
        "fingerprint": facts_of_device(threads, f"onnxruntime {onnxruntime.__version__}"),
        "clock": clock,
        "repeats": repeats,
        "ms": found.ms.tolist(),
        "level_pct": found.level_pct,
        "noise_pct": found.noise_pct,
        "seconds": time.monotonic() - began,
        "notes": watch.notes(),
    }


def opened(file: Path, threads: int):
    """A function that runs the file once on a random image."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    # Threads that spin after a run would steal the cores from the next session that is measured.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    place = session.get_inputs()[0]
    # Random values, since all zeros would let the activations take their fast paths.
    shape = (1, *place.shape[1:])
    feed = {place.name: np.random.default_rng(0).standard_normal(shape, dtype=np.float32)}
    return lambda: session.run(None, feed)


def failed(why: str) -> int:
    """Say why; the exit status."""
    print(f"measure.py: error: {why}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("measure.py: stopped; nothing was written")
