"""Interrupted, damaged, concurrent and killed imports: what they leave, and how they resume."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from got_models.__main__ import main
from got_models.errors import GoTError
from got_models.files.staging import open_staging
from got_models.importing import convert
from got_models.importing.convert import import_checkpoint
from got_models.importing.folders import find_folders
from got_models.weights.checkpoint import check

from .published_tree import ROOT, Refused, change_state


def interrupt(source: Path, destination: Path, share: float, dtype: str = "bfloat16") -> None:
    """An import that stops, as with Ctrl-C, after a share of its bytes."""

    def stop(done: int, total: int) -> None:
        if done >= share * total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_checkpoint(find_folders(source), destination, dtype, on_progress=stop)


def weights_in(folder: Path) -> dict[str, int]:
    """Name -> inode of each weight file: another inode means written again."""
    return {str(file.relative_to(folder)): file.stat().st_ino for file in folder.rglob("*.safetensors")}


def test_an_interrupted_import_looks_unfinished_and_goes_on_where_it_stopped(
    published: Path, imported: Path, tmp_path: Path
) -> None:
    interrupt(published, tmp_path / "out", 0.9)
    assert os.listdir(tmp_path) == ["out.part"]
    with pytest.raises(ValueError, match=r"lacks got\.json"):
        check(tmp_path / "out.part")
    finished = weights_in(tmp_path / "out.part")
    assert finished
    import_checkpoint(find_folders(published), tmp_path / "out")
    assert finished.items() <= weights_in(tmp_path / "out").items()
    assert checksums(tmp_path / "out") == checksums(imported)
    assert os.listdir(tmp_path) == ["out"]


def test_an_import_interrupted_before_its_first_file_leaves_nothing(published: Path, tmp_path: Path) -> None:
    interrupt(published, tmp_path / "out", 0.0)
    assert os.listdir(tmp_path) == []


def test_a_finished_file_that_was_damaged_meanwhile_is_written_again(
    published: Path, imported: Path, tmp_path: Path
) -> None:
    interrupt(published, tmp_path / "out", 0.9)
    file = tmp_path / "out.part" / next(iter(weights_in(tmp_path / "out.part")))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    import_checkpoint(find_folders(published), tmp_path / "out")
    assert checksums(tmp_path / "out") == checksums(imported)


def test_files_of_another_dtype_are_not_mixed_in(published: Path, imported: Path, tmp_path: Path) -> None:
    interrupt(published, tmp_path / "out", 0.9, "float32")
    import_checkpoint(find_folders(published), tmp_path / "out", "bfloat16")
    assert checksums(tmp_path / "out") == checksums(imported)


def test_files_of_an_exchanged_source_are_not_mixed_in(source: Path, tmp_path: Path) -> None:
    interrupt(source, tmp_path / "out", 0.9)
    change_state(source, lambda state: [tensor.mul_(2) for tensor in state.values()])
    import_checkpoint(find_folders(source), tmp_path / "out")
    import_checkpoint(find_folders(source), tmp_path / "straight")
    assert checksums(tmp_path / "out") == checksums(tmp_path / "straight")


def test_an_import_killed_while_it_began_is_no_obstacle(
    published: Path, imported: Path, tmp_path: Path
) -> None:
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part/manifest.json.part").write_text("{")
    import_checkpoint(find_folders(published), tmp_path / "out")
    assert checksums(tmp_path / "out") == checksums(imported)


def test_a_folder_of_the_users_that_is_in_the_way_is_left_alone(
    source: Path, refused: Refused, tmp_path: Path
) -> None:
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part/thesis.txt").write_text("all of it")
    assert "is in the way" in refused(source)
    assert (tmp_path / "out.part/thesis.txt").read_text() == "all of it"


def test_a_second_import_into_the_same_folder_is_refused_while_the_first_one_runs(
    source: Path, refused: Refused, tmp_path: Path
) -> None:
    with open_staging(tmp_path / "out", {}) as first:
        first.finish("a.safetensors", "0")
        assert "Another import" in refused(source)
        assert (tmp_path / "out.part/manifest.json").is_file()


# Both processes come from one that has imported all they need, and so begin together.
TWO_RUNS = """
import os, sys
from got_models.__main__ import main
from got_models.importing import convert

source, destination, *said = sys.argv[1:]
children = []
for file in said:
    child = os.fork()
    if child == 0:
        written = os.open(file, os.O_WRONLY | os.O_CREAT)
        os.dup2(written, 1), os.dup2(written, 2)
        os._exit(main(["convert", source, destination]))
    children.append(child)
