from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from anas_zoo.core.resources import shelf_aliases
from anas_zoo.zoo import list_models

ROOT = Path(__file__).parents[1]
ENTRY_POINTS = sorted([*list_models(), *shelf_aliases(), "attentive_nas"])

CHECK = """
import sys, torch
from safetensors.torch import load_file

# Only the address is another one: download, unpacking and loading are torch.hub's own.
torch.hub._git_archive_link = lambda *_: ARCHIVE
REPO, QUIET = "somebody/anas-zoo:main", {"trust_repo": True, "skip_validation": True, "verbose": False}
load = lambda name, **kw: torch.hub.load(REPO, name, **QUIET, **kw)
model = load("digits_s", pretrained=True).eval()
assert sys.modules["anas_zoo"].__file__.startswith(torch.hub.get_dir())
shelf = torch.hub.get_dir() + "/somebody_anas-zoo_main/models/"
golden = load_file(shelf + "digits_s/golden.safetensors")
assert torch.allclose(model(golden["images"]), golden["logits"], atol=1e-4)
assert load("digits_s", num_classes=3).num_classes == 3
again = load("attentive_nas", entry=shelf + "digits_s", pretrained=True).eval()
assert torch.equal(again(golden["images"]), model(golden["images"]))
arch = model.arch.to_dict() | {"resolution": 32}
assert load("attentive_nas", arch=arch, structure=model.structure, num_classes=5).num_classes == 5
with torch.device("meta"):
    assert load("alphanet_a0").arch == load("attentive_nas_a0").arch
assert "digits_s" in torch.hub.help(REPO, "digits_s")
assert "how to get them" in torch.hub.help(REPO, "attentive_nas_a6")
try:
    load("attentive_nas_a0", pretrained=True)
except Exception as exc:
    assert type(exc).__name__ == "NoWeightsError", exc
else:
    raise AssertionError("weights from nowhere")
"""


@pytest.mark.slow
def test_torch_hub_loads_from_the_archive_that_github_sends(tmp_path: Path) -> None:
    archive = tmp_path / "main.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.mkdir("anas-zoo-main")
        for part in ("anas_zoo", "models", "hubconf.py"):
            paths = (ROOT / part).rglob("*") if (ROOT / part).is_dir() else [ROOT / part]
            for path in sorted(paths):
                if "__pycache__" not in path.parts:
                    file.write(path, Path("anas-zoo-main") / path.relative_to(ROOT))
    environment = os.environ | {"TORCH_HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, "-c", f"ARCHIVE = {archive.as_uri()!r}\n{CHECK}"],
        capture_output=True, text=True, env=environment, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def entry_points(shelf: list[str]) -> list[str]:
    return sorted([*shelf, *shelf_aliases(), "attentive_nas"])


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
