"""Where the published folders are found, and what is missing in them."""

from __future__ import annotations

import shutil
from pathlib import Path

from got_models.importing.folders import REPOSITORIES, PublishedFolders, find_folders

from .published_tree import ROOT, Refused


def test_folders_are_found_side_by_side_or_taken_as_given(source: Path, tmp_path: Path) -> None:
    names = ("GoT-6B", "Qwen2.5-VL-3B-Instruct", "stable-diffusion-xl-base-1.0")
    side_by_side = PublishedFolders(*(source / name for name in names))
    assert find_folders(source) == find_folders(source / "GoT-6B") == side_by_side
    qwen = Path(shutil.move(source / names[1], tmp_path / "qwen"))
    sdxl = Path(shutil.move(source / names[2], tmp_path / "sdxl"))
    assert find_folders(source, qwen, sdxl) == PublishedFolders(source / names[0], qwen, sdxl)


def test_the_page_on_models_names_every_file_that_is_needed_and_where_it_comes_from() -> None:
    page = (ROOT / "docs/models.md").read_text(encoding="utf-8")
    for folder, repository in REPOSITORIES.items():
        for words in (folder, f"(https://huggingface.co/{repository.name})", *repository.files):
            assert words in page


def test_missing_folders_and_files_are_listed_together(source: Path, refused: Refused) -> None:
    shutil.rmtree(source / "stable-diffusion-xl-base-1.0")
    (source / "Qwen2.5-VL-3B-Instruct/tokenizer.json").unlink()
    message = refused(source)
    assert str(source / "stable-diffusion-xl-base-1.0") in message
    assert str(source / "Qwen2.5-VL-3B-Instruct/tokenizer.json") in message
    assert "`sdxl` with where" in message and "https://huggingface.co/stabilityai/stable-diffusion" in message


def test_a_folder_without_weights_is_refused_with_what_is_expected(source: Path, refused: Refused) -> None:
    for file in (source / "GoT-6B").iterdir():
        file.unlink()
    assert "has no weights: expected one of model.safetensors" in refused(source)
