"""One published entry, loaded in every way there is: the logits are the golden ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hub_program import ROOT, Program, environment
from hub_server import Fault, Hub

pytest_plugins = ["hub_fixtures"]

COMMON = """
import sys, numpy as np
repo, commit, folder, checkout = sys.argv[1:]
"""
GOLDEN = """
import torch
from huggingface_hub import hf_hub_download
from safetensors.torch import load_file
golden = load_file(hf_hub_download(repo, "golden.safetensors", revision=commit))

def check(what, create):
    model = create(pretrained=True).eval()
    with torch.no_grad():
        logits = model(golden["images"])
        assert torch.allclose(logits, golden["logits"], atol=1e-4), what
        small = create(pretrained=True, num_classes=3).eval()
        assert small(golden["images"]).shape == (len(logits), 3), what
        features = [one.forward_features(golden["images"]) for one in (small, model)]
        assert torch.equal(*features), what
        maps = create(pretrained=True, features_only=True).eval()(golden["images"])
        assert len(maps) > 1 and all(m.shape[0] == len(logits) for m in maps), what
    print(what)
"""
WAYS = {
    "timm": """
import timm, anas_zoo
check("hf-hub", lambda **kw: timm.create_model(f"hf-hub:{repo}", **kw))
check("hf-hub@", lambda **kw: timm.create_model(f"hf-hub:{repo}@{commit}", **kw))
check("local-dir", lambda **kw: timm.create_model(f"local-dir:{folder}", **kw))
""",
    "anas_zoo": """
import anas_zoo
for source in (f"hf-hub:{repo}", f"hf-hub:{repo}@{commit}", f"hf://{repo}", folder, "digits_s"):
    check(source, lambda **kw: anas_zoo.create_model(source, **kw))
cfg = anas_zoo.create_model(f"hf-hub:{repo}", pretrained=True).pretrained_cfg
assert (cfg["hf_hub_id"], cfg["source"], cfg["file"]) == (f"{repo}@{commit}", "hf-hub", None), cfg
""",
    "torch.hub": """
import os, shutil
cached = os.path.join(torch.hub.get_dir(), "somebody_anas-zoo_main")
shutil.copytree(checkout, cached, ignore=lambda d, names: set(names) - {"anas_zoo", "models", "hubconf.py"}
                if d == checkout else {"__pycache__"} & set(names))
github = lambda name, **kw: torch.hub.load("somebody/anas-zoo:main", name, **kw)
local = lambda name, **kw: torch.hub.load(checkout, name, source="local", **kw)
for what, load in (("github", github), ("local", local)):
    check(what, lambda **kw: load("digits_s", **kw))
    check(what + " entry", lambda **kw: load("attentive_nas", entry=f"hf-hub:{repo}", **kw))
""",
}
ONNX_ALONE = """
import onnxruntime
from huggingface_hub import hf_hub_download
from safetensors.numpy import load_file
golden = load_file(hf_hub_download(repo, "golden.safetensors", revision=commit))
session = onnxruntime.InferenceSession(hf_hub_download(repo, "model.onnx", revision=commit))
logits = session.run(["logits"], {"image": golden["images"]})[0]
assert np.allclose(logits, golden["logits"], atol=1e-3), abs(logits - golden["logits"]).max()
assert not {"torch", "timm", "anas_zoo"} & set(sys.modules)
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", [*WAYS, "onnxruntime"])
def test_the_logits_are_the_golden_ones(
    way: str, hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path
) -> None:
    commit = program.push(entry, address).out.strip()
    code = COMMON + (GOLDEN + WAYS[way] if way in WAYS else ONNX_ALONE)
    arguments = [address.removeprefix("hf://"), commit, str(entry), str(ROOT)]
    env = environment(hub, tmp_path / "home")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        env=env, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_weights_that_were_altered_are_not_loaded(
    hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path
) -> None:

    program.push(entry, address)
    hub.faults.add(Fault("GET /large/", "flip", times=None))
    code = (
        "import sys, anas_zoo\n"
        "from anas_zoo.core.errors import EntryError\n"
        "try:\n"
        "    anas_zoo.create_model(sys.argv[1], pretrained=True)\n"
        "except EntryError as exc:\n"
        "    assert 'model.safetensors as the Hub sends it is not the file' in str(exc), exc\n"
        "else:\n"
        "    raise AssertionError('loaded')\n"
    )
    env = environment(hub, tmp_path / "home")
    done = subprocess.run(
        [sys.executable, "-c", code, address], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
