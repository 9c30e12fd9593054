"""GoT Plan with a CLIP that answers by a script, and with answers that come as text."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from got_pack.got_models.chain.chain import ReasoningChain
from got_pack.got_models.errors import GoTError
from got_pack.nodes.planning import GoTPlan

from tests.unit.mllm.stock_folders import write_folder

GOOD = json.dumps(
    {"description": "A red fox sleeps.", "objects": [{"label": "A red fox", "bbox_2d": [120, 480, 520, 860]}]}
)


class Encoder(torch.nn.Module):
    """What of ComfyUI's text encoders a CLIP that writes is known by."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.model = torch.nn.Module()
        self.model.config = SimpleNamespace(**config)
        self.embedding = torch.nn.Embedding(256, 1)

    def get_input_embeddings(self) -> torch.nn.Embedding:
        return self.embedding

    def generate(self) -> None: ...


class Writer:
    """A CLIP of ComfyUI 0.33 that answers by a script, a byte at a time."""

    def __init__(self, *answers: str, looks: bool = True, **config: Any) -> None:
        self.answers = list(answers)
        self.looks = looks
        self.asked: list[tuple[str, Any]] = []
        self.chosen: dict[str, Any] = {}
        self.cond_stage_model = torch.nn.ModuleList([Encoder(config or {"stop_tokens": [0]})])
        self.tokenizer = SimpleNamespace()

    def tokenize(self, text: str, image: Any = None, **options: Any) -> Any:
        assert options.pop("skip_template") is False  # Gemma's tokenizer leaves out its template otherwise
        self.asked.append((text, image))
        return {
            "qwen": [[(1, 1.0), *([({"type": "image"}, 1.0)] if image is not None and self.looks else [])]]
        }

    def generate(self, tokens: Any, **options: Any) -> list[int]:
        self.chosen = options
        embed = self.cond_stage_model[0].get_input_embeddings()
        embed(torch.ones(1, 5, dtype=torch.long))  # the prompt
        written = list(self.answers.pop(0).encode())
        for byte in written:
            embed(torch.tensor([[byte]]))
        return written

    def decode(self, tokens: list[int]) -> str:
        return bytes(tokens).decode()


class NewerWriter(Writer):
    """One of a version with speculative decoding."""

    def generate(self, tokens: Any, mtp: Any = True, **options: Any) -> list[int]:
        return super().generate(tokens, mtp=mtp, **options)


@pytest.fixture(autouse=True)
def every_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("got_pack.nodes.planning.BETWEEN_DRAFTS", 0)


def plan(**changes: Any) -> tuple[ReasoningChain, str, str]:
    widgets = {"prompt": "a fox", "task": "auto", "seed": 3, "temperature": 0.7, "max_new_tokens": 64}
    result: tuple[ReasoningChain, str, str] = GoTPlan().plan(**{**widgets, **changes})["result"]
    return result


def test_a_clip_that_writes_is_asked_and_its_answer_is_a_plan() -> None:
    clip = Writer("no", GOOD)
    chain, text, instruction = plan(clip=clip)
    assert [region.phrase for region in chain.regions] == ["A red fox"] and text == chain.text
    assert [asked.startswith(instruction) for asked, _ in clip.asked] == [True, True]
    assert clip.chosen == {"do_sample": True, "max_length": 64, "temperature": 0.7, "seed": 3}


def test_a_picture_makes_it_an_edit_and_goes_to_the_model() -> None:
    clip = Writer(GOOD)
    chain, _, _ = plan(clip=clip, image=torch.ones(2, 1536, 1024, 4))
    assert chain.task == "edit"
    assert clip.asked[0][1].shape == (1, 1254, 836, 3)  # the first one, of a million pixels


def test_a_model_that_cannot_look_plans_no_edit() -> None:
    with pytest.raises(GoTError, match="cannot look at pictures"):
        plan(clip=Writer(GOOD, looks=False), image=torch.zeros(1, 8, 8, 3))


def test_the_same_seed_gives_the_same_plan_in_versions_that_guess_ahead() -> None:
    clip = NewerWriter(GOOD)
    plan(clip=clip)
    assert clip.chosen["mtp"] is False


def test_the_plan_is_shown_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("got_pack.nodes.planning.show_text", lambda text, node: shown.append(text))
    chain = plan(clip=Writer(GOOD))[0]
    grown = list(dict.fromkeys(shown))
    assert grown[:4] == ["", "A", "A r", "A re"]
    assert grown[-1] == chain.text.rstrip(".")
    assert not any(sign in text for text in grown for sign in "{[")


