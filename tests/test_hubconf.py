from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from anas_zoo.core.resources import shelf_aliases
from anas_zoo.zoo import list_models

ROOT = Path(__file__).parents[1]
ENTRY_POINTS = sorted([*list_models(), *shelf_aliases(), "attentive_nas"])


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that torch.hub takes from the repository."""
    root = tmp_path_factory.mktemp("hub") / "checkout"
    for part in ("anas_zoo", "models"):
        shutil.copytree(ROOT / part, root / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "hubconf.py", root)
    return root


def run(code: str, hub: Path) -> None:
    environment = os.environ | {"TORCH_HOME": str(hub), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=hub, check=False
    )
    assert done.returncode == 0, done.stderr


CHECK = """
import sys, torch
from safetensors.torch import load_file

def check(load, root):
    golden = load_file(root + "/models/digits_s/golden.safetensors")
    model = load("digits_s", pretrained=True).eval()
    assert model.is_calibrated()
    assert torch.allclose(model(golden["images"]), golden["logits"], atol=1e-4)
    assert sys.modules["anas_zoo"].__file__.startswith(root)
    assert load("digits_s", num_classes=3).num_classes == 3
    again = load("attentive_nas", entry=root + "/models/digits_s", pretrained=True).eval()
    assert torch.equal(again(golden["images"]), model(golden["images"]))
    arch = model.arch.to_dict() | {"resolution": 32}
    assert load("attentive_nas", arch=arch, structure=model.structure, num_classes=5).num_classes == 5
    with torch.device("meta"):
        assert load("attentive_nas_a0").num_classes == 1000
        for again in (load("alphanet_a0"), load("attentive_nas", entry="alphanet_a0")):
            assert again.arch == load("attentive_nas_a0").arch
    try:
        load("attentive_nas_a0", pretrained=True)
    except Exception as exc:
        assert type(exc).__name__ == "NoWeightsError", exc
    else:
        raise AssertionError("weights from nowhere")
"""


@pytest.mark.slow
def test_a_checkout_loads_as_a_local_repository(checkout: Path, tmp_path: Path) -> None:
    run(
        f"{CHECK}\nroot = {str(checkout)!r}\n"
        "check(lambda name, **kw: torch.hub.load(root, name, source='local', **kw), root)\n",
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
        f"{CHECK}\nrepo = 'somebody/anas-zoo:main'\n"
        f"cached = {str(tmp_path / 'hub' / 'somebody_anas-zoo_main')!r}\n"
        # Only the address is another one: download, unpacking and loading are torch.hub's own.
        f"torch.hub._git_archive_link = lambda *_: {archive.as_uri()!r}\n"
        "names = torch.hub.list(repo, trust_repo=True, skip_validation=True, verbose=False)\n"
        f"assert sorted(names) == {ENTRY_POINTS!r}, names\n"
        "assert 'digits_s' in torch.hub.help(repo, 'digits_s')\n"
        "assert 'how to get them' in torch.hub.help(repo, 'attentive_nas_a6')\n"
        "check(lambda name, **kw: torch.hub.load(repo, name, **kw), cached)\n",
        tmp_path,
    )


def test_entry_points_are_the_shelf_and_nothing_else() -> None:
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('hubconf.py', {str(ROOT / 'hubconf.py')!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "assert not {'torch', 'timm', 'numpy', 'anas_zoo'} & set(sys.modules)\n"
        "points = {n: f for n, f in vars(module).items() if callable(f) and not n.startswith('_')}\n"
        f"assert sorted(points) == {ENTRY_POINTS!r}, sorted(points)\n"
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