print(*(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="begins two processes together, which needs fork")
def test_of_two_imports_into_one_folder_at_once_one_succeeds_and_the_other_is_told(
    published: Path, imported: Path, tmp_path: Path
) -> None:
    out = tmp_path / "both" / "out"
    out.parent.mkdir()
    files = [tmp_path / "one", tmp_path / "other"]
    arguments = [str(published), str(out), *map(str, files)]
    both = subprocess.run(
        [sys.executable, "-c", TWO_RUNS, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert both.returncode == 0, both.stderr
    codes = both.stdout.split()
    ends = sorted(zip(codes, (file.read_text() for file in files), strict=True))
    assert sorted(codes) == ["0", "2"], ends
    assert "Another import" in ends[1][1] or "exists already" in ends[1][1]
    assert checksums(out) == checksums(imported)
    assert os.listdir(out.parent) == ["out"]


def test_a_disk_that_fills_up_ends_with_a_message_and_the_next_run_goes_on(
    source: Path, imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = pytest.importorskip("resource", reason="limits on file sizes are a matter of POSIX")
    largest = max(file.stat().st_size for file in imported.rglob("*.safetensors"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, limits[1]))
    try:
        code = main(["convert", str(source), str(tmp_path / "out")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 2
    assert "cannot be written: File too large. Free some disk space" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert [*tmp_path.rglob("*.safetensors.part"), *tmp_path.glob("*.lock")] == []
    finished = weights_in(tmp_path / "out.part")
    assert finished
    assert main(["convert", str(source), str(tmp_path / "out")]) == 0
    assert finished.items() <= weights_in(tmp_path / "out").items()
    assert checksums(tmp_path / "out") == checksums(imported)


def test_a_disk_that_is_full_at_the_very_end_loses_nothing_of_the_work(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(
            "got_models.files.whole_files.secrets.token_hex", refuse
        )  # at got.json, the last file but one
        with pytest.raises(GoTError, match=r"got\.json cannot be written to: No space left on device"):
            import_checkpoint(find_folders(source), tmp_path / "out")
    finished = weights_in(tmp_path / "out.part")
    assert finished
    import_checkpoint(find_folders(source), tmp_path / "out")
    assert finished.items() <= weights_in(tmp_path / "out").items()


def checksums(checkpoint: Path) -> dict[str, str]:
    """The manifest's, held against the files."""
    listed: dict[str, str] = json.loads((checkpoint / "manifest.json").read_text())["sha256"]
    for name, digest in listed.items():
        assert hashlib.sha256((checkpoint / name).read_bytes()).hexdigest() == digest
    return listed


KILLED_RUNS = """
import os, signal, sys
from pathlib import Path
from got_models.importing import convert
from got_models.importing.folders import find_folders

source, destination, *shares = sys.argv[1:]
convert.SHARD_BYTES = 100_000
for share in [float(share) for share in shares]:

    def kill(done, total):
        if done >= share * total:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        convert.import_checkpoint(find_folders(Path(source)), Path(destination), on_progress=kill)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    files = len(list(Path(destination + ".part").rglob("*.safetensors")))
    print(os.WTERMSIG(status), files, os.path.exists(destination))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills child processes, which needs fork")
def test_killed_at_random_points_and_run_again_the_import_completes(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = sorted(random.uniform(0.05, 0.99) for _ in range(3))
    out = tmp_path / "killed/out"
    arguments = [str(published), str(out), *map(str, shares)]
    runs = subprocess.run(
        [sys.executable, "-c", KILLED_RUNS, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert runs.returncode == 0, runs.stderr
    ends = [line.split() for line in runs.stdout.splitlines()]
    counts = [int(files) for _, files, _ in ends]
    assert [(code, exists) for code, _, exists in ends] == [("9", "False")] * 3, (shares, runs.stderr)
    assert counts == sorted(counts) and counts[-1] > 0, shares

    monkeypatch.setattr(convert, "SHARD_BYTES", 100_000)
    before = weights_in(out.with_name("out.part"))
    import_checkpoint(find_folders(published), out)
    written_again = before.items() - weights_in(out).items()
    assert len(written_again) <= 1  # the one that was finished, but not yet noted, when the last kill came
    import_checkpoint(find_folders(published), tmp_path / "straight")
    assert checksums(out) == checksums(tmp_path / "straight"), shares
    assert os.listdir(out.parent) == ["out"]