def test_an_answer_that_comes_as_text_needs_no_model() -> None:
    assert plan(answer=GOOD)[0].regions[0].box.x1 == 120
    with pytest.raises(GoTError, match="No box"):
        plan(answer="{}")


def test_without_a_model_that_writes_it_names_ones_that_can() -> None:
    with pytest.raises(GoTError, match="connect a CLIP that can write"):
        plan()
    encodes = Writer()
    encodes.cond_stage_model = torch.nn.ModuleList([torch.nn.Linear(1, 1)])
    older = SimpleNamespace(tokenize=None, cond_stage_model=encodes.cond_stage_model)  # ComfyUI 0.3.64
    for clip in (encodes, older, Writer(hidden_size=1), Writer(stop_tokens=[0], can_generate=False)):
        with pytest.raises(GoTError, match=r"cannot write.*Qwen3-VL"):
            plan(clip=clip)


@pytest.fixture
def stock_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of Qwen2.5-VL in a group in models/LLM, and others that are none."""
    monkeypatch.chdir(tmp_path)
    folder = write_folder(tmp_path / "models" / "LLM" / "Qwen-VL" / "Qwen2.5-VL-Tiny", "qwen2_5_vl")
    (tmp_path / "models" / "LLM" / "llama").mkdir()
    (tmp_path / "models" / "LLM" / "llama" / "config.json").write_text('{"model_type": "llama"}')
    return folder


def test_a_folder_as_published_plans_streams_and_counts_pixels(
    stock_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "Qwen-VL/Qwen2.5-VL-Tiny"
    assert GoTPlan.INPUT_TYPES()["optional"]["language_model"][0] == ["none", name]
    shown: list[str] = []
    monkeypatch.setattr("got_pack.nodes.planning.show_text", lambda text, node: shown.append(text))
    with pytest.raises(GoTError, match="asked twice"):
        plan(language_model=name, max_new_tokens=16)
    assert len(shown) > 2

    half = {"description": "A fox.", "objects": [{"label": "A fox", "bbox_2d": [0, 0, 504, 504]}]}
    monkeypatch.setattr(
        "got_pack.got_models.mllm.stock.StockModel.write",
        lambda self, text, image, settings, on_text, should_stop: json.dumps(half),
    )
    chain, _, instruction = plan(language_model=name, image=torch.zeros(1, 1008, 1008, 3))
    assert "1008 wide and 1008 high" in instruction
    assert (chain.regions[0].box.x2, chain.regions[0].box.y2) == (500, 500)


def test_two_language_models_or_a_missing_one_are_an_error(stock_folder: Path) -> None:
    with pytest.raises(GoTError, match="two language models"):
        plan(clip=Writer(GOOD), language_model="Qwen-VL/Qwen2.5-VL-Tiny")
    with pytest.raises(GoTError, match=r"There is no language model '../x'.*There now: Qwen-VL/Qwen2.5-VL"):
        plan(language_model="../x")


def test_notes_on_the_plan_are_said_in_chinese_too() -> None:
    node = GoTPlan().plan("a fox", "auto", 3, 0.7, 64, answer="Voilà: " + GOOD)
    notes = node["ui"]["plans"][0]["notes"]
    assert len(notes) == 3
    assert all(note["zh"] and note["zh"] != note["en"] for note in notes)


def test_notes_on_a_notation_name_the_node_that_can_choose_one() -> None:
    guessed = '{"objects": [{"label": "a fox", "box": [100, 200, 400, 500]}]}'
    chain, _, _ = plan(answer=guessed)
    notes = [str(warning) for warning in chain.warnings]
    assert any("choose the notation" in note for note in notes) and "GoT Chain from Text" in notes[-1]
    certain, _, _ = plan(answer="A fox <|box_start|>(100,200),(400,500)<|box_end|> (red) sits.")
    assert not any("GoT Chain from Text" in str(warning) for warning in certain.warnings)


def test_boxes_in_pixels_of_an_unknown_picture_name_the_node_that_takes_its_size() -> None:
    with pytest.raises(GoTError, match=r"which picture is not said.*GoT Chain from Text"):
        plan(answer='[{"label": "a fox", "box": [100, 200, 1400, 1500]}]')
