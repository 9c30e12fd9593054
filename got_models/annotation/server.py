"""Any server that speaks OpenAI's chat completions, such as vLLM, Ollama or LM Studio, as an annotator."""

from __future__ import annotations

import base64
import json
import os
import random
import threading
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from PIL import Image

from ..chain.notations.thoughts import without_thoughts
from ..chain.planner import Size
from ..errors import GoTError, short_repr
from .annotator import COORDINATES, AnnotatorError, AnswerError, ServerFailedError

if TYPE_CHECKING:
    from httpx2 import Client, Response

KEY_VARIABLE = "GOT_API_KEY"
MOST_PIXELS = 1024 * 1024  # of a picture that is sent: servers shrink larger ones, and pixels would be others
PATCH = 28  # sides are multiples of it, as Qwen2.5-VL's own, so that the server resizes nothing
JPEG_QUALITY = 95
LONGEST_ANSWER = 1024  # tokens
MOST_BYTES = 4_000_000  # of a response
ATTEMPTS = 6
LONGEST_WAIT = 60.0  # seconds between attempts
BUSY, FAILED = 429, 500
REFUSED = (401, 403, 404)


class ServerAnnotator:
    """A model on a server. Several threads may ask it at once.

    Args:
        address: up to the version, such as http://localhost:8000/v1.
        model: its name there.
        coordinates: "pixels" as of Qwen2.5-VL, or "thousandths" as of Qwen3-VL.
        timeout: seconds to wait for an answer.
        first_wait: seconds before a question is asked again; doubled each time.

    Raises:
        GoTError: an address, a unit or a key that cannot be used, or httpx2 is not installed.
    """

    follows_instructions = True

    def __init__(
        self,
        address: str,
        model: str,
        coordinates: str,
        *,
        timeout: float = 120.0,
        first_wait: float = 1.0,
    ) -> None:
        if coordinates not in COORDINATES:
            raise GoTError(f"Coordinates are one of {', '.join(COORDINATES)}, got {short_repr(coordinates)}.")
        self.name = f"{model} at {_checked(address)}"
        self.coordinates = coordinates
        self.tokens = 0
        self._model = model
        self._key = _key()
        self._client = _client(address, self._key, timeout)
        self._first_wait = first_wait
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Ends what is being asked, in all threads."""
        self._closed.set()
        self._client.close()

    def size_shown(self, picture: Image.Image) -> Size:
        """Multiples of a patch, and at most a megapixel."""
        scale = min(1.0, (MOST_PIXELS / (picture.width * picture.height)) ** 0.5)
        width, height = (max(1, round(side * scale / PATCH)) * PATCH for side in picture.size)
        return width, height

    def answer(self, question: str, picture: Image.Image | None = None) -> str:
        """The model's answer, its thoughts left out.

        Raises:
            AnswerError: the server refuses this question, or its answer is cut, or none at all.
            ServerFailedError: it fails at it again and again.
            AnnotatorError: it cannot be reached, refuses everybody, or stays busy.
        """
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": self._content(question, picture)}],
            "temperature": 0,
            "max_tokens": LONGEST_ANSWER,
        }
        return self._read(self._post(json.dumps(body).encode()))

    def _content(self, question: str, picture: Image.Image | None) -> list[dict[str, Any]]:
        content: list[dict[str, Any]] = [{"type": "text", "text": question}]
        if picture is not None:
            shown = picture.convert("RGB").resize(self.size_shown(picture), Image.Resampling.BICUBIC)
            file = BytesIO()
            shown.save(file, "JPEG", quality=JPEG_QUALITY)
            data = base64.b64encode(file.getvalue()).decode()
            content.insert(0, {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}})
        return content

    def _post(self, body: bytes) -> bytes:
        """The response to a question; asked again while the server is busy or fails."""
        import httpx2

        wait, problem = self._first_wait, ""
        for attempt in range(1, ATTEMPTS + 1):
            least = 0.0
            if self._closed.is_set():
                raise AnnotatorError(f"{self.name} is not asked any more.")
            try:
                with self._client.stream("POST", "chat/completions", content=body) as response:
                    content = _bounded(response)
                    status, least = response.status_code, _retry_after(response)
                if status < 400:
                    return content
                problem = f"status {status}: {self._said(content)}"
                if status in REFUSED:
                    raise AnnotatorError(f"{self.name} refuses: {problem} {self._advice(status)}")
                if status != BUSY and status < FAILED:
                    raise AnswerError(f"{self.name} refuses this question: {problem}")
            except httpx2.TimeoutException:
                status, problem = 0, "no answer in time"
            except httpx2.HTTPError as error:
                status, problem = 0, self._without_key(f"{type(error).__name__}: {error}")
            if attempt < ATTEMPTS:
                self._closed.wait(min(LONGEST_WAIT, max(least, wait * random.uniform(0.75, 1.25))))
                wait *= 2
        if status >= FAILED or problem == "no answer in time":
            raise ServerFailedError(f"{self.name} failed {ATTEMPTS} times at this question: {problem}.")
        raise AnnotatorError(f"{self.name} cannot be asked, tried {ATTEMPTS} times: {problem}.")

    def _read(self, content: bytes) -> str:
        """The words in a response.

        Raises:
            AnswerError: there are none, or they are cut.
        """
        try:
            response = json.loads(content)
            choice = response["choices"][0]
            text = choice["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            text = None
        if not isinstance(text, str):
            raise AnswerError(
                f"{self.name} answered what is no chat completion: {self._said(content)}. Does the address "
                "end where OpenAI's protocol begins, as in http://localhost:8000/v1?"
            )
        usage = response.get("usage")
        spent = usage.get("total_tokens") if isinstance(usage, dict) else None
        if type(spent) is int and 0 <= spent < 10**9:
            with self._lock:
                self.tokens += spent
        if choice.get("finish_reason") == "length":
            raise AnswerError(f"{self.name} did not come to an end: {self._said(text.encode())}")
        try:
            return self._without_key(without_thoughts(text)[0].strip())
        except GoTError as error:
            raise AnswerError(str(error)) from error

    def _said(self, content: bytes) -> str:
        return short_repr(self._without_key(content[:2000].decode(errors="replace")), 200)

    def _without_key(self, text: str) -> str:
        """A text from outside that may repeat the key: some servers quote the one that they refuse."""
        return text.replace(self._key, f"[{KEY_VARIABLE}]") if self._key else text

    def _advice(self, status: int) -> str:
        if status == 404:
            return f"Is there a model {short_repr(self._model)}, and does the address end in /v1?"
        return f"Set the environment variable {KEY_VARIABLE} to the server's key."


def _checked(address: str) -> str:
    """The address for messages.

    Raises:
        GoTError: it is none, or holds a password.
    """
    try:
        parts = urlsplit(address)
        named = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        named = False
    if not named:
        raise GoTError(f"Expected an address such as http://localhost:8000/v1, got {short_repr(address)}.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise GoTError(
            "The address must hold neither a password nor anything behind a question mark. The key belongs "
            f"into the environment variable {KEY_VARIABLE}."
        )
    return address.rstrip("/")


def _key() -> str:
    """The key from the environment; empty without one.

    Raises:
        GoTError: it cannot be sent; the message does not quote it.
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not all("!" <= character <= "~" for character in key):
        raise GoTError(f"{KEY_VARIABLE} holds characters that no key has, such as spaces. Copy it again.")
    return key


def _client(address: str, key: str, timeout: float) -> Client:
    try:
        import httpx2
    except ImportError as error:
        raise GoTError("Asking a server needs httpx2, which is not installed: pip install httpx2.") from error
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    return httpx2.Client(base_url=f"{address.rstrip('/')}/", headers=headers, timeout=timeout)


def _bounded(response: Response) -> bytes:
    """The body of a response, and no more than its first megabytes."""
    content = b""
    for piece in response.iter_bytes():
        content += piece
        if len(content) > MOST_BYTES:
            break
    return content


def _retry_after(response: Response) -> float:
    """The seconds that a busy server asks to wait."""
    said = response.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() and len(said) < 9 else 0.0
