"""Made-up searches for the tests of what is shown of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anas_zoo.core.hints import Call
from anas_zoo.pipeline.search_view.view import SearchView
from anas_zoo.searching import Evaluation, pareto_front
from anas_zoo.searching.front import Baseline, answers_of
from anas_zoo.space import Architecture, SearchSpace
from anas_zoo.zoo.published import load_published

HOSTILE = "</script><script>alert(1)</script><!-- $a$ & <b>\"'\u2028 %{x} {{title}}"


def evaluate(space: SearchSpace, archs: Sequence[Architecture], *, latency: bool = False) -> list[Evaluation]:
    """Evaluations with an accuracy that rises smoothly with the multiply-adds, and some noise of its own."""
    macs, params, sizes = space.macs(archs), space.params(archs), space.size_bytes(archs)
    found = []
    for index, arch in enumerate(archs):
        noise = int(arch.id[:4], 16) / 65536
        top1_pct = 82.0 - 55.0 * (float(macs[index]) / 1e8) ** -0.9 - 2.5 * noise
        found.append(
            Evaluation(
                arch=arch,
                macs=int(macs[index]),
                params=int(params[index]),
                top1_pct=round(max(0.1, top1_pct), 3),
                images=359,
                size_bytes=int(sizes[index]),
                latency_ms=round(1.5 + float(macs[index]) / 4e7 + noise, 4) if latency else None,
                round=index // 64,
            )
        )
    return found


def baselines(space: SearchSpace, *, latency: bool = False) -> list[Baseline]:
    """The published models, scored by the same made-up rule."""
    models = load_published().models
    scored = evaluate(space, [Architecture.from_dict(model.arch) for model in models], latency=latency)
    return [Baseline(m.name, e, dict(m.top1_pct)) for m, e in zip(models, scored, strict=True)]


def made_up(
    count: int,
    objectives: tuple[str, ...] = ("top1_pct", "macs"),
    *,
    space: str = "attentive_nas",
    budgets: Sequence[tuple[str, float]] = (("macs", 300e6), ("macs", 500e6)),
    **fields: Any,
) -> SearchView:
    """A view of ``count`` evaluations of a preset; ``fields`` replace what it would hold."""
    chosen = SearchSpace.load(space)
    latency = "latency_ms" in objectives
    archs = chosen.decode(chosen.tilted_codes(np.random.default_rng(3), count))
    evaluations = evaluate(chosen, list(dict.fromkeys(archs)), latency=latency)
    known = baselines(chosen, latency=latency) if space == "attentive_nas" else []
    defaults: dict[str, Any] = {
        "title": f"{space}: {len(evaluations)} evaluated subnets",
        "objectives": objectives,
        "evaluations": evaluations,
        "front": pareto_front(evaluations, objectives),
        "scored_by": "search split, 359 images in 4 views",
        "failures": 2,
        "answers": answers_of(evaluations, budgets),
        "baselines": known,
        "about": {"algorithm": "nsga2", "seed": "0", "space": space},
        "extract": lambda arch_id: Call("extract", "runs/digits", arch=arch_id),
    }
    return SearchView(**(defaults | fields))
