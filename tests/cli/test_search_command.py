"""``anas search`` as a user types it: a run, a predictor alone, budgets, and what is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command_line import refused, succeeded
from searching_digits import make_run, write_predictor

from anas_zoo import space as space_package
from anas_zoo.cli import main
from anas_zoo.space import SearchSpace

SMALL = ("--evaluations", "12", "--device", "cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("search") / "run")


def test_budgets_are_answered_with_the_command_that_extracts(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found"
    budgets = ("--max-mflops", "0.3", "--max-mflops", "0.15")
    text = succeeded(capsys, "search", run, *SMALL, *budgets, "--out", out)
    assert "best with MFLOPs (multiply-adds) at most 0.3" in text
    assert "best with MFLOPs (multiply-adds) at most 0.15" in text
    assert "front.html" in text
    lines = [json.loads(line) for line in (out / "evaluations.jsonl").read_text().splitlines()]
    assert len(lines) == 12
    assert max(line["macs"] for line in lines) <= 300_000
    assert {"front.json", "front.png", "front.html", "search.json"} <= {path.name for path in out.iterdir()}
    commands = [line.strip() for line in text.splitlines() if line.strip().startswith("anas extract")]
    assert len(commands) == 2
    best = {json.loads(line)["arch_id"]: json.loads(line) for line in map(json.dumps, lines)}
    for command, limit in zip(commands, (300_000, 150_000), strict=True):
        name = command.split()[-1]
        inside = [line["top1_pct"] for line in lines if line["macs"] <= limit]
        assert best[name]["top1_pct"] == max(inside)
        if not (run / "subnets" / f"digits_{name}").exists():  # both budgets may have one answer
            assert "extracted" in succeeded(capsys, *command.split()[1:])
        assert (run / "subnets" / f"digits_{name}" / "model.safetensors").is_file()
    assert "was extracted already" in refused(capsys, *commands[0].split()[1:])
    order = json.loads((run / "subnets" / "order.json").read_text())
    macs = [best[name.removeprefix("digits_")]["macs"] for name in order]
    assert macs == sorted(macs)


def test_a_search_by_a_predictor_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictor = write_predictor(tmp_path / "p.onnx", "attentive_nas")
    out = tmp_path / "found"
    command = ("search", "--space", "attentive_nas", "--predictor", predictor, "--out", out)
    options = (
        "--max-mflops",
        "300",
        "--min-mflops",
        "220",
        "--resolution",
        "192,224",
        "--evaluations",
        "400",
    )
    found = json.loads(succeeded(capsys, *command, *options, "--json"))
    assert found["evaluations"] == 400
    assert found["images_forwarded"] == 0
    assert {item["arch"]["resolution"] for item in found["front"]} <= {192, 224}
    assert all(220e6 <= item["macs"] <= 300e6 for item in found["front"])
    names = [baseline["name"] for baseline in found["baselines"]]
    assert names[:7] == [f"attentive_nas_a{i}" for i in range(7)]
    assert found["baselines"][0]["published_top1_pct"]["AttentiveNAS"] == 77.3
    answer = found["answers"][0]
    assert answer["extract"] == f"anas extract RUN --search {out} --arch {answer['best']['arch_id']}"
    assert "holds a finished search" in refused(capsys, *command, *options)
    more = json.loads(succeeded(capsys, *command, *options, "--evaluations", "500", "--resume", "--json"))
    assert more["evaluations"] == 500


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--max-mflops", "-3"], "'--max-mflops': give at least 0"),
        (["--max-mflops", "inf"], "limits.macs.max: Input should be a finite number"),
        (["--max-mflops", "0.0001", "--max-mflops", "0.5"], "0.0001 is too little: the space 'digits'"),
        (["--num-classes", "12"], "has its own classes; --num-classes goes with --space"),
        (["--max-latency-ms", "8"], "give --latency FILE"),
        (
            ["--objective", "flops"],
            "--objective flops: no such cost; costs: macs, params, size_bytes, latency_ms",
        ),
        (["--resolution", "8x8"], "'8x8': give whole numbers, such as 224,256"),
        (["--space", "digits"], "has its own space"),
        (["--min-mflops", "0.5", "--max-mflops", "0.2"], "at least 0.5 and at most 0.2: no subnet has that"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_options_are_one_line_and_nothing_is_made(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    # What typer refuses is a command line that nobody understands.
    code = 2 if re.search("give [anw]|not one of", said) else 1
    words: tuple[str | Path, ...] = ("--out", tmp_path / "out", "--device", "cpu", *options)
    assert said in refused(capsys, "search", run, *words, code=code)
    assert not (tmp_path / "out").exists()


def test_what_belongs_to_another_space_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictor = write_predictor(tmp_path / "p.onnx", "glyphs")
    out = ("--out", tmp_path / "out")
    assert "fitted on" in refused(capsys, "search", run, "--predictor", predictor, *out)
    said = refused(capsys, "search", "--space", "attentive_nas", "--predictor", predictor, *out)
    assert "fitted on" in said
    assert "nothing to search" in refused(capsys, "search", *out)
    assert "nothing to search" in refused(capsys, "search", "--space", "digits", *out)
    assert not (tmp_path / "out").exists()


def test_a_predictor_whose_numbers_are_no_percent_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for scale in (30.0, 0.001):
        predictor = write_predictor(tmp_path / f"{scale}.onnx", "digits", scale)
        words = ["search", "--space", "digits", "--predictor", str(predictor), "--evaluations", "50"]
        assert main([*words, "--out", str(tmp_path / str(scale))]) == 0
        assert "which does not look like top-1 in percent" in capsys.readouterr().err


def test_extract_names_what_it_cannot_find(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "holds no search" in refused(capsys, "extract", run, "--arch", "abcdef", "--search", tmp_path)
    succeeded(capsys, "search", run, *SMALL, "--algorithm", "random", "--out", tmp_path / "found")
    where = ("--search", tmp_path / "found")
    assert "none of the 12 architectures" in refused(capsys, "extract", run, "--arch", "zzzz", *where)
    for text in ("", "ab", str(tmp_path / "front.png")):
        assert "give at least 4 digits" in refused(capsys, "extract", run, "--arch", text, *where)
    assert "give one of them" in refused(capsys, "extract", run, "--arch", "abcd", "--max-mflops", "1")
    foreign = tmp_path / "arch.json"
    foreign.write_text(json.dumps(SearchSpace.load("attentive_nas").smallest.to_dict()))
    assert "outside the space 'digits'" in refused(capsys, "extract", run, "--arch", foreign)
    own = SearchSpace.load("digits").largest
    foreign.write_text(json.dumps(own.to_dict()))
    assert f"digits_{own.id}" in succeeded(capsys, "extract", run, "--arch", foreign)


def test_a_search_resumes_without_its_options(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("search", run, "--device", "cpu", "--out", tmp_path / "found")
    options = ("--algorithm", "nsga2", "--max-mflops", "0.5", "--seed", "4", "--images", "20")
    first = json.loads(succeeded(capsys, *where, *options, "--evaluations", "8", "--json"))
    (tmp_path / "found" / "front.json").unlink()  # as if it had been stopped at its end
    archive = tmp_path / "found" / "evaluations.jsonl"
    lines = archive.read_text().splitlines(keepends=True)
    archive.write_text("".join(lines[:5]))
    assert f"anas search {run} --out {tmp_path / 'found'} --resume" in refused(capsys, *where, *options)
    again = json.loads(succeeded(capsys, *where, "--resume", "--json"))
    assert again["front"] == first["front"]
    assert archive.read_text() == "".join(lines)
    assert (
        json.loads(succeeded(capsys, *where, "--resume", "--evaluations", "11", "--json"))["evaluations"]
        == 11
    )
    assert "seed: 4 there, 5 here" in refused(capsys, *where, "--resume", "--seed", "5")


def test_a_resumed_search_remembers_its_budgets_and_answers_others(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found"
    where = ("search", run, "--device", "cpu", "--out", out)
    options = ("--algorithm", "random", "--evaluations", "8")
    budgets = ("--max-mflops", "0.5", "--max-mflops", "0.2", "--max-mparams", "0.1")
    first = json.loads(succeeded(capsys, *where, *options, *budgets, "--json"))
    assert [answer["limit"] for answer in first["answers"]] == [0.5e6, 0.2e6, 0.1e6]
    record = (out / "search.json").read_bytes()
    (out / "front.json").unlink()  # as if it had been stopped at its end
    again = json.loads(succeeded(capsys, *where, "--resume", "--json"))
    assert again["answers"] == first["answers"]
    assert json.loads((out / "front.json").read_text())["answers"] == [
        {key: value for key, value in answer.items() if key != "extract"} for answer in first["answers"]
    ]
    assert (out / "search.json").read_bytes() == record
    assert "best with MFLOPs (multiply-adds) at most 0.2" in succeeded(capsys, *where, "--resume")

    # Others within the limits only ask anew, and are what is remembered then.
    other = json.loads(succeeded(capsys, *where, "--resume", "--max-mflops", "0.3", "--json"))
    assert [(answer["cost"], answer["limit"]) for answer in other["answers"]] == [("macs", 0.3e6)]
    assert other["front"] == first["front"]
    assert json.loads(succeeded(capsys, *where, "--resume", "--json"))["answers"] == other["answers"]
    said = refused(capsys, *where, "--resume", "--max-mflops", "0.6")
    assert "was searched with MFLOPs (multiply-adds) at most 0.5; a budget of 0.6 is beyond that" in said
    assert "settings.limits.macs.min: None there" in refused(
        capsys, *where, "--resume", "--min-mflops", "0.1"
    )


def test_a_record_of_before_has_no_budgets_and_is_resumed(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found"
    where = ("search", run, "--device", "cpu", "--out", out)
    succeeded(capsys, *where, "--algorithm", "random", "--evaluations", "5", "--max-mflops", "0.5")
    record = json.loads((out / "search.json").read_text())
    budgets = record["begun_with"].pop("budgets")
    (out / "search.json").write_text(json.dumps(record))
    assert json.loads(succeeded(capsys, *where, "--resume", "--json"))["answers"] == []
    for damaged in ([["macs"]], [["macs", -1.0]]):
        record["begun_with"]["budgets"] = damaged
        (out / "search.json").write_text(json.dumps(record))
        assert "its budgets are damaged" in refused(capsys, *where, "--resume")
    parts: list[dict[str, object]] = [{"begun_with": {"latency": 3}}, {"space": []}]
    for part in parts:
        (out / "search.json").write_text(json.dumps(record | part))
        assert "not the record of a search" in refused(capsys, *where, "--resume")
    record["begun_with"]["budgets"] = budgets
    (out / "search.json").write_text(json.dumps(record))
    assert json.loads(succeeded(capsys, *where, "--resume", "--json"))["answers"][0]["limit"] == 0.5e6


def test_a_search_by_files_is_resumed_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    write_predictor(Path("p.onnx"), "digits")
    options = ("--evaluations", "40", "--max-mflops", "0.5")
    succeeded(capsys, "search", "--space", "digits", "--predictor", "p.onnx", *options)
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = ("search", "--space", "digits", "--out", "../project/digits_search", "--resume")
    assert json.loads(succeeded(capsys, *again, "--json"))["answers"][0]["limit"] == 0.5e6
    (tmp_path / "project" / "p.onnx").rename("moved.onnx")
    said = refused(capsys, *again)
    assert "the predictor of the search in ../project/digits_search, is not there any more" in said
    assert "--predictor FILE" in said
    assert json.loads(succeeded(capsys, *again, "--predictor", "moved.onnx", "--json"))["evaluations"] == 40
    assert json.loads(succeeded(capsys, *again, "--json"))["evaluations"] == 40


def test_a_space_of_a_file_is_searched_and_resumed_under_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    space = Path(space_package.__file__).parent / "presets" / "digits.yaml"
    (tmp_path / "my").mkdir()
    (tmp_path / "my" / "space.yaml").write_text(
        space.read_text(encoding="utf-8").replace("name: digits", "name: mine"), encoding="utf-8"
    )
    write_predictor(Path("p.onnx"), "digits")
    words = ("search", "--space", "my/space.yaml", "--predictor", "p.onnx", "--evaluations", "40")
    found = json.loads(succeeded(capsys, *words, "--max-mflops", "0.5", "--seed", "3", "--json"))
    assert found["folder"] == "mine_search"
    said = refused(capsys, *words)
    assert "anas search --space my/space.yaml --predictor p.onnx --out mine_search --resume" in said
    again = json.loads(succeeded(capsys, "search", "--space", "my/space.yaml", "--resume", "--json"))
    assert again["answers"] == found["answers"]


def test_nothing_accurate_enough_is_said_and_nothing_offered(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = succeeded(capsys, "search", run, *SMALL, "--min-top1-pct", "100", "--out", tmp_path / "found")
    assert "nothing that was evaluated is within the limits; the best of all has" in text
    assert "anas extract" not in text


def test_extraction_from_another_searchs_folder(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_run(tmp_path / "other")
    capsys.readouterr()  # what a new run says of its images
    out = tmp_path / "found"
    text = succeeded(capsys, "search", other, *SMALL, "--out", out)
    assert f"anas extract {other} --search {out} --arch" in text
    assert "holds no search; run: anas search" in refused(capsys, "extract", other)
    assert "within" in refused(capsys, "extract", other, "--search", out, "--max-mflops", "0.0001")
    assert "extracted" in succeeded(capsys, "extract", other, "--search", out)
    predicted = tmp_path / "predicted"
    predictor = write_predictor(tmp_path / "p.onnx", "attentive_nas")
    command = ("search", "--space", "attentive_nas", "--predictor", predictor, "--out", predicted)
    assert "import attentive-nas" in succeeded(capsys, *command, "--evaluations", "100")
    said = refused(capsys, "extract", other, "--search", predicted, "--arch", "abcd")
    assert "is a search of the space 'attentive_nas', 'digits' is needed" in said
