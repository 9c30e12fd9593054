"""Chains as JSON and in files."""

from __future__ import annotations

import json

import pytest

from got_models.chain.chain import ChainError, ReasoningChain

from .examples import NESTED, TEXT, parse, read


def test_json_round_trip():
    chain = ReasoningChain.parse(TEXT, "edit", "move it")
    data = json.loads(json.dumps(chain.to_json()))
    assert data["regions"][0] == {"phrase": "A red circle", "box": [100, 200, 400, 500], "color": "red"}
    assert ReasoningChain.from_json(data) == chain


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 2}, "newer version"),
        ({"version": "1"}, "version"),
        ({"version": True}, "version"),
        ({"version": None}, "version"),
        ({"task": "paint"}, "paint"),
        ({"prompt": 3}, "prompt"),
        ({"text": None}, "text"),
        ({"text": "no boxes"}, "do not agree"),
        ({"text": TEXT.replace("(400,500)", "(400,100)")}, "swapped"),
        ({"regions": {}}, "regions"),
        ({"regions": []}, "do not agree"),
        ({"regions": ["a cat"]}, "Region 0"),
        ({"regions": [{"phrase": "a", "color": "red"}]}, "Region 0"),
        ({"regions": [{"phrase": "a", "color": "red", "box": [1, 2, 3]}]}, "region 0"),
        ({"regions": [{"phrase": "a", "color": "red", "box": [1.0, 2, 3, 4]}]}, "whole numbers"),
        ({"regions": [{"phrase": "a", "color": "red", "box": [10**9000, 2, 3, 4]}]}, "0 to 999"),
        ({"regions": [{"phrase": 7, "color": "red", "box": [1, 2, 3, 4]}]}, "phrase must be text"),
        ({"regions": [{"phrase": "a", "color": ["red"], "box": [1, 2, 3, 4]}]}, "colour must be text"),
        ({"regions": [{"phrase": "a" * 10**6, "color": "red", "box": [1, 2, 3, 4]}]}, "do not agree"),
        ({"regions": [[[]]] * 10**6}, "at most 64"),
        ({"version": 10**9000}, "newer version"),
        ({"version": NESTED}, "version"),
        ({"task": NESTED}, "task"),
        ({"text": NESTED}, "text"),
        ({"prompt": NESTED}, "prompt"),
        ({"regions": [NESTED]}, "Region 0"),
        ({"regions": [{"phrase": NESTED, "color": "red", "box": [1, 2, 3, 4]}]}, "phrase must be text"),
        ({"regions": [{"phrase": "a", "color": "red", "box": NESTED}]}, "region 0"),
        ({"regions": [{"phrase": "a", "color": "red", "box": [NESTED, 2, 3, 4]}]}, "whole numbers"),
        ({"regions": [{"phrase": "a", "color": "red", "box": [True, 2, 3, 4]}]}, "whole numbers"),
    ],
)
def test_json_that_does_not_hold_together_is_refused(change, says):
    with pytest.raises(ChainError) as caught:
        ReasoningChain.from_json({**parse(TEXT).to_json(), **change})
    assert says in str(caught.value)
    assert len(str(caught.value)) < 500


def test_json_whose_box_was_changed_in_the_regions_alone_is_refused():
    data = parse(TEXT).to_json()
    data["regions"][0]["box"][0] = 101
    with pytest.raises(ChainError, match="Change the text as well"):
        ReasoningChain.from_json(data)


def test_coordinate_1000_in_json_is_the_edge():
    data = parse("a cat (0,0),(999,999)").to_json()
    edge = parse("a cat (0,0),(1000,1000)")
    data["regions"][0]["box"] = [0, 0, 1000, 1000]
    assert ReasoningChain.from_json(data) == edge
    assert edge.warnings == read("a cat <|box_start|>(0,0),(1000,1000)<|box_end|> (red)").warnings == ()


def test_a_chain_saved_when_other_signs_bounded_a_phrase_keeps_its_phrase():
    phrase = "红色圆，很大"  # noqa: RUF001
    text = f"有一个 {phrase} <|box_start|>(1,2),(3,4)<|box_end|> (red)"
    regions = [{"phrase": phrase, "box": [1, 2, 3, 4], "color": "red"}]
    data = {"version": 1, "task": "generate", "prompt": "", "text": text, "regions": regions}
    chain = ReasoningChain.from_json(data)
    assert [region.phrase for region in chain.regions] == [phrase]
    assert chain.mllm_text == text
    regions[0]["phrase"] = "别的"
    with pytest.raises(ChainError, match="do not agree"):
        ReasoningChain.from_json(data)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"{TEXT}\n",
        f"1. A wall.\n2. {TEXT}\n\n",
        "",
        "红色圆，<|obj_start|>a man, in a hat<|obj_end|> (1,2),(3,4)",  # noqa: RUF001
        " \u00a0a cafe\u0301 (1,2),(3,4)\u3000",
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_text_file_read_back_is_the_chain_that_was_written(tmp_path, text, line_end, mark):
    chain = parse(text)
    file = tmp_path / "chain.txt"
    file.write_bytes((mark + (chain.text + "\n").replace("\n", line_end)).encode())
    assert ReasoningChain.load(file, "generate", "a prompt") == chain


def test_a_chain_file_has_a_limit(tmp_path):
    (tmp_path / "chain.txt").write_bytes(b"a" * 1_000_001)
    with pytest.raises(ChainError, match="more than 1,000,000 bytes"):
        ReasoningChain.load(tmp_path / "chain.txt", "generate", "a prompt")


def test_load_json_and_text(tmp_path):
    chain = parse(TEXT)
    as_json, as_text = tmp_path / "chain.json", tmp_path / "chain.txt"
    as_json.write_text(json.dumps(chain.to_json()), encoding="utf-8")
    as_text.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert ReasoningChain.load(as_json) == chain
    assert ReasoningChain.load(as_json, "generate", "other").prompt == "other"
    assert ReasoningChain.load(as_text, "generate", "a prompt") == chain
    with pytest.raises(ChainError, match="task"):
        ReasoningChain.load(as_text)
    with pytest.raises(ChainError, match=r"'generate'.*'edit'"):
        ReasoningChain.load(as_json, "edit")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("chain.json", b"{"),
        ("chain.json", b"[]"),
        ("chain.json", b"[" * 100_000),
        ("chain.json", b"\xff\xfe\x00"),
        ("chain.txt", b"\xff\xfe\x00"),
    ],
)
def test_a_file_that_is_no_chain_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ChainError):
        ReasoningChain.load(tmp_path / name, "generate", "a prompt")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "missing.json", tmp_path):
        with pytest.raises(ChainError, match="Cannot read"):
            ReasoningChain.load(path, "generate", "a prompt")
