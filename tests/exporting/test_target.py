from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from anas_zoo.core.errors import ConfigError
from anas_zoo.core.resources import resource_folder
from anas_zoo.exporting import Target, list_targets

FILE = resource_folder("export") / "targets" / "ort-cpu-fp32.yaml"


def changed(tmp_path: Path, **changes: object) -> Path:
    data = yaml.safe_load(FILE.read_text()) | changes
    path = tmp_path / f"{data['name']}.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in data.items() if value is not None}))
    return path


@pytest.mark.parametrize("name", list_targets())
def test_every_shipped_target_loads(name: str) -> None:
    target = Target.load(name)
    assert target.name == name
    assert target.tolerances.max_abs_logit_diff.value > 0


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = changed(tmp_path, name="mine", opset=19)
    assert Target.load(path).opset == 19
    assert Target.load(str(path)).name == "mine"


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'ort-cpu-fp32'\?.*targets: .*ort-cpu-fp32"):
        Target.load("ort-cpu-fp23")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"precision": "fp64"}, "precision"),
        ({"runtime": None}, "missing key 'runtime'"),
        (
            {"tolerances": {"max_abs_logit_diff": {"value": -1, "reason": "because"}}},
            "tolerances.max_abs_logit_diff.value.*tolerances.max_abs_logit_diff.reason",
        ),
    ],
)
def test_wrong_values(tmp_path: Path, change: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Target.load(changed(tmp_path, **change))


def test_a_file_under_another_name_is_refused(tmp_path: Path) -> None:
    path = changed(tmp_path)
    with pytest.raises(ConfigError, match="named 'ort-cpu-fp32', its file must be too"):
        Target.load(path.rename(tmp_path / "other.yaml"))
