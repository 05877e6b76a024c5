"""Which printed blocks are run, with which stand-ins, and why the others are not; reviewed one by one."""

from __future__ import annotations

from pathlib import Path

import pytest
from documents import Block, Run, blocks_of, run_block, scratch_checkout
from scenes import SCENES, SEARCH, TRAIN

Key = tuple[str, str]

QUICK_TRAIN = ("--data path/to/images", f"--data path/to/images {TRAIN} {SEARCH}")
SHORT = "--minutes 0.2 --set train.batch_size=16 --set search.subnets=2"
QUICK_RUN = ("--minutes 15", SHORT)
FEW_EPOCHS = "--set train.epochs=2 --set train.batch_size=8 --set train.evaluation.every_epochs=2"
QUICK_FINETUNE = ("--data path/to/images", f"--data path/to/images {FEW_EPOCHS}")
IMAGE = ("IMAGE...", "three.png")
ONE_MODEL = (
    "--data path/to/imagenet/train",
    "--data path/to/imagenet/train --model attentive_nas_a0 --calibration-images 16",
)

# Blocks that continue with what the block before them made.
EVALUATED: tuple[Key, Run] = (
    (
        "docs/guide_checkpoint.md",
        "anas evaluate runs/authors/attentive_nas_a0 --data path/to/imagenet --split test",
    ),
    Run(
        stand_ins=(("--split test", "--split test --limit 8"),), leaves=("exported/model.ort-web-fp32.onnx",)
    ),
)
LICENSED: tuple[Key, Run] = (
    ("docs/guide_data.md", "anas run --out runs/mine --licence CC-BY-4.0"),
    Run(leaves=("runs/mine/zoo/mine_0/manifest.json",)),
)
USED: tuple[Key, Run] = (
    ("docs/guide_data.md", "anas show runs/mine/zoo/mine_0"),
    Run(stand_ins=(IMAGE,), leaves=("gallery/index.json",)),
)
KEPT: tuple[Key, Run] = (
    (
        "docs/pretrained.md",
        "anas finetune runs/tuned/subnets/mine_0 --data path/to/images --set train.learning_rate=0.02 "
        "--out runs/small",
    ),
    Run(stand_ins=(QUICK_FINETUNE,), leaves=("runs/small/subnets/mine_0_finetuned/report.json",)),
)
CHECKED: tuple[Key, Run] = (
    ("docs/predictors.md", "anas predictor check glyphs.onnx runs/glyphs-2"),
    Run(stand_ins=(("runs/glyphs-2", "runs/digits"),)),
)

