"""Files are there whole or not at all, one writer works at a time, a killed one leaves nothing for long."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from got_models.__main__ import main
from got_models.errors import GoTError
from got_models.files import whole_files
from got_models.files.exclusive_lock import exclusive_lock
from got_models.files.whole_files import whole_file, write_files, write_whole
from got_models.training.resume import start_or_resume
from got_models.training.run_folder import last_state, lock_run, lock_track, record, trim_log
from got_models.weights.adapter import Adapter
from got_models.weights.adapter_files import save_adapter
from got_models.weights.checkpoint import CheckpointSettings, Sizes, write_settings

ROOT = Path(__file__).parents[3]
KILLED = """
import os, signal
from pathlib import Path
from got_models.files.whole_files import whole_file
with whole_file(Path("mine.txt")) as beside:
    beside.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_has_left_is_cleared_by_the_next_one(tmp_path: Path) -> None:
    write_whole(tmp_path / "mine.txt", b"old")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, env=environment, timeout=120)
    assert len(os.listdir(tmp_path)) == 3
    assert all(name.startswith(".got-writing-") for name in os.listdir(tmp_path) if name != "mine.txt")
    assert (tmp_path / "mine.txt").read_bytes() == b"old"
    write_whole(tmp_path / "other.txt", b"new")
    assert sorted(os.listdir(tmp_path)) == ["mine.txt", "other.txt"]


def test_what_another_writer_is_at_work_on_is_left_alone(tmp_path: Path) -> None:
    with whole_file(tmp_path / "slow.txt") as temporary:
        temporary.write_bytes(b"slow")
        write_whole(tmp_path / "fast.txt", b"fast")
    assert sorted(os.listdir(tmp_path)) == ["fast.txt", "slow.txt"]
    assert (tmp_path / "slow.txt").read_bytes() == b"slow"


def test_names_that_look_temporary_are_the_users_own(tmp_path: Path) -> None:
    theirs = ["a.part", "a.json.part", "a.safetensors.part", "new.part", "got.json.part", "a.tmp", "a.lock"]
    for name in theirs:
        (tmp_path / name).write_text("mine")
    (tmp_path / "adapter.part").mkdir()
    write_whole(tmp_path / "a", b"")
    save_adapter(tmp_path / "adapter.safetensors", Adapter({"a": torch.ones(1)}, 1.0, 1.0, {}))
    write_settings(tmp_path, CheckpointSettings(1, 1, Sizes(1, 1, 1), {}))
    assert all((tmp_path / name).read_text() == "mine" for name in theirs)
    assert (tmp_path / "adapter.part").is_dir()


