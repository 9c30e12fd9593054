"""A real ComfyUI server with this pack as the only one in its custom_nodes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import psutil
from PIL import Image

from .place import ROOT, ComfyUI

PACK = "ComfyUI-GoT"
START_LIMIT = 300.0  # seconds
ANSWER_LIMIT = 120.0
RUN_LIMIT = 1800.0 if os.environ.get("GOT_TRAIN_IN_FULL") == "1" else 600.0
MEBIBYTE = 2**20


@dataclass(frozen=True)
class Run:
    """One run of a prompt, as in the server's history."""

    outputs: dict[str, dict[str, Any]]
    messages: dict[str, dict[str, Any]]

    @property
    def succeeded(self) -> bool:
        return "execution_success" in self.messages

    @property
    def interrupted(self) -> bool:
        return "execution_interrupted" in self.messages

    @property
    def cached(self) -> set[str]:
        """The nodes whose cached results were used."""
        return set(self.messages["execution_cached"]["nodes"])

    @property
    def error(self) -> tuple[str, str]:
        """The node that failed, and what it said."""
        data = self.messages.get("execution_error", {})
        return data.get("node_id", ""), data.get("exception_message", "")


class Server:
    """ComfyUI on the CPU, with models, input, output and settings in `folder`.

    Args:
        arguments: more of them for ComfyUI's command line.
        libraries: a folder with libraries that are taken in place of those installed beside ComfyUI.
    """

    def __init__(self, place: ComfyUI, folder: Path, *arguments: str, libraries: Path | None = None) -> None:
        self.folder = folder
        self.log = folder / "server.log"
        (folder / "custom_nodes").mkdir(parents=True, exist_ok=True)
        (folder / "custom_nodes" / PACK).symlink_to(ROOT, target_is_directory=True)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [
            *(str(place.python), "main.py", "--cpu", "--base-directory", str(folder), "--port", str(port)),
            *("--database-url", f"sqlite:///{folder / 'comfyui.db'}", "--disable-api-nodes"),
            *("--disable-auto-launch", "--preview-method", "latent2rgb", *arguments),
        ]
        environment = {**os.environ, "PYTHONPATH": str(libraries)} if libraries else None
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=place.folder, env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        self._wait_until_it_answers()
        self.post("/settings/Comfy.TutorialCompleted", True)

    def _wait_until_it_answers(self) -> None:
        until = time.monotonic() + START_LIMIT
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until:
                self.stop()
                raise RuntimeError(f"ComfyUI did not start:\n{self.log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.2)

    def answers(self) -> bool:
        try:
            self.get("/queue")
        except OSError:
            return False
        return True

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=ANSWER_LIMIT) as answer:
            content: bytes = answer.read()
        return content

    def get_json(self, path: str) -> Any:
        return json.loads(self.get(path))

    def post(self, path: str, data: Any) -> Any:
        """The response, also if it is an error."""
        request = urllib.request.Request(
            self.url + path, json.dumps(data).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_LIMIT) as answer:
                content = answer.read()
        except urllib.error.HTTPError as refusal:
            content = refusal.read()
        return json.loads(content) if content else None

    def queue(self, prompt: dict[str, Any]) -> str:
        return accepted(self.post("/prompt", {"prompt": prompt}))

    def wait(self, identity: str) -> Run:
        until = time.monotonic() + RUN_LIMIT
        while time.monotonic() < until:
            if record := self.get_json(f"/history/{identity}").get(identity):
                return Run(record["outputs"], dict(record["status"]["messages"]))
            time.sleep(0.1)
        raise TimeoutError(f"The run took longer than {RUN_LIMIT:.0f} s.")

    def run(self, prompt: dict[str, Any]) -> Run:
        return self.wait(self.queue(prompt))

    def pictures(self, run: Run, node: str) -> list[Image.Image]:
        """What a SaveImage or PreviewImage node has saved, with the files' metadata."""
        queries = [urllib.parse.urlencode(file) for file in run.outputs[node]["images"]]
        return [Image.open(BytesIO(self.get(f"/view?{query}"))) for query in queries]

    def memory(self) -> float:
        """Resident, in MiB."""
        resident: int = psutil.Process(self.process.pid).memory_info().rss
        return resident / MEBIBYTE


def accepted(answer: dict[str, Any]) -> str:
    """The run's id from the server."""
    if "prompt_id" not in answer:
        raise RuntimeError(f"The server refused the prompt: {answer}")
    identity: str = answer["prompt_id"]
    return identity


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