RUN: dict[Key, Run] = {
    ("README.md", "import anas_zoo"): Run(),
    ("README.md", "import anas_zoo, timm, torch"): Run(),
    ("README.md", "import numpy as np, onnxruntime"): Run(),
    ("README.md", "anas list --max-mflops 0.5 --min-top1-pct 97"): Run(
        ("three.png",), (IMAGE,), ("exported/model.ort-cuda-fp16.onnx",)
    ),
    (
        "README.md",
        "anas search runs/mine --max-mflops 5 --max-mflops 10 --resolution 24,28 --out runs/small",
    ): Run(("runs/mine",), (), ("runs/small/front.json",)),
    ("docs/guide_models.md", "anas list"): Run(),
    ("docs/guide_models.md", "anas index models --out gallery"): Run(leaves=("gallery/index.html",)),
    ("docs/guide_models.md", "anas predict digits_m IMAGE..."): Run(("three.png",), (IMAGE,)),
    ("docs/guide_models.md", "import anas_zoo"): Run(),
    ("docs/guide_models.md", "node export/clients/node/classify.mjs models/digits_m IMAGE..."): Run(
        ("three.png",), (IMAGE,)
    ),
    ("docs/guide_models.md", "import numpy as np"): Run(),
    (
        "docs/guide_checkpoint.md",
        "anas import attentive-nas CHECKPOINT --data path/to/imagenet/train --entries runs/authors",
    ): Run(("CHECKPOINT", "imagenet"), (ONE_MODEL,), then=(EVALUATED,)),
    (
        "docs/guide_checkpoint.md",
        "anas search --space attentive_nas --predictor predictor.onnx --max-mflops 300 --out found",
    ): Run(
        ("CHECKPOINT", "imagenet", "predictor.onnx"),
        (
            ("--out found", "--out found --evaluations 64"),
            ("ARCH_ID", "2da0ac9b74d9 --calibration-images 16"),  # a search begins with the ends of its space
        ),
    ),
    ("docs/guide_checkpoint.md", "anas search runs/mine --max-mflops 5 --out runs/small"): Run(
        ("runs/mine",), (("--max-mflops 5", "--max-mflops 100"),), ("zoo/mine_0/manifest.json",)
    ),
    ("docs/guide_data.md", "anas run --data path/to/images --minutes 15 --out runs/mine"): Run(
        ("images", "three.png"),
        (QUICK_RUN,),
        ("runs/mine/subnets/mine_0/report.json", "runs/mine/wrong"),
        then=(LICENSED, USED),
    ),
    (
        "docs/guide_data.md",
        "anas run --data path/to/images --minutes 15 --max-latency-ms 0.3 --max-size-mb 1 "
        "--licence CC-BY-4.0 --out runs/fast",
    ): Run(
        ("images",),
        (QUICK_RUN, ("--max-latency-ms 0.3", "--max-latency-ms 5")),  # of a machine that may be busy
        ("runs/fast/zoo",),
    ),
    ("docs/guide_data.md", "anas finetune digits_l --data path/to/images --out runs/letters"): Run(
        ("images",), (QUICK_FINETUNE,), ("zoo/letters/manifest.json",)
    ),
    (
        "docs/guide_data.md",
        "anas train --recipe own_images --data path/to/images --set licence=CC-BY-4.0 --out runs/staged",
    ): Run(
        ("images",),
        (
            ("own_images --data path/to/images", f"own_images --data path/to/images {TRAIN} {SEARCH}"),
            ("mine_0 --data path/to/images", f"mine_0 --data path/to/images {FEW_EPOCHS}"),
        ),
        ("zoo/mine_0/manifest.json",),
    ),
    (
        "docs/export.md",
        "anas export runs/mine/subnets/mine_0 --target ort-cpu-fp32 --target ort-cpu-int8",
    ): Run(
        ("runs/mine, extracted",),
        (
            (" --target ort-cpu-int8", ""),  # it needs 100 training images; tests/export quantize real ones
        ),
        ("exported",),
    ),
    ("docs/clients.md", ".venv/bin/python export/clients/python/classify.py models/digits_s --check"): Run(
        stand_ins=(("'/tmp/three.png'", "'three.png'"), ("digits_s /tmp/three.png", "digits_s three.png"))
    ),
    ("docs/clients.md", "import sys"): Run(("three.png",), (("/tmp/three.png", "three.png"),)),
    ("docs/latency.md", "anas latency fit --space attentive_nas --out latency.json"): Run(
        stand_ins=(
            (
                "--space attentive_nas",
                "--space tiny --num-classes 10 --subnets 16 --held-out 3 --repeats 8",
            ),
            ("check latency.json", "check latency.json --subnets 2"),
            ("attentive_nas_a0 arch.json", "digits_s digits_m"),
        )
    ),
    ("docs/latency.md", "anas latency kit --space runs/mine --out kit"): Run(
        ("runs/mine",),
        (("--out kit", "--subnets 16 --held-out 2 --out kit"), ("measure.py", "measure.py --repeats 8")),
        ("kit/README.txt", "device.json"),
    ),
    ("docs/latency.md", "import numpy as np"): Run(
        ("here.json",), (("attentive_nas", "tiny"), ("latency.json", "here.json"))
    ),
    ("docs/predictors.md", "anas search runs/glyphs --evaluations 300"): Run(
        ("runs/digits", "predictor.onnx"),
        (("runs/glyphs", "runs/digits"), (" 300 ", " 60 --algorithm random --images 60 ")),
        ("glyphs.onnx",),
        then=(CHECKED,),
    ),
    ("docs/predictors.md", "from anas_zoo.space import AccuracyPredictor, SearchSpace"): Run(
        ("predictor.onnx",)
    ),
    ("docs/preprocessing.md", "from anas_zoo.data import eval_transform"): Run(
        stand_ins=(('"DIR"', '"models/digits_s"'),)
    ),
    ("docs/preprocessing.md", "anas evaluate digits_s --data digits --preprocessing both"): Run(
        ("runs/mine, extracted",),
        (
            ("DIR --data IMAGES", "runs/mine/subnets/mine_0 --data path/to/images"),
            ("RUN/subnets/NAME", "runs/mine/subnets/mine_0"),
        ),
    ),
    **{
        (document, f"anas run --init timm/efficientnet_lite0 --data path/to/images --out {run}"): Run(
            ("lite0",),
            (("timm/efficientnet_lite0", "lite0"), ("path/to/images --out", f"path/to/images {SHORT} --out")),
            (f"{run}/zoo/mine_0/manifest.json",),
        )
        for document, run in (("README.md", "runs/tuned"), ("docs/guide_data.md", "runs/mine"))
    },
    ("docs/pretrained.md", "anas run --init lite0 --data path/to/images --out runs/mine"): Run(
        ("lite0",),
        (("path/to/images --out", f"path/to/images {SHORT} --out"),),
        ("runs/mine/zoo/mine_0/manifest.json",),
    ),
    ("docs/pretrained.md", "anas train --init lite0 --data path/to/images --out runs/tuned"): Run(
        ("lite0",), (QUICK_TRAIN,), ("zoo/mine_0/manifest.json",), then=(KEPT,)
    ),
    (
        "docs/pretrained.md",
        "anas search SUPERNET --data path/to/images --max-mflops 300 --out runs/found",
    ): Run(
        ("SUPERNET",),
        (("--max-mflops 300 --out", "--max-mflops 300 --evaluations 6 --out"),),
        ("runs/found/subnets/digits_0/report.json",),
    ),
    ("docs/pretrained.md", "import anas_zoo"): Run(
        ("lite0", "SUPERNET"),
        (('{"train.epochs": 8}', '{"train.epochs": 2, "train.batch_size": 16}'),),
    ),
    ("docs/search.md", "anas search RUN --max-mflops 5 --max-mflops 10"): Run(
        ("runs/mine, here.json", "predictor.onnx"),
        (
            ("RUN", "runs/mine"),
            ("--max-latency-ms 8 --resolution 224,256", "--max-latency-ms 0.04 --resolution 24,28"),
            ("FILE", "predictor.onnx --evaluations 200"),
        ),
    ),
    ("docs/search.md", "torchrun --nproc-per-node 2 -m anas_zoo.cli search RUN"): Run(
        ("runs/digits",), (("RUN", "runs/digits"),), ("runs/digits/search/front.json",)
    ),
}