def test_an_error_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.txt", b"old")
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / "a.txt") as temporary:
        temporary.write_bytes(b"new")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"old"


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EROFS", "EACCES", "EIO"])
def test_a_place_that_cannot_be_renamed_into_is_named_with_the_reason(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = getattr(errno, code)

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(whole_files.os, "replace", refuse)
    for write in (write_whole, lambda file, content: write_files(file.parent, {file.name: content})):
        with pytest.raises(GoTError, match=f"cannot be written to: {os.strerror(number)}"):
            write(tmp_path / "a.txt", b"new")
        assert os.listdir(tmp_path) == []


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may have more than 2000 bytes: a full disk, as far as a writer can tell."""
    resource = pytest.importorskip("resource", reason="limits on file sizes are a matter of POSIX")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_fills_up_is_told_whatever_library_writes(tmp_path: Path) -> None:
    large = torch.ones(3000)
    log = tmp_path / "losses.jsonl"
    for write in (
        lambda: write_whole(tmp_path / "a", bytes(3000)),
        lambda: write_files(tmp_path, {"a": b"1", "b": bytes(3000)}),
        lambda: save_adapter(tmp_path / "a.safetensors", Adapter({"a": large}, 1.0, 1.0, {})),
        lambda: record(log, {"a": "b" * 3000}),
    ):
        with pytest.raises(GoTError, match=r"cannot be written to: .*File too large"), full_disk():
            write()
        assert set(os.listdir(tmp_path)) <= {"losses.jsonl"}


def test_one_writer_at_a_time_holds_a_lock(tmp_path: Path) -> None:
    with exclusive_lock("import", tmp_path / "lock"):
        for _ in range(2):
            with (
                pytest.raises(GoTError, match="Another import is running"),
                exclusive_lock("import", tmp_path / "lock"),
            ):
                pass
    assert os.listdir(tmp_path) == []
    with exclusive_lock("import", tmp_path / "lock"):
        pass


def test_one_training_at_a_time_works_in_a_folder(tmp_path: Path) -> None:
    out = tmp_path / "run"
    with lock_run(out):
        (out / "run.json").write_text("{}")
        for _ in range(2):
            with pytest.raises(GoTError, match=r"Another training in .*run is running"):
                lock_run(out).__enter__()
    assert os.listdir(out) == ["run.json"]


def test_a_folder_in_which_no_training_began_is_removed_again(tmp_path: Path) -> None:
    with pytest.raises(GoTError, match="no dataset"), lock_run(tmp_path / "a/run"):
        raise GoTError("no dataset")
    assert os.listdir(tmp_path / "a") == []


def test_a_training_clears_the_state_that_a_killed_one_was_writing(tmp_path: Path) -> None:
    for name in ("state-lora-5", "state-lora-10.part", "mine.part"):
        (tmp_path / name).mkdir()
    with lock_run(tmp_path):
        assert sorted(os.listdir(tmp_path)) == [".got-training.lock", "mine.part", "state-lora-5"]


def test_a_training_waits_for_a_process_that_outlives_its_killed_run(tmp_path: Path) -> None:
    def outlive() -> None:
        with lock_track(tmp_path, 1):
            holding.set()
            time.sleep(0.5)
            (tmp_path / "state-vision-3").mkdir()

    holding = threading.Event()
    outlived = threading.Thread(target=outlive)
    outlived.start()
    holding.wait()
    with lock_run(tmp_path):
        assert last_state(tmp_path, "vision") == tmp_path / "state-vision-3"
    outlived.join()
    assert os.listdir(tmp_path) == ["state-vision-3"]


def test_a_place_for_a_training_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file/run", Path("/proc/run")):
        with pytest.raises(GoTError, match="cannot be written to"):
            lock_run(place).__enter__()


def test_a_name_that_only_looks_like_a_state_is_none(tmp_path: Path) -> None:
    for name in ("state-lora-5", "state-lora-x", "state-lora-²", "state-lora-10.part"):
        (tmp_path / name).mkdir()
    assert last_state(tmp_path, "lora") == tmp_path / "state-lora-5"


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"3", b"null", b"{}", b'{"config": 3}', b'{"config": {"steps": "x"}}', b"\xff"),
        *(b'{"config": {"checkpoint": "c", "dataset": "d", "out": "o"}}', b"[" * 100_000, b" " * 2_000_000),
        b'{"config": {"checkpoint": "c", "dataset": "d", "out": "o", "steps": ' + b"9" * 5000 + b"}}",
    ],
    ids=range(13),
)
def test_a_run_that_is_damaged_cannot_go_on_and_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(GoTError, match=r"run\.json"):
        start_or_resume(
            tmp_path, {"config": {}, "dataset": "", "checkpoint": []}, changed_dataset=False, finished=False
        )


def test_a_log_keeps_what_is_whole_and_before_the_step_that_is_taken_again(tmp_path: Path) -> None:
    file = tmp_path / "losses.jsonl"
    damaged = [
        b"[1]",
        b"3",
        b"{}",
        b'{"stage": "lora", "step": "x"}',
        b"\xff",
        b"[" * 100_000,
        b'{"stage": "lo',
    ]
    whole = [b'{"stage": "lora", "step": %d}' % step for step in range(4)]
    file.write_bytes(b"\n".join([*whole, *damaged]))
    trim_log(file, "lora", 2)
    assert file.read_bytes().splitlines() == whole[:2]


# The command line


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="a device that is always full is Linux's")
def test_output_that_cannot_be_written_ends_in_one_line_and_exit_code_2() -> None:
    with FULL.open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "got_models", "dataset", "check", "lessons/brown_crosses"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert result.returncode == 2
    assert result.stderr == "error: The output: No space left on device.\n"


def test_any_error_of_the_disk_ends_in_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded", str(tmp_path / "a\nb"))

    monkeypatch.setattr("got_models.commands.dataset.read_dataset", refuse)
    assert main(["dataset", "check", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.endswith("b: Disk quota exceeded.\n") and error.count("\n") == 1
