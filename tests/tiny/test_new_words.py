"""Words that the MLLM has never read: their tokens learn embeddings, and the adapter carries them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from got_models.errors import GoTError
from got_models.pipeline import GoTModel
from got_models.training.config import LoraTraining
from got_models.training.modules import LoraModules, new_word_tokens
from got_models.training.optimizer import make_optimizer
from got_models.training.trainer import train_lora
from got_models.weights.adapter import TOKENS, WORD_IDS, WORDS, Adapter, special_token_ids
from got_models.weights.adapter_files import load_adapter


def embeddings(model: GoTModel) -> torch.Tensor:
    return model.parts.reasoner().mllm.get_input_embeddings().weight.detach().clone()


def test_the_tokens_of_new_words_and_no_others_learn_and_the_adapter_has_them(config: LoraTraining) -> None:
    settings = replace(config, mllm=replace(config.mllm, new_words={"brown": "", "cross": ""}), ema_decay=0.0)
    model = GoTModel.from_pretrained(config.checkpoint)
    before, tokenizer = embeddings(model), model.parts.reasoner().tokenizer
    words = list(new_word_tokens(tokenizer, settings.mllm.new_words))
    assert tokenizer.convert_ids_to_tokens(words) == [" brown", " cross"]
    assert train_lora(settings, stop_after_steps=2) is None
    adapter = load_adapter(Path(settings.out) / "adapter.safetensors")
    assert adapter.tensors[WORD_IDS].tolist() == words
    model.apply_adapter(adapter)
    moved = (embeddings(model) != before).any(dim=1).nonzero().flatten().tolist()
    assert set(moved) == {*words, *special_token_ids(tokenizer)}
    change = embeddings(model)[words] - before[words]
    assert torch.allclose(change, adapter.tensors[WORDS], atol=1e-6)


def test_new_words_have_a_learning_rate_of_their_own(config: LoraTraining) -> None:
    mllm = replace(config.mllm, new_words={"brown": ""}, learning_rate=0.0, new_words_learning_rate=1e-2)
    train_lora(replace(config, mllm=mllm, ema_decay=0.0), stop_after_steps=2)
    tensors = load_adapter(Path(config.out) / "adapter.safetensors").tensors
    assert tensors[WORDS].any()
    still = [name for name in tensors if name == TOKENS or (name.startswith("mllm.") and "lora_B" in name)]
    assert len(still) > 1
    assert not any(tensors[name].any() for name in still)


def test_a_part_without_a_learning_rate_is_frozen_and_costs_no_gradient(config: LoraTraining) -> None:
    mllm = replace(config.mllm, new_words={"brown": ""}, learning_rate=0.0)
    settings = replace(config, mllm=mllm, projectors_learning_rate=0.0)
    modules = LoraModules(GoTModel.from_pretrained(config.checkpoint), settings)
    learning = [name for name, parameter in modules.named_parameters() if parameter.requires_grad]
    (words,) = (name for name in learning if not name.startswith("unet."))
    assert modules.get_parameter(words).shape[0] == 1
    assert all("lora_" in name for name in learning if name != words)


def test_new_words_are_not_drawn_towards_nothing_by_weight_decay(config: LoraTraining) -> None:
    mllm = replace(config.mllm, new_words={"brown": "red blue"}, new_words_learning_rate=1e-2)
    modules = LoraModules(GoTModel.from_pretrained(config.checkpoint), replace(config, mllm=mllm))
    optimizer = make_optimizer(config, modules.parameter_groups())
    (words,) = (group for group in optimizer.param_groups if group["lr"] == 1e-2)
    assert [len(parameter) for parameter in words["params"]] == [1]
    assert words["weight_decay"] == 0
    assert {group["weight_decay"] for group in optimizer.param_groups if group is not words} == {0.05}


def test_a_new_word_starts_at_the_mean_of_the_words_that_it_is_like(config: LoraTraining) -> None:
    model = GoTModel.from_pretrained(config.checkpoint)
    before, tokenizer = embeddings(model), model.parts.reasoner().tokenizer
    new_words = {"brown": "red blue", "cross": ""}
    still = replace(config.mllm, new_words=new_words, learning_rate=0.0, new_words_learning_rate=0.0)
    train_lora(replace(config, mllm=still), stop_after_steps=1)
    model.apply_adapter(load_adapter(Path(config.out) / "adapter.safetensors"))
    brown, cross, red, blue = tokenizer.convert_tokens_to_ids([" brown", " cross", "Ġred", "Ġblue"])
    assert torch.allclose(embeddings(model)[brown], (before[red] + before[blue]) / 2, atol=1e-6)
    rest = [token for token in range(len(before)) if token != brown]
    assert cross in rest
    assert torch.equal(embeddings(model)[rest], before[rest])


def test_pieces_of_a_new_word_are_taken_once(checkpoint: Path) -> None:
    tokenizer = GoTModel.from_pretrained(checkpoint).parts.reasoner().tokenizer
    pieces = tokenizer.convert_ids_to_tokens(list(new_word_tokens(tokenizer, {"ross": "", "brow": ""})))
    assert sorted(pieces) == sorted(set(tokenizer.tokenize(" ross brow")))
    assert new_word_tokens(tokenizer, {}) == {}


def test_a_word_in_pieces_cannot_start_like_another(config: LoraTraining) -> None:
    new_words = {"mauve": "red blue"}
    with pytest.raises(
        GoTError, match=r"'mauve' is \d tokens, and only a word that is one token can start like"
    ):
        train_lora(replace(config, mllm=replace(config.mllm, new_words=new_words)), stop_after_steps=1)


def test_without_new_words_the_adapter_holds_none(config: LoraTraining) -> None:
    train_lora(config, stop_after_steps=1)
    assert not {WORDS, WORD_IDS} & set(load_adapter(Path(config.out) / "adapter.safetensors").tensors)


@pytest.mark.parametrize(
    "ids", [[-1, 3], [3, 10**6], [3], None], ids=["negative", "too large", "too few", "missing"]
)
def test_word_embeddings_that_fit_no_token_are_refused(checkpoint: Path, ids: list[int] | None) -> None:
    model = GoTModel.from_pretrained(checkpoint)
    before = embeddings(model)
    tensors = {WORDS: torch.ones(2, before.shape[1])}
    if ids is not None:
        tensors[WORD_IDS] = torch.tensor(ids)
    with pytest.raises(GoTError, match=r"does not fit this checkpoint|2 ids of tokens|holds only one of"):
        model.apply_adapter(Adapter(tensors, 1.0, 1.0, {}))
    assert torch.equal(embeddings(model), before)
