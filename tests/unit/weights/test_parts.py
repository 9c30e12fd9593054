"""Parts load once, also ahead on another thread, and import nothing heavy that they do not use."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from got_models.errors import GoTError
from got_models.weights.parts import PartName, ResidentParts

ROOT = Path(__file__).parents[3]
UNUSED = {"cv2", "datasets", "matplotlib", "pandas", "scipy", "sklearn", "tensorflow", "torchvision"}
UNUSED_INSIDE = {"diffusers.pipelines", "diffusers.training_utils", "torch.utils.tensorboard"}
"""Each takes from a quarter of a second to seconds, and no part needs it."""


class Disk:
    """Remembers which parts were read, and on which threads; `missing` cannot be."""

    def __init__(self, missing: str = "") -> None:
        self.missing = missing
        self.read: list[str] = []
        self.threads: set[int] = set()

    def __call__(self, name: PartName) -> nn.Module:
        self.read.append(name)
        self.threads.add(threading.get_ident())
        if name == self.missing:
            raise GoTError(f"{name} is damaged.")
        return nn.Linear(1, 1)


def test_a_part_that_is_loaded_ahead_is_read_once_on_another_thread() -> None:
    disk = Disk()
    parts = ResidentParts(disk, "cpu", torch.float32)
    parts.load_ahead("unet", "vae")
    parts.load_ahead("unet")
    assert parts.unet() is parts.unet()
    parts.vae()
    assert sorted(disk.read) == ["unet", "vae"]
    assert threading.get_ident() not in disk.threads


def test_a_part_that_cannot_be_loaded_says_so_where_it_is_needed() -> None:
    parts = ResidentParts(Disk(missing="unet"), "cpu", torch.float32)
    parts.load_ahead("unet", "vae")
    parts.vae()
    for _ in range(2):  # ahead, and on demand
        with pytest.raises(GoTError, match="unet is damaged"):
            parts.unet()


def test_a_part_is_not_made_while_another_one_is() -> None:
    begun, go_on = threading.Event(), threading.Event()
    at_once: list[int] = []
    making: list[PartName] = []

    def make(name: PartName) -> nn.Module:
        making.append(name)
        at_once.append(len(making))
        begun.set()
        go_on.wait(0.2)  # long enough for another thread to come in
        making.remove(name)
        return nn.Linear(1, 1)

    ahead, elsewhere = (ResidentParts(make, "cpu", torch.float32) for _ in range(2))
    ahead.load_ahead("unet", "vae")
    begun.wait()
    ahead.ssgm()
    elsewhere.reasoner()
    ahead.vae()
    assert at_once == [1, 1, 1, 1]


def test_drawing_imports_nothing_heavy_that_it_does_not_use() -> None:
    code = (
        "import sys\n"
        "from got_models import GoTModel\n"
        "model = GoTModel.from_pretrained('got_models/tiny')\n"
        "for part in ('reasoner', 'ssgm', 'unet', 'vae'):\n"
        "    getattr(model.parts, part)()\n"
        f"print(sorted({UNUSED | UNUSED_INSIDE} & {{*sys.modules}}))\n"
    )
    imported = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert imported.strip() == "[]"
