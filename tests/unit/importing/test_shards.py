"""Published weight files: pickles that run nothing, indexes, truncated and doubled tensors."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from got_models.errors import GoTError
from got_models.importing.shards import open_weights
from got_models.weights.checkpoint import check

from .published_tree import ROOT, Refused, change_json, change_state, trained, write_tree


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads memory from Linux's /proc")
def test_of_a_flat_buffer_only_what_a_tensor_covers_is_read(tmp_path: Path) -> None:
    """200 MB in one buffer; the pages on which three of its hundred tensors lie come to memory, no others."""
    flat = torch.zeros(100, 500_000)
    (tmp_path / "GoT-6B").mkdir()
    torch.save({str(row): flat[row] for row in range(100)}, tmp_path / "GoT-6B/pytorch_model.bin")
    del flat
    program = """
import sys
from pathlib import Path
from got_models.importing.shards import PublishedWeights
def resident():
    lines = open("/proc/self/status")
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile"))
weights = PublishedWeights(Path(sys.argv[1]))
before = resident()
for key in ("3", "50", "97"):
    weights.tensor(key).sum()
print(resident() - before)
"""
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "GoT-6B")], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert 3 * 2_000_000 <= int(run.stdout) < 30_000_000


class Hostile:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("archive", [True, False], ids=["torch.save", "plain pickle"])
def test_a_pickle_that_runs_code_is_refused_and_nothing_runs(
    archive: bool, source: Path, refused: Refused, tmp_path: Path
) -> None:
    proof = tmp_path / "proof"
    file = source / "GoT-6B/pytorch_model-00002-of-00003.bin"
    if archive:
        torch.save({"unet.conv_in.weight": Hostile(proof)}, file)
        torch.load(file, weights_only=False)
    else:
        file.write_bytes(pickle.dumps(Hostile(proof)))
        pickle.loads(file.read_bytes())
    proof.rmdir()  # so the pickle does run code when it is let
    message = refused(source)
    assert not proof.exists()
    assert str(file) in message and "Download it again" in message
    assert ("nothing in it was run" in message) == archive


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
@pytest.mark.parametrize("suffix", [".bin", ".safetensors"])
def test_a_truncated_shard_is_named(suffix: str, share: float, refused: Refused, tmp_path: Path) -> None:
    write_tree(tmp_path / "pretrained", trained()[0], suffix)
    (file,) = (tmp_path / "pretrained/GoT-6B").glob(f"*-00002-of-00003{suffix}")
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    assert f"{file} is truncated or not a weight file" in refused(tmp_path / "pretrained")


def test_an_archive_that_seems_to_have_other_volumes_is_no_weight_file(tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.ones(2)}, file)
    content = bytearray(file.read_bytes())
    content[content.rindex(b"PK\6\7") + 16] = 9  # how many files the archive has been cut into
    file.write_bytes(content)
    with pytest.raises(GoTError, match="truncated or not a weight file"):
        open_weights(file)


def test_an_index_that_names_a_missing_shard_is_refused_with_the_names(
    source: Path, refused: Refused
) -> None:
    (source / "GoT-6B/pytorch_model-00003-of-00003.bin").unlink()
    message = refused(source)
    assert "names 3 files, of which 1 are not there: pytorch_model-00003-of-00003.bin" in message


def test_a_renamed_shard_is_refused_with_the_name_it_should_have(source: Path, refused: Refused) -> None:
    file = source / "GoT-6B/pytorch_model-00003-of-00003.bin"
    file.rename(file.with_name("pytorch_model-3.bin"))
    assert "pytorch_model-00003-of-00003.bin" in refused(source)


@pytest.mark.parametrize("name", ["../outside.bin", "/outside.bin", "inside/other.bin", ".."])
def test_an_index_that_names_files_outside_its_folder_is_refused(
    name: str, source: Path, refused: Refused
) -> None:
    shutil.copy(source / "GoT-6B/pytorch_model-00001-of-00003.bin", source / "outside.bin")
    change_json(source / "GoT-6B/pytorch_model.bin.index.json", weight_map={"a": name})
    message = refused(source)
    assert name in message and ("outside its folder" in message or name == "..")


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": 3}', '{"weight_map": {"a": 3}}'])
def test_an_index_that_cannot_be_used_is_named(content: str, source: Path, refused: Refused) -> None:
    (source / "GoT-6B/pytorch_model.bin.index.json").write_text(content)
    assert "pytorch_model.bin.index.json" in refused(source)


@pytest.mark.parametrize("name", ["../outside.safetensors", "/outside.safetensors", ".."])
def test_a_checkpoint_whose_index_names_files_outside_its_folder_is_refused(
    name: str, imported: Path, tmp_path: Path
) -> None:
    checkpoint = Path(shutil.copytree(imported, tmp_path / "copy"))
    (checkpoint / "unet/diffusion_pytorch_model.safetensors").rename(checkpoint / "outside.safetensors")
    index = checkpoint / "unet/diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"conv_in.weight": name}}))
    with pytest.raises(ValueError, match="names files outside its folder"):
        check(checkpoint)


def test_shards_without_their_index_are_refused_with_its_name(source: Path, refused: Refused) -> None:
    (source / "GoT-6B/pytorch_model.bin.index.json").unlink()
    assert "pytorch_model.bin.index.json with its shards" in refused(source)


def test_a_tensor_in_two_shards_is_refused(source: Path, refused: Refused) -> None:
    got = source / "GoT-6B"
    shutil.copy(got / "pytorch_model-00001-of-00003.bin", got / "pytorch_model-00002-of-00003.bin")
    assert "Both" in refused(source)


@pytest.mark.parametrize("value", [3, torch.ones(2, dtype=torch.int64), torch.ones(2, 2).to_sparse()])
def test_anything_but_dense_floating_point_tensors_is_refused(
    value: object, source: Path, refused: Refused
) -> None:
    change_state(source, lambda state: state.update({"unet.conv_in.weight": value}))  # type: ignore[dict-item]
    assert "'unet.conv_in.weight' is none" in refused(source)
