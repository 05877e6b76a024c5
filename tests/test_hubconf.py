from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from anas_zoo.core.resources import shelf_aliases
from anas_zoo.nets import Supernet, calibrate_bn
from anas_zoo.space import SearchSpace
from anas_zoo.zoo import EntryReport, build_config, list_models, write_draft

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that torch.hub gets from the repository, and an entry with weights on the shelf."""
    root = tmp_path_factory.mktemp("hub") / "checkout"
    for part in ("anas_zoo", "models"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__", "digits_*"))
    shutil.copy(ROOT / "hubconf.py", root)
    generator = torch.Generator().manual_seed(1)
    space = SearchSpace.load("digits")
    subnet = Supernet(space, num_classes=10, generator=generator).extract(space.smallest)
    images = torch.randn(4, 3, space.smallest.resolution, space.smallest.resolution, generator=generator)
    calibrate_bn(subnet, [images])
    config = build_config(subnet, name="digits_s", space=space, licence="Apache-2.0", source="a test")
    report = EntryReport(name="digits_s", arch_id=subnet.arch.id)
    write_draft(root / "models" / "digits_s", subnet, config, report, images)
    return root


def run(code: str, hub: Path) -> None:
    environment = os.environ | {"TORCH_HOME": str(hub), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=hub, check=False
    )
    assert done.returncode == 0, done.stderr


CHECK = """
import sys, torch
from safetensors.torch import load_file

def check(load, folder):
    golden = load_file(folder + "/golden.safetensors")
    model = load("digits_s", pretrained=True).eval()
    assert model.is_calibrated()
    assert torch.allclose(model(golden["images"]), golden["logits"], atol=1e-4)
    assert sys.modules["anas_zoo"].__file__.startswith(ROOT)
    assert load("digits_s", num_classes=3).num_classes == 3
    again = load("attentive_nas", entry=folder, pretrained=True).eval()
    assert torch.equal(again(golden["images"]), model(golden["images"]))
    arch = model.arch.to_dict() | {"resolution": 32}
    structure = model.structure
    assert load("attentive_nas", arch=arch, structure=structure, num_classes=5).num_classes == 5
    with torch.device("meta"):
        assert load("attentive_nas_a0").num_classes == 1000
        for again in (load("alphanet_a0"), load("attentive_nas", entry="alphanet_a0")):
            assert again.arch == load("attentive_nas_a0").arch
    try:
        load("attentive_nas_a0", pretrained=True)
    except Exception as exc:
        assert type(exc).__name__ == "NoWeightsError", exc
        assert "anas import authors CHECKPOINT --data DIR --out DIR" in str(exc), exc
    else:
        raise AssertionError("weights from nowhere")
"""


@pytest.mark.slow
def test_a_checkout_loads_as_a_local_repository(checkout: Path, tmp_path: Path) -> None:
    run(
        f"ROOT = {str(checkout)!r}\n{CHECK}\n"
        "check(lambda name, **kw: torch.hub.load(ROOT, name, source='local', **kw),"
        " ROOT + '/models/digits_s')\n",
        tmp_path,
    )


@pytest.mark.slow
def test_the_github_form_loads_from_a_filled_cache(checkout: Path, tmp_path: Path) -> None:
    cached = tmp_path / "hub" / "somebody_anas-zoo_main"
    shutil.copytree(checkout, cached)
    run(
        f"ROOT = {str(cached)!r}\n{CHECK}\n"
        "names = torch.hub.list('somebody/anas-zoo:main')\n"
        f"assert sorted(names) == {entry_points(list_shelf(checkout))!r}, names\n"
        "assert 'digits_s' in torch.hub.help('somebody/anas-zoo:main', 'digits_s')\n"
        "assert 'how to get them' in torch.hub.help('somebody/anas-zoo:main', 'attentive_nas_a6')\n"
        "check(lambda name, **kw: torch.hub.load('somebody/anas-zoo:main', name, **kw),"
        " ROOT + '/models/digits_s')\n",
        tmp_path,
    )


@pytest.mark.slow
def test_the_github_form_loads_from_the_archive_that_github_sends(checkout: Path, tmp_path: Path) -> None:
    archive = tmp_path / "main.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.mkdir("anas-zoo-main")
        for path in sorted(checkout.rglob("*")):
            file.write(path, Path("anas-zoo-main") / path.relative_to(checkout))
    run(
        "import torch\n"
        # Only the address is another one: download, unpacking and loading are torch.hub's own.
        f"torch.hub._git_archive_link = lambda *_: {archive.as_uri()!r}\n"
        "model = torch.hub.load('somebody/anas-zoo:main', 'digits_s', pretrained=True, trust_repo=True,"
        " skip_validation=True, verbose=False)\n"
        "assert model.is_calibrated()\n",
        tmp_path,
    )


def entry_points(shelf: list[str]) -> list[str]:
    return sorted([*shelf, *shelf_aliases(), "attentive_nas"])


def list_shelf(root: Path) -> list[str]:
    return [path.parent.name for path in (root / "models").glob("*/config.json")]


def test_entry_points_are_the_shelf_and_nothing_else() -> None:
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('hubconf.py', {str(ROOT / 'hubconf.py')!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "assert not {'torch', 'timm', 'numpy', 'anas_zoo'} & set(sys.modules)\n"
        "points = {n: f for n, f in vars(module).items() if callable(f) and not n.startswith('_')}\n"
        f"assert sorted(points) == {entry_points(list_models())!r}, sorted(points)\n"
        "for name, point in points.items():\n"
        "    assert point.__name__ == name and point.__doc__.strip(), name\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_dependencies_can_be_imported() -> None:
    tree = ast.parse((ROOT / "hubconf.py").read_text())
    node = next(
        n for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "dependencies"
    )
    for name in ast.literal_eval(node.value):
        assert __import__(name)
