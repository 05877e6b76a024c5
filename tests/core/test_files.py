from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from anas_zoo.core.errors import DiskFullError, OutputError
from anas_zoo.core.files import (
    atomic_write,
    canonical_json,
    disk_errors,
    output_folder,
    refuse_occupied,
    sha256_bytes,
    sha256_file,
    write_json,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_canonical_json_and_hashes(tmp_path: Path) -> None:
    assert canonical_json({"b": [1, 2], "a": "ä"}) == r'{"a":"\u00e4","b":[1,2]}'
    with pytest.raises(ValueError):
        canonical_json({"a": float("nan")})
    data = b"x" * 3_000_000
    (tmp_path / "big").write_bytes(data)
    assert sha256_file(tmp_path / "big") == sha256_bytes(data) == hashlib.sha256(data).hexdigest()


def test_atomic_write_makes_parents_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "file.txt"
    atomic_write(target, "äöü")
    atomic_write(target, b"new")
    assert target.read_bytes() == b"new"
    assert names(target.parent) == ["file.txt"]
    assert target.stat().st_mode & 0o777 == 0o644


def test_write_json_refuses_what_json_cannot_say(tmp_path: Path) -> None:
    target = tmp_path / "report.json"
    write_json(target, {"b": 1, "a": 2})
    assert target.read_text() == '{\n  "a": 2,\n  "b": 1\n}\n'
    with pytest.raises(ValueError):
        write_json(target, {"a": float("inf")})
    assert json.loads(target.read_text()) == {"a": 2, "b": 1}


def test_what_is_in_the_way_stays_and_nothing_half_written_is_left(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    with pytest.raises(OSError):
        atomic_write(tmp_path / "target", "text")
    assert names(tmp_path) == ["target"]
    (tmp_path / "target").rmdir()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"cannot write .*file/inner\.txt"):
        atomic_write(tmp_path / "file" / "inner.txt", "text")
    with pytest.raises(OutputError, match="cannot write"), output_folder(tmp_path / "file" / "out"):
        pass
    assert names(tmp_path) == ["file"]


def test_kill_in_the_middle_of_a_write_leaves_the_old_content(tmp_path: Path) -> None:
    target = tmp_path / "weights.bin"
    target.write_bytes(b"old" * 1000)
    # A disk so slow that the process is killed while the bytes are on their way.
    code = """
        import os, sys, time
        from pathlib import Path
        from anas_zoo.core.files import atomic_write
        def slow_disk(handle):
            print("writing", flush=True)
            time.sleep(60)
        os.fsync = slow_disk
        atomic_write(Path(sys.argv[1]), b"new" * 1000)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert target.read_bytes() == b"old" * 1000
    atomic_write(target, b"new" * 1000)  # what the killed process left behind is in nobody's way
    assert target.read_bytes() == b"new" * 1000


def test_refuse_occupied(tmp_path: Path) -> None:
    refuse_occupied(tmp_path / "absent")
    refuse_occupied(tmp_path)
    (tmp_path / "one").write_text("")
    with pytest.raises(OutputError, match=r"already holds 1 item; give another out, or remove it first"):
        refuse_occupied(tmp_path)
    (tmp_path / "two").write_text("")
    with pytest.raises(OutputError, match=r"already holds 2 items"):
        refuse_occupied(tmp_path)
    with pytest.raises(OutputError, match="is a file"):
        refuse_occupied(tmp_path / "one")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="is a file"):
        refuse_occupied(tmp_path / "dangling")


def test_output_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "parent" / "out"
    with output_folder(target) as staging:
        (staging / "a").write_text("1")
        assert not target.exists()
        assert staging.parent == target.parent
    assert names(target.parent) == ["out"]
    assert names(target) == ["a"]
    assert target.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(3)])
def test_output_folder_leaves_nothing_on_any_exception(tmp_path: Path, error: BaseException) -> None:
    def fill(target: Path) -> None:
        with output_folder(target) as staging:
            (staging / "half").write_text("written")
            raise error

    with pytest.raises(type(error)):
        fill(tmp_path / "out")
    assert names(tmp_path) == []


def test_output_folder_that_is_taken_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "out"

    def race() -> None:
        with output_folder(target) as staging:
            (staging / "ours").write_text("")
            target.mkdir()
            (target / "theirs").write_text("")

    with pytest.raises(OutputError, match="already holds 1 item"):
        race()
    assert names(target) == ["theirs"]
    assert names(tmp_path) == ["out"]


def test_disk_errors_lets_other_errors_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), disk_errors(tmp_path):
        (tmp_path / "absent").read_text()
    full = Path("/dev/full")
    if full.exists():
        with pytest.raises(DiskFullError, match="no space left while writing"), disk_errors(full):
            full.write_text("text")


ON_A_FULL_DISK = """
    import sys
    from pathlib import Path
    from anas_zoo.core.errors import DiskFullError
    from anas_zoo.core.files import atomic_write, output_folder

    disk = Path(sys.argv[1])
    atomic_write(disk / "old", b"old")
    for attempt in ("replace", "folder"):
        try:
            if attempt == "replace":
                atomic_write(disk / "old", b"x" * 2**20)
            else:
                with output_folder(disk / "out") as staging:
                    (staging / "small").write_bytes(b"fits")
                    (staging / "large").write_bytes(b"x" * 2**20)
        except DiskFullError as error:
            print(error)
    print(sorted(path.name for path in disk.iterdir()), (disk / "old").read_text())
"""


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    # A real file system of 256 kB, in a mount namespace of its own that ends with the process.
    script = 'mount -t tmpfs -o size=256k none "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]
    try:
        trial = subprocess.run([*command, str(tmp_path), "true", ""], capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no program unshare here")
    if trial.returncode != 0:
        pytest.skip(f"mounting is not allowed here: {trial.stderr.decode().strip()}")
    arguments = [str(tmp_path), sys.executable, textwrap.dedent(ON_A_FULL_DISK)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    told = done.stdout.splitlines()
    assert told[0].startswith(f"no space left while writing {tmp_path / 'old'}")
    assert told[1].startswith(f"no space left while writing {tmp_path / 'out'}")
    assert told[2] == "['old'] old"
