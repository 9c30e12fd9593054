"""A server that speaks OpenAI's protocol as an annotator, and everything that it may do wrong."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from got_models.annotation.annotator import PIXELS, AnnotatorError, AnswerError, ServerFailedError
from got_models.annotation.generation import annotate_picture
from got_models.annotation.server import ATTEMPTS, KEY_VARIABLE, ServerAnnotator
from got_models.errors import GoTError
from got_models.mllm.prompts import DESCRIBE
from tiny_model.world.scene import Scene, Thing, draw

from .chat_server import MODEL, ChatServer, serving
from .looking import Looking

pytest.importorskip("httpx2")
KEY = "sk-very-secret-7391"
PICTURE = draw(Scene("white", (Thing("circle", "red", 10, 20, 40, 40),)), 400)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)


def client(server: ChatServer, timeout: float = 20.0) -> ServerAnnotator:
    return ServerAnnotator(server.address, MODEL, PIXELS, timeout=timeout, first_wait=0.001)


def completion(content: object, finish: str = "stop") -> tuple[int, dict[str, str], bytes]:
    choice = {"message": {"content": content}, "finish_reason": finish}
    return 200, {}, json.dumps({"choices": [choice]}).encode()


def test_it_annotates_and_counts_tokens_and_sends_the_key_and_the_model() -> None:
    with serving(Looking(PIXELS)) as server:
        annotator = client(server)
        annotation = annotate_picture(annotator, PICTURE)
        assert annotation.doubts == () and [r.phrase for r in annotation.chain.regions] == ["a red circle"]
        assert annotator.tokens == 107 * len(server.requests)
        assert server.keys == {f"Bearer {KEY}"}
        assert {request["model"] for request in server.requests} == {MODEL}


def test_pictures_are_sent_in_whole_patches_and_no_larger_than_a_server_keeps_them() -> None:
    with serving() as server:
        annotator = client(server)
        for size in ((4000, 3000), (30, 900), (5, 5)):
            width, height = annotator.size_shown(Image.new("RGB", size))
            assert width % 28 == height % 28 == 0 and 0 < width * height <= 1.1 * 1024 * 1024


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_or_failing_server_is_asked_again_and_waited_for(status: int) -> None:
    busy = (status, {"Retry-After": "0"}, b"{}")
    with serving(trouble=lambda number: busy if number < 4 else None) as server:
        assert client(server).answer(DESCRIBE, PICTURE) == "A red circle on a white background."
        assert len(server.requests) == 4


def test_the_seconds_that_a_server_asks_for_are_waited() -> None:
    with serving(trouble=lambda number: (429, {"Retry-After": "9"}, b"") if number == 1 else None) as server:
        annotator = client(server)
        waited: list[float] = []
        annotator._closed.wait = lambda seconds: bool(waited.append(seconds))  # type: ignore[assignment, func-returns-value]
        annotator.answer(DESCRIBE, PICTURE)
        assert waited == [9.0]


def test_what_fails_again_and_again_has_a_limit() -> None:
    for status, error in ((429, AnnotatorError), (500, ServerFailedError)):
        with serving(trouble=lambda number, status=status: (status, {}, b"overloaded")) as server:
            with pytest.raises(error, match=rf"{ATTEMPTS} times.*status {status}: 'overloaded'"):
                client(server).answer(DESCRIBE, PICTURE)
            assert len(server.requests) == ATTEMPTS


def test_no_answer_in_time_is_asked_for_again() -> None:
    with serving(trouble=lambda number: 0.6 if number == 1 else None) as server:
        assert client(server, timeout=0.3).answer(DESCRIBE, PICTURE).startswith("A red circle")
    with serving(trouble=lambda number: 0.2) as server, pytest.raises(ServerFailedError, match="in time"):
        client(server, timeout=0.05).answer(DESCRIBE, PICTURE)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, AnnotatorError, KEY_VARIABLE),
        (403, AnnotatorError, KEY_VARIABLE),
        (404, AnnotatorError, "/v1"),
        (400, AnswerError, "refuses this question"),
    ],
)
def test_a_refusal_is_told_at_once_with_advice_and_without_the_key(
    status: int, error: type[GoTError], words: str
) -> None:
    said = f'{{"error": "Incorrect key {KEY}"}}'.encode()
    with serving(trouble=lambda number: (status, {}, said)) as server:
        with pytest.raises(error, match=words) as caught:
            client(server).answer(DESCRIBE, PICTURE)
        assert (
            len(server.requests) == 1
            and KEY not in str(caught.value)
            and "Incorrect key" in str(caught.value)
        )


@pytest.mark.parametrize(
    ("response", "words"),
    [
        ((200, {}, b"<html>hello</html>"), "no chat completion.*hello"),
        ((200, {}, b"[" * 100_000), "no chat completion"),
        ((200, {}, b'{"choices": []}'), "no chat completion"),
        (completion(None), "no chat completion"),
        (completion({"a": 1}), "no chat completion"),
        (completion("so long that", "length"), "did not come to an end.*so long that"),
        (completion("<think>hm</think>"), "only the model's thoughts"),
        ((200, {}, b"x" * 9_000_000), "no chat completion"),
    ],
)
def test_nonsense_is_named(response: tuple[int, dict[str, str], bytes], words: str) -> None:
    with serving(trouble=lambda number: response) as server, pytest.raises(AnswerError, match=words):
        client(server).answer(DESCRIBE, PICTURE)


def test_thoughts_are_left_out() -> None:
    with serving(trouble=lambda number: completion("<think>red?</think>\nA red circle.")) as server:
        assert client(server).answer(DESCRIBE, PICTURE) == "A red circle."


def test_a_server_that_is_not_there_stops_everything() -> None:
    with serving() as server:
        address = server.address
    with pytest.raises(AnnotatorError, match="cannot be asked"):
        ServerAnnotator(address, MODEL, PIXELS, first_wait=0.001).answer(DESCRIBE)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost:8000",
        "ftp://here/v1",
        "http://",
        "http://a:b@here/v1",
        "http://here/v1?key=1",
        "http://[x/",
    ],
)
def test_an_address_that_is_none_or_holds_a_password_is_refused(address: str) -> None:
    with pytest.raises(GoTError, match="address") as caught:
        ServerAnnotator(address, MODEL, PIXELS)
    assert "a:b" not in str(caught.value)


def test_a_key_that_cannot_be_sent_is_refused_and_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("my secret", "gehe\u00ednnis", "a\nb"):
        monkeypatch.setenv(KEY_VARIABLE, key)
        with pytest.raises(GoTError, match=KEY_VARIABLE) as caught:
            ServerAnnotator("http://here/v1", MODEL, PIXELS)
        assert key not in str(caught.value)


def test_a_closed_client_asks_no_more() -> None:
    with serving(trouble=lambda number: (503, {"Retry-After": "50"}, b"")) as server:
        annotator = client(server)
        annotator.close()
        with pytest.raises(AnnotatorError, match="any more"):
            annotator.answer(DESCRIBE)
