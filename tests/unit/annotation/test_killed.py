"""An annotation that is killed at any point, with a server and two workers."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from got_models.annotation.output import REVIEW_FILE
from got_models.annotation.server import KEY_VARIABLE
from got_models.dataset.rows import read_dataset

from .chat_server import MODEL, serving
from .folders import is_complete, rows, write_folder

ROOT = Path(__file__).parents[3]
KEY = "sk-very-secret-7391"
KILLS = int(os.environ.get("GOT_KILLS", "2"))


def test_nothing_is_lost_doubled_or_torn_and_the_key_is_nowhere(tmp_path: Path) -> None:
    pytest.importorskip("httpx2")
    folder = write_folder(tmp_path / "folder", 2 * KILLS + 2, KILLS, side=128)
    (folder / "broken.jpg").write_bytes(b"no picture")
    rng = random.Random(5)
    output = b""
    with serving(trouble=lambda number: 0.01) as server:
        program = [sys.executable, "-m", "got_models", "dataset", "annotate", str(folder)]
        program += ["--server", server.address, "--model", MODEL, "--workers", "2"]

        def start() -> subprocess.Popen[bytes]:
            environment = {**os.environ, KEY_VARIABLE: KEY}
            return subprocess.Popen(
                program, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )

        for _ in range(KILLS):
            last = len(server.requests) + rng.randint(3, 25)
            process = start()
            while len(server.requests) < last and process.poll() is None:
                time.sleep(0.002)
            process.kill()
            output += process.communicate()[0]
        process = start()
        output += process.communicate()[0]
        assert process.returncode == 0, output
        assert server.keys == {f"Bearer {KEY}"}
    assert is_complete(folder)
    assert [row["image"] for row in rows(folder / REVIEW_FILE)] == ["broken.jpg"]
    read_dataset(folder).usable(leave_out_bad_rows=False)
    assert KEY.encode() not in output
    assert not [file for file in folder.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]
