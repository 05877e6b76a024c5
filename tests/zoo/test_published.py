"""Published networks: once-for-all's specialised nets against the golden facts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anas_zoo.core.errors import NoWeightsError
from anas_zoo.core.resources import resource_folder
from anas_zoo.entry import Entry
from anas_zoo.nets.sources.ofa import ofa_preprocessing
from anas_zoo.zoo import create_model, list_models
from anas_zoo.zoo.catalog import read_folder
from anas_zoo.zoo.published import load_published

FACTS = json.loads((Path(__file__).parents[1] / "golden" / "ofa_mbv3.json").read_text(encoding="utf-8"))
OFA = load_published("ofa").models
SHELF = resource_folder("models")


def test_the_specialised_nets_are_the_golden_ones() -> None:
    golden = {net["id"]: net for net in FACTS["specialised"]}
    assert len(golden) == 34
    assert {model.published_as for model in OFA} == set(golden)
    for model in OFA:
        net, entry = golden[str(model.published_as)], Entry.read(SHELF / model.name)
        assert model.git_blob == net["git_blob_of_init"]
        assert entry.report.cost is not None
        assert (entry.report.cost.macs, entry.report.cost.params) == (net["macs"], net["params"])
        assert entry.report.published is not None
        assert entry.report.published.top1_pct == net["published_top1_pct"]
        assert entry.report.published.source == f"arXiv:1908.09791, {net['id']}"
        assert entry.report.accuracy is None
        assert not entry.has_weights
        assert entry.config.anas.preprocessing.sides(net["resolution"]) == (
            -(-net["resolution"] * 8 // 7),  # ⌈R / 0.875⌉, the authors' evaluation
            net["resolution"],
        )


@pytest.mark.parametrize("resolution", range(64, 513, 4))
def test_the_preprocessing_is_the_authors_to_the_pixel(resolution: int) -> None:
    assert ofa_preprocessing(resolution).sides(resolution) == (-(-resolution * 8 // 7), resolution)


def test_names_that_are_one_architecture_are_shown_as_such() -> None:
    models = {model.name: model for model in read_folder(SHELF)}
    twins: dict[str, set[str]] = {}
    for model in OFA:
        twins.setdefault(model.architecture.id, set()).add(model.name)
    assert {"ofa_lg_g8_24ms", "ofa_pixel1_58ms"} in twins.values()
    for names in twins.values():
        for name in names:
            assert set(models[name].other_names) == names - {name}


def test_every_specialised_net_is_a_timm_model_whose_weights_are_to_be_imported() -> None:
    names = [name for name in list_models() if name.startswith("ofa_")]
    assert sorted(names) == sorted(model.name for model in OFA)
    how = r"net\.config, run\.config, init\) with: anas import ofa FOLDER --out ofa_389m"
    with pytest.raises(NoWeightsError, match=rf"^ofa_389m has no weights on the shelf.*{how}"):
        create_model("ofa_389m", pretrained=True)
    assert create_model("ofa_389m", num_classes=7).num_classes == 7
