"""Fingerprints of weights are computed once while files stay the same; it can be watched and stopped."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from got_models.errors import GoTError, Interrupted
from got_models.weights import fingerprints
from got_models.weights.fingerprints import Fingerprints, weights_digest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for place, part in enumerate(("mllm", "unet", "vae")):
        (tmp_path / "checkpoint" / part).mkdir(parents=True)
        tensors = {"visual.a": torch.full((50,), place), "b": torch.ones(30)}
        save_file(tensors, tmp_path / "checkpoint" / part / "model.safetensors")
    return tmp_path / "checkpoint"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parts that have been read, as they are."""
    read: list[str] = []

    def spy(part: Path, inside: str, on_read: Callable[[int], None]) -> str:
        read.append(part.name + inside)
        return weights_digest(part, inside, on_read)

    monkeypatch.setattr(fingerprints, "weights_digest", spy)
    return read


def nobody(done: int, total: int) -> None:
    raise AssertionError("nothing is to be read")


def test_each_part_is_read_once_and_watched(folder: Path, tmp_path: Path, hashed: list[str]) -> None:
    told: list[tuple[int, int]] = []
    first = Fingerprints(tmp_path / "cache").checkpoint(folder, lambda *seen: told.append(seen))
    assert first == [weights_digest(folder / part) for part in ("mllm", "unet", "vae")]
    assert hashed == ["mllm", "unet", "vae"]
    assert [done for done, _ in told] == sorted({done for done, _ in told})
    assert 0.3 < told[-1][0] / told[-1][1] <= 1
    assert Fingerprints(tmp_path / "cache").checkpoint(folder, nobody) == first
    assert hashed == ["mllm", "unet", "vae"]


def test_one_part_in_two_views_has_two_digests(folder: Path, tmp_path: Path, hashed: list[str]) -> None:
    cache = Fingerprints(tmp_path / "cache")
    assert cache.weights(folder / "mllm") != cache.weights(folder / "mllm", "visual.")
    assert cache.weights(folder / "mllm", "visual.") == weights_digest(folder / "mllm", "visual.")
    assert hashed == ["mllm", "mllmvisual."]


@pytest.mark.parametrize("rename", [False, True])
def test_changed_weights_have_another_digest(
    folder: Path, tmp_path: Path, hashed: list[str], rename: bool
) -> None:
    cache, file = Fingerprints(tmp_path / "cache"), folder / "unet/model.safetensors"
    before = cache.weights(folder / "unet")
    save_file({"visual.a": torch.full((50,), 7), "b": torch.ones(30)}, tmp_path / "new")
    if rename:
        (tmp_path / "new").replace(file)
    else:
        file.write_bytes((tmp_path / "new").read_bytes())
    assert cache.weights(folder / "unet") == weights_digest(folder / "unet") != before
    assert hashed == ["unet", "unet"]


@pytest.mark.parametrize("damage", [b"", b"0" * 63, b"Z" * 64, b"\xff" * 64, b"0" * 100_000])
def test_a_damaged_entry_is_made_anew(folder: Path, tmp_path: Path, hashed: list[str], damage: bytes) -> None:
    first = Fingerprints(tmp_path / "cache").weights(folder / "vae")
    (entry,) = (tmp_path / "cache/digests").iterdir()
    entry.write_bytes(damage)
    assert Fingerprints(tmp_path / "cache").weights(folder / "vae") == first
    assert Fingerprints(tmp_path / "cache").weights(folder / "vae") == first
    assert hashed == ["vae", "vae"]


def test_many_writers_at_once_agree(folder: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(
            threads.map(
                lambda _: Fingerprints(tmp_path / "cache").checkpoint(folder, lambda *seen: None), range(16)
            )
        )
    assert found == [found[0]] * 16
    assert len(list((tmp_path / "cache/digests").iterdir())) == 3


def test_weights_that_change_while_they_are_read_are_not_remembered(folder: Path, tmp_path: Path) -> None:
    file = folder / "vae/model.safetensors"

    def change() -> bool:
        file.touch()
        return False

    Fingerprints(tmp_path / "cache", change).weights(folder / "vae")
    assert not (tmp_path / "cache/digests").exists()


def test_reading_stops_when_it_is_told_to(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        Fingerprints(tmp_path / "cache", lambda: True).checkpoint(folder, nobody)
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_is_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(GoTError, match="cannot be written to"):
        Fingerprints(tmp_path / "cache").weights(folder / "vae")
