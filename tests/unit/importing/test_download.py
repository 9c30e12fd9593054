"""The download: only what an import needs, resumed to the byte, and a message for whatever the network does.

The hub is a small server on this machine that answers as huggingface.co does. The real client finds it
through HF_ENDPOINT, which it reads once: so every download runs in a process of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from got_models.files.exclusive_lock import exclusive_lock
from got_models.importing.folders import find_folders

ROOT = Path(__file__).parents[3]
GOT, QWEN, SDXL = (
    "LucasFang/GoT-6B",
    "Qwen/Qwen2.5-VL-3B-Instruct",
    "stabilityai/stable-diffusion-xl-base-1.0",
)
FIRST, SECOND = "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"
SHARD_BYTES = 25_000_000  # the client hands over 10 MB at a time
FOLDERS = {GOT: "GoT-6B", QWEN: "Qwen2.5-VL-3B-Instruct", SDXL: "stable-diffusion-xl-base-1.0"}
NEEDED = {
    GOT: {"pytorch_model.bin.index.json", FIRST, SECOND},
    QWEN: {
        *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"),
        *("preprocessor_config.json", "chat_template.json"),
    },
    SDXL: {"unet/config.json", "vae/config.json", "scheduler/scheduler_config.json"},
}
NOT_NEEDED = {
    GOT: {"README.md", "pytorch_model-../../outside.bin", "pytorch_model-1/2.bin"},
    QWEN: {"model-00001-of-00002.safetensors", "vocab.json"},
    SDXL: {
        "sd_xl_base_1.0.safetensors",
        "unet/model.safetensors",
        "../unet/config.json",
        "other/config.json",
    },
}

DOWNLOAD = """
import os, resource, signal, sys, time
from pathlib import Path
from got_models.errors import GoTError
from got_models.importing.download import download

time.sleep = lambda seconds: None  # the hub's client waits longer and longer before it tries again
folder, end, largest = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
if largest:
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

def report(done, total):
    print(done, total)
    if done >= end * total:
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)

try:
    download(Path(folder), report)
except GoTError as error:
    sys.exit(f"error: {error}")
