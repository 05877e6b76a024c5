"""One published entry, loaded in every way there is: the logits are the golden ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hub_program import ROOT, Program, environment
from hub_server import Hub

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
        assert torch.allclose(model(golden["images"]), golden["logits"], atol=1e-4), what
"""
WAYS = {
    "timm and anas_zoo": """
import timm, anas_zoo
for source in (f"hf-hub:{repo}", f"hf-hub:{repo}@{commit}", f"local-dir:{folder}"):
    check(source, lambda **kw: timm.create_model(source, **kw))
for source in (f"hf-hub:{repo}", f"hf-hub:{repo}@{commit}", f"hf://{repo}"):
    check(source, lambda **kw: anas_zoo.create_model(source, **kw))
model = anas_zoo.create_model(f"hf-hub:{repo}", pretrained=True)
assert model.is_calibrated()
cfg = model.pretrained_cfg
assert (cfg["hf_hub_id"], cfg["source"], cfg["file"]) == (f"{repo}@{commit}", "hf-hub", None), cfg
small = anas_zoo.create_model(f"hf-hub:{repo}", pretrained=True, num_classes=3).eval()
assert small(golden["images"]).shape == (len(golden["logits"]), 3)
""",
    "torch.hub": """
import os, shutil
cached = os.path.join(torch.hub.get_dir(), "somebody_anas-zoo_main")
shutil.copytree(checkout, cached, ignore=lambda d, names: set(names) - {"anas_zoo", "models", "hubconf.py"}
                if d == checkout else {"__pycache__"} & set(names))
check("github", lambda **kw: torch.hub.load(
    "somebody/anas-zoo:main", "attentive_nas", entry=f"hf-hub:{repo}", **kw))
""",
    "onnxruntime alone": """
import onnxruntime
from huggingface_hub import hf_hub_download
from safetensors.numpy import load_file
golden = load_file(hf_hub_download(repo, "golden.safetensors", revision=commit))
session = onnxruntime.InferenceSession(hf_hub_download(repo, "model.onnx", revision=commit))
logits = session.run(["logits"], {"image": golden["images"]})[0]
assert np.allclose(logits, golden["logits"], atol=1e-3), abs(logits - golden["logits"]).max()
assert not {"torch", "timm", "anas_zoo"} & set(sys.modules)
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_the_logits_are_the_golden_ones(
    way: str, hub: Hub, program: Program, address: str, entry: Path, tmp_path: Path
) -> None:
    commit = program.push(entry, address).out.strip()
    code = COMMON + ("" if way == "onnxruntime alone" else GOLDEN) + WAYS[way]
    arguments = [address.removeprefix("hf://"), commit, str(entry), str(ROOT)]
    env = environment(hub, tmp_path / "home")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        env=env, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