CLIENTS, BROWSER = "tests/clients/test_clients_doc.py", "tests/clients/test_browser.py"
HUB, PYTHON = "tests/hub/test_hub_doc.py", "tests/house/test_python_guide.py"
# Blocks that another test runs, with what it looks for in the document or types itself.
ELSEWHERE: dict[Key, str] = {
    **{block.key: PYTHON for block in blocks_of("docs/python.md")},
    ("docs/clients.md", "node export/clients/node/classify.mjs models/digits_s --check"): CLIENTS,
    ("docs/clients.md", "anas serve digits_s"): BROWSER,
    ("docs/guide_models.md", "anas serve digits_m"): BROWSER,
    **{
        ("docs/hub.md", first): HUB
        for first in (
            "hf auth login",
            "anas publish runs/demo/zoo/digits_s --to hf://you/digits_s --dry-run",
            "anas publish runs/demo/zoo/digits_s --to hf://you/digits_s --private",
            "anas pull hf://you/digits_s --out digits_s",
            "anas verify digits_s",
            "anas pull hf://you/digits_s@main --out digits_s_main",
            "HF_HUB_OFFLINE=1 anas pull hf://you/digits_s --out digits_s_offline",
            "anas publish runs/demo/supernet --to hf://you/digits_supernet --licence CC-BY-4.0",
            "anas pull hf-hub:you/digits_supernet --out digits_supernet",
            "anas verify digits_supernet",
            "import anas_zoo",
            "from anas_zoo import load_supernet",
        )
    },
    ("docs/guide_models.md", "anas index hf://org --out hub-gallery"): HUB,
    ("docs/guide_models.md", "anas pull hf://org/digits_m --out digits_m"): HUB,
    (
        "docs/guide_checkpoint.md",
        "anas publish runs/mine/subnets/mine_0 --to hf://org/mine_0 --licence CC-BY-4.0 --dry-run",
    ): HUB,
    (
        "docs/guide_data.md",
        "anas publish runs/letters/subnets/digits_l_finetuned --to hf://org/letters --private",
    ): HUB,
}

