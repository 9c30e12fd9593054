"""Weights are streamed: the memory of an import."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from .published_tree import QWEN_CONFIG, ROOT, ROWS, change_json, trained, write_weights

MEASURED_RUN = """
import json, sys
from pathlib import Path
from got_models.importing.convert import import_checkpoint
from got_models.importing.folders import find_folders

def peak():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

peaks = []
import_checkpoint(
    find_folders(Path(sys.argv[1])), Path(sys.argv[2]), on_progress=lambda done, total: peaks.append(peak())
)
print(json.dumps([peaks[0], peak()]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads the peak from Linux's /proc")
def test_weights_stream_so_that_the_peak_grows_by_one_shard_and_not_by_all(
    published: Path, tmp_path: Path
) -> None:
    """300 MB in eight shards. The kernel's own peak of the process (VmHWM), which mapped pages count into."""
    source = Path(shutil.copytree(published, tmp_path / "pretrained"))
    larger = {"intermediate_size": 7600, "hidden_size": 512, "num_attention_heads": 32}
    larger |= {"num_hidden_layers": 6, "vocab_size": ROWS}
    config = (
        QWEN_CONFIG | larger | {"vision_config": {**QWEN_CONFIG["vision_config"], "out_hidden_size": 512}}
    )
    change_json(source / "Qwen2.5-VL-3B-Instruct/config.json", **config)
    with torch.device("meta"):
        mllm = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**copy.deepcopy(config)))
    state = {f"mllm.{key}": torch.zeros(value.shape) for key, value in mllm.state_dict().items()}
    rest = {key: value for key, value in trained()[0].items() if not key.startswith("mllm.")}
    for key in [key for key in rest if key.startswith("output_projector") and key.endswith("weight")]:
        rest[key] = torch.zeros(rest[key].shape[0], 512)
    shutil.rmtree(source / "GoT-6B")
    write_weights(source / "GoT-6B", state | rest, ".bin", 8)
    del state
    sizes = [file.stat().st_size for file in (source / "GoT-6B").glob("*.bin")]
    assert sum(sizes) > 280_000_000

    run = subprocess.run(
        [sys.executable, "-c", MEASURED_RUN, str(source), str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    before, peak = json.loads(run.stdout)
    print(f"peak {peak / 1e6:.0f} MB, {(peak - before) / 1e6:.0f} MB above the first tensor's,", end=" ")
    print(f"{max(sizes) / 1e6:.0f} MB in the largest of {sum(sizes) / 1e6:.0f} MB")
    assert peak - before < max(sizes) + 60_000_000
    assert peak < max(sizes) + 2_000_000_000