"""


@dataclass
class Hub:
    """Repository -> file -> content. `asked`: each file that was asked for, with the byte it began at."""

    repositories: dict[str, dict[str, bytes]]
    address: str = ""
    asked: list[tuple[str, int]] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)


class Answer(BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        found = re.fullmatch(r"/api/models/(.+?/.+?)/tree/main", path)
        if found and (files := self.hub.repositories.get(found[1])):
            self.reply(200, json.dumps([listed(name, files[name]) for name in files]).encode())
        elif found := re.fullmatch(r"/(.+?/.+?)/resolve/main/(.+)", path):
            content = self.hub.repositories[found[1]][found[2]]
            if found[2] in self.hub.damaged:
                content = content[:-1] + b"?"
            start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
            self.hub.asked.append((f"{FOLDERS[found[1]]}/{found[2]}", start))
            self.reply(206 if start else 200, content[start:], start, len(content))
        else:
            self.reply(404, b"{}")

    def reply(self, code: int, content: bytes, start: int = 0, total: int = 0) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        if code == 206:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def listed(name: str, content: bytes) -> dict[str, object]:
    """A file as the hub lists it: weights lie in a store of large files, which knows their SHA-256."""
    entry: dict[str, object] = {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
    if name.endswith(".bin"):
        digest = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 135}
    return entry


@pytest.fixture
def hub() -> Iterator[Hub]:
    weights = {FIRST: random.randbytes(SHARD_BYTES), SECOND: random.randbytes(1000)}
    repositories = {
        name: {
            file: weights.get(file, f"{name}: {file}".encode()) for file in NEEDED[name] | NOT_NEEDED[name]
        }
        for name in NEEDED
    }
    hub = Hub(repositories)
    with ThreadingHTTPServer(("127.0.0.1", 0), type("BoundAnswer", (Answer,), {"hub": hub})) as server:
        hub.address = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever).start()
        yield hub
        server.shutdown()


def run(
    address: str, folder: Path, killed_at: float = 9.0, largest: int = 0
) -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: value for name, value in os.environ.items() if "proxy" not in name.lower()},
        "HF_ENDPOINT": address,
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(folder / "home"),
    }
    command = [sys.executable, "-c", DOWNLOAD, str(folder), str(killed_at), str(largest)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and "home" not in file.parts
    }


def expected(hub: Hub) -> dict[str, bytes]:
    return {
        f"{FOLDERS[name]}/{file}": hub.repositories[name][file] for name in NEEDED for file in NEEDED[name]
    }


def message(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1, result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("error: "), result.stderr
    return last


def test_only_what_an_import_needs_is_fetched_and_no_file_twice(hub: Hub, tmp_path: Path) -> None:
    result = run(hub.address, tmp_path)
    assert result.returncode == 0, result.stderr
    assert contents(tmp_path) == expected(hub)
    assert sorted(name for name, _ in hub.asked) == sorted(expected(hub))
    assert find_folders(tmp_path).got == tmp_path / "GoT-6B"
    assert not (tmp_path.parent / "outside.bin").exists()

    hub.asked.clear()
    assert run(hub.address, tmp_path).returncode == 0
    assert hub.asked == []


def test_progress_counts_the_bytes_of_all_files_up_to_their_sum(hub: Hub, tmp_path: Path) -> None:
    reports = [tuple(map(int, line.split())) for line in run(hub.address, tmp_path).stdout.splitlines()]
    total = sum(map(len, expected(hub).values()))
    assert {of for _, of in reports} == {total}
    done = [number for number, _ in reports]
    assert done == sorted(done) and done[-1] == total
    assert any(0 < number < SHARD_BYTES for number in done)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
def test_a_killed_download_goes_on_at_the_byte_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    assert run(hub.address, tmp_path, killed_at=0.7).returncode == -signal.SIGKILL
    (part,) = (tmp_path / "GoT-6B").glob(".got-download-*")
    received = part.stat().st_size
    assert 0 < received < SHARD_BYTES
    hub.asked.clear()
    assert run(hub.address, tmp_path).returncode == 0
    assert contents(tmp_path) == expected(hub)
    assert (f"GoT-6B/{FIRST}", received) in hub.asked


def test_a_file_that_arrives_damaged_is_removed_and_fetched_again(hub: Hub, tmp_path: Path) -> None:
    hub.damaged.add(SECOND)
    assert f"{SECOND} arrived damaged and was removed" in message(run(hub.address, tmp_path))
    assert [name for name in contents(tmp_path) if SECOND in name] == []
    hub.damaged.clear()
    assert run(hub.address, tmp_path).returncode == 0
    assert contents(tmp_path) == expected(hub)


def test_a_disk_that_fills_up_is_told_from_the_network_and_the_next_run_goes_on(
    hub: Hub, tmp_path: Path
) -> None:
    pytest.importorskip("resource", reason="limits on file sizes are a matter of POSIX")
    text = message(run(hub.address, tmp_path, largest=15_000_000))
    assert "cannot be written: File too large. Free some disk space" in text
    assert run(hub.address, tmp_path).returncode == 0
    assert contents(tmp_path) == expected(hub)


def test_without_network_the_message_says_which_files_belong_where_and_from_whom(tmp_path: Path) -> None:
    text = message(run("http://127.0.0.1:9", tmp_path))
    assert "cannot be downloaded from http://127.0.0.1:9" in text and "HF_ENDPOINT" in text
    for repository, folder in FOLDERS.items():
        assert f"https://huggingface.co/{repository}" in text and f"{folder}: " in text
    for file in ("pytorch_model-*.bin", *NEEDED[QWEN], *NEEDED[SDXL]):
        assert file in text
    assert contents(tmp_path) == {}


def test_a_repository_that_is_not_there_is_named(hub: Hub, tmp_path: Path) -> None:
    del hub.repositories[QWEN]
    assert f"{QWEN} cannot be downloaded from {hub.address}" in message(run(hub.address, tmp_path))


def test_a_second_download_into_the_same_folder_is_refused(hub: Hub, tmp_path: Path) -> None:
    with exclusive_lock("download", tmp_path / ".got-download.lock"):
        assert "Another download" in message(run(hub.address, tmp_path))
    assert hub.asked == []


def test_a_folder_that_cannot_be_written_to_is_named(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert "cannot be written" in message(run(hub.address, tmp_path / "file/downloads"))
