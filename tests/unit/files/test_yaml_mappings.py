"""YAML that anybody may have written: plain keys and values are read, what grows or surprises is refused."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from got_pack.got_models.errors import GoTError as PackError
from got_pack.nodes.training import read_settings

from got_models.errors import GoTError
from got_models.files.yaml_mappings import MAX_CHARACTERS, read_yaml
from got_models.training.config import make_config, read_config

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + step)}: &{chr(98 + step)} [{','.join(['*' + chr(97 + step)] * 9)}]\n" for step in range(8)
)
REFUSED = {
    BOMB: "alias 'a'",
    "a: &x {b: 1}\nc: {<<: *x}": "alias 'x'",
    "a: 1\na: 2": "the key 'a' appears twice (line 2",
    "unet: {rank: 1, rank: 2}": "the key 'rank' appears twice",
    "a: !!python/object:os.system {}": "the tag",
    "a: !!binary aGk=": "the tag",
    "a: !!str 3": "the tag",
    "a: !mine 3": "the tag",
    "a: " + "[" * 5000: "deep",
    "a: " + "{b: " * 5000: "deep",
    "? " * 5000: "deep",
    "no: blue": 'in quotes, such as "no"',
    "1: blue": "in quotes",
    "? [a]\n: 1": "write the key as a word",
    "a: " + "9" * 5000: "a number that is too long",
    "a: b: c": "mapping values are not allowed here (line 1, column 5)",
    "a: \ud800": "cannot be read as YAML",
    "a: \x00": "cannot be read as YAML",
    'a: "\\ud800"': "half of a character (line 1, column 4)",
    'mllm: {new_words: {"\\udfff": circle}}': "half of a character",
    'a: "b\\0c"': "a null character",
    "--- {a: 1}\n--- {b: 2}": "another document",
    "- a": "must hold keys and values",
    "#" * (MAX_CHARACTERS + 1): "characters",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=range(len(REFUSED)))
def test_what_grows_or_surprises_is_refused_at_once(text: str, message: str) -> None:
    start = time.perf_counter()
    with pytest.raises(PackError) as refused:
        read_settings(text)
    assert time.perf_counter() - start < 5
    assert message in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    "text", ["*a", "x" * 90_000, "[" * 90_000, "'" * 90_000, "&a " * 30_000, "- " * 40_000]
)
def test_no_text_takes_long_or_gives_a_long_message(text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(GoTError) as refused:
        read_yaml(text, "The settings")
    assert time.perf_counter() - start < 5
    assert len(str(refused.value)) < 400


def test_values_mean_what_they_look_like() -> None:
    text = "a: 010\nb: 1:30\nc: 2026-01-01\nd: 0x10\ne: 1_000\nf: 1.5e3\ng: yes\nh: ~\ni: word\nj: -3\nk: .5"
    assert read_yaml(text, "it") == {
        **{"a": "010", "b": "1:30", "c": "2026-01-01", "d": "0x10", "e": 1000, "f": 1500.0},
        **{"g": True, "h": None, "i": "word", "j": -3, "k": 0.5},
    }
    assert read_yaml(" \n# nothing\n", "it") == {}
    assert read_yaml("a: {b: [1, {c: 2}]}\r\nd: |\n  two\n  lines\n", "it") == {
        "a": {"b": [1, {"c": 2}]},
        "d": "two\nlines\n",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: yes", "steps must be a whole number, got True (YAML reads yes, no, on and off as"),
        ("steps: 010", "steps must be a whole number, got '010'"),
        ("steps: 1:30", "steps must be a whole number"),
        ("steps: 1" + "0" * 400, "steps must be a number from 1 to 1000000000"),
        ("seed: 18446744073709551616", "seed must be a number from 0 to"),
        ("mllm: {rank: 1000000}", "mllm.rank must be a number from 1 to"),
        ("weight_decay: 1" + "0" * 400, "weight_decay must be a number"),
        ("weight_decay: .nan", "weight_decay must be a number"),
        ("weight_decay: .inf", "weight_decay must be a number"),
        ("weight_decay: 1e999", "weight_decay must be a number"),
        ("weight_decay: yes", "weight_decay must be a number, got True"),
        ("preset: [a]", "no preset"),
        ("precision: {a: b}", "precision must be text"),
        (f"{'k' * 500}: 1", "Unknown key kkk"),
    ],
)
def test_a_value_that_is_no_such_number_is_refused_by_its_key(text: str, message: str) -> None:
    with pytest.raises(GoTError) as refused:
        make_config({"checkpoint": "c", "dataset": "d", "out": "o"} | read_yaml(text, "it"))
    assert message in str(refused.value)
    assert len(str(refused.value)) < 1500


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gbk", "cp1252"]
)
def test_a_config_in_another_encoding_is_read_or_the_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    name = "bücher" if encoding == "cp1252" else "图书"
    file = tmp_path / "mine.yaml"
    file.write_bytes(f"checkpoint: c\ndataset: {name}\nout: o\n".encode(encoding))
    named = {"utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "gbk": "GBK", "cp1252": "Windows-1252"}
    if encoding in named:
        with pytest.raises(GoTError, match=f"is not UTF-8 but probably .*{named[encoding]}"):
            read_config(file)
    else:
        assert read_config(file).dataset == str(tmp_path / name)