GLYPHS = "tens of minutes: the glyphs recipe; the same commands run on smaller data in other blocks"
NPM = "npm needs the network; make setup has run it where the tests of the clients run"
GPUS = "needs GPUs, a cluster or ImageNet"

NOT_RUN: dict[Key, str] = {
    (
        "README.md",
        'pip install "anas-zoo @ git+https://github.com/anas-zoo/anas-zoo"',
    ): "installs over the network; tests/house/test_wheel.py installs the same package",
    (
        "README.md",
        "make demo",
    ): "the whole project: continuous integration runs make test, tests/pipeline the demo",
    (
        "docs/pretrained.md",
        "anas import timm efficientnet_lite0 --resolution 96 --resolution 128 --out lite0",
    ): "downloads weights; tests/cli imports the same network from a file",
    (
        "docs/pretrained.md",
        "anas import ofa CHECKPOINT --out ofa_w12",
    ): "needs the authors' files; tests/cli imports files of the same form",
    (
        "docs/pretrained.md",
        "anas pull hf-hub:you/digits_supernet --out digits_supernet",
    ): "docs/hub.md prints it too, and there it runs",
    ("docs/cheap_evaluations.md", "anas train --recipe glyphs --out runs/glyphs"): GLYPHS,
    ("docs/training.md", "anas train --recipe glyphs --out runs/glyphs"): GLYPHS,
    ("docs/training.md", "anas train --out runs/glyphs --resume"): GLYPHS,
    (
        "docs/predictors.md",
        "anas train --recipe glyphs --sampling bestup --set train.sampling.quality=predictor "
        "--set train.sampling.predictor=glyphs.onnx --out runs/attentive",
    ): GLYPHS,
    (
        "docs/predictors.md",
        "python3.8 -m venv throw-away",
    ): "installs a Python and packages of 2020 from a registry",
    ("docs/predictors.md", "# convert.py"): "runs inside those packages of 2020",
    (
        "docs/training.md",
        "torchrun --standalone --nproc-per-node 8 -m anas_zoo.cli train "
        "--recipe imagenet_attentivenas --data /data/imagenet --out runs/imagenet --set train.accumulation=8",
    ): GPUS,
    ("docs/training.md", "#!/bin/bash"): GPUS,
    ("docs/clients.md", "npm ci --prefix export/clients/node"): NPM,
    ("docs/clients.md", "npm ci --prefix export/clients/web"): NPM,
}


def all_runs() -> list[Key]:
    """Every block that is run, including those that follow another one."""
    return [key for first, run in RUN.items() for key in (first, *(key for key, _ in run.then))]


def run_printed(
    block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run a block of :data:`RUN` in a scratch checkout at ``folder``, and those that follow it."""
    checkout = scratch_checkout(folder)
    monkeypatch.chdir(checkout)
    run = RUN[block.key]
    for scene in run.needs:
        SCENES[scene](checkout)
    printed = {one.key: one for one in blocks_of(block.file)}
    for key, each in ((block.key, run), *run.then):
        run_block(printed[key], each, checkout, capsys)
