"""The modules of a LoRA training and their joint loss; the result as an adapter.

The MLLM's decoder is trained with LoRA (peft) and the embeddings of GoT's tokens, the projectors in full, the
UNet by LoRA, in full or not at all. VAE and vision tower are frozen: their outputs come from the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from peft import LoraConfig, get_peft_model
from peft.utils.other import TrainableTokensWrapper
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization
from transformers import PreTrainedTokenizerBase

from ..dataset.row_batches import RowBatch
from ..errors import GoTError, short_repr
from ..mllm.reasoner import hidden_states_of_features, select_image_tokens
from ..pipeline import GoTModel
from ..weights.adapter import TOKENS, WORD_IDS, WORDS, Adapter, special_token_ids
from ..weights.loading import part_config
from .config import LoraTraining, without_paths
from .frozen_weights import store_in_int8
from .losses import DiffusionTargets, chain_loss, diffusion_loss
from .material import TrainedModules
from .unet_lora import NAME, add_unet_lora, lora_factors

DECODER_LAYERS = r".*layers\.\d+\.(self_attn\.[qkvo]_proj|mlp\.(gate|up|down)_proj)"


class LoraModules(TrainedModules):
    """MLLM, projectors and UNet of a checkpoint, with the parameters that a config trains in float32.

    The model's parts are modified; it cannot be used for anything else afterwards.
    """

    def __init__(self, model: GoTModel, config: LoraTraining) -> None:
        super().__init__()
        self.config = config
        self.image_tokens = model.parts.reasoner().token_ids.image_tokens
        self.special_tokens = special_token_ids(model.parts.reasoner().tokenizer)
        new = new_word_tokens(model.parts.reasoner().tokenizer, config.mllm.new_words)
        self.word_tokens = [token for token in new if token not in self.special_tokens]
        known = model.parts.reasoner().mllm.get_input_embeddings().weight.detach()
        starts = [known[new[token] or [token]].float().mean(dim=0) for token in self.word_tokens]
        self.scheduler = DDPMScheduler.from_config(model.scheduler_config)
        self.scaling_factor: float = part_config(model.path / "vae")["scaling_factor"]
        torch.manual_seed(config.seed)  # for initializing the factors A
        model.parts.reasoner().mllm.model.visual = nn.Identity()  # its features come from the cache
        if config.fp8_base:
            store_in_int8(model.parts.reasoner().mllm.model.language_model)
        self.mllm = get_peft_model(model.parts.reasoner().mllm, self._mllm_config())
        if self.word_tokens:
            register_parametrization(self._token_embeddings, NAME, TwoParts(len(self.special_tokens)))
        self.ssgm = model.parts.ssgm().requires_grad_(True)
        self.unet = model.parts.unet()
        if config.fp8_base and config.unet.train != "full":
            store_in_int8(self.unet)
        if config.unet.train == "lora":
            add_unet_lora(self.unet, config.unet)
        elif config.unet.train == "full":
            self.unet.requires_grad_(True)
        for parameter in self.trained():
            parameter.data = parameter.data.float()
        self._freeze_untrained()
        self.originals = {name: weight.detach().cpu().clone() for name, weight in self._trained_in_full()}
        if starts:
            self._embeddings[WORDS].data = torch.stack(starts)
        if config.gradient_checkpointing:
            self._language.gradient_checkpointing_enable({"use_reentrant": False})
            self.unet.enable_gradient_checkpointing()
        if self.unet.device.type == "cpu":  # where eager attention is faster, above all in the backward pass
            if hasattr(self._language, "set_attn_implementation"):  # transformers 4.52 lacks it
                self._language.set_attn_implementation({"text_config": "eager"})
            self.unet.set_attn_processor(AttnProcessor())
        self.train()

    @property
    def _language(self) -> Any:
        """The MLLM itself, whose layers peft has replaced in place."""
        return self.mllm.get_base_model()

    @property
    def _token_embeddings(self) -> nn.Module:
        """The module that holds, as `NAME`, the embeddings [tokens, hidden] of GoT's tokens and new words."""
        wrappers = [m for m in self._language.modules() if isinstance(m, TrainableTokensWrapper)]
        embeddings: nn.Module = wrappers[0].token_adapter.trainable_tokens_delta
        return embeddings

    @property
    def _embeddings(self) -> dict[str, nn.Parameter]:
        """The embeddings [tokens, hidden] of GoT's tokens and of new words, by the adapter's names."""
        return dict(zip((TOKENS, WORDS), self._token_embeddings.parameters(), strict=False))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameter groups for the optimizer, one per part with its learning rate."""
        config, words = self.config, self._embeddings.get(WORDS)
        rates = (
            ([] if words is None else [words], config.mllm.new_words_learning_rate),
            ([p for p in self.mllm.parameters() if p is not words], config.mllm.learning_rate),
            (self.ssgm.parameters(), config.projectors_learning_rate),
            (self.unet.parameters(), config.unet.learning_rate),
        )
        groups = [{"params": [p for p in part if p.requires_grad], "lr": rate} for part, rate in rates]
        groups[0]["weight_decay"] = 0.0  # at the high rate of new words it would erase their initialization
        return [group for group in groups if group["params"]]

    def _freeze_untrained(self) -> None:
        """Disable gradients where the learning rate is 0."""
        for group in self.parameter_groups():
            for parameter in group["params"]:
                parameter.requires_grad_(group["lr"] > 0)

    def forward(self, batch: RowBatch, seed: int) -> dict[str, Tensor]:
        """The losses of one batch: on the chain, and on the noise under the guidance from the MLLM.

        Args:
            seed: for LoRA's dropout, timesteps, noise and conditioning dropout.
        """
        config = self.config
        torch.manual_seed(seed)
        hidden = hidden_states_of_features(self._language, batch.input_ids, batch.vision, batch.grid)
        selected = select_image_tokens(hidden, batch.input_ids, self.image_tokens)
        semantic, null_semantic, pooled = self.ssgm.semantic(selected.float())
        diffusion = diffusion_loss(
            self.unet,
            self.scheduler,
            DiffusionTargets(
                latents=batch.target.float() * self.scaling_factor,
                reference=batch.reference.float(),
                spatial=batch.spatial.float(),
                semantic=semantic,
                null_semantic=null_semantic,
                pooled=pooled,
            ),
            size=batch.size,
            repeats=config.timesteps_per_picture,
            noise_offset=config.noise_offset,
            dropout=config.conditioning_dropout,
            largest_weight=config.largest_timestep_weight,
            generator=torch.Generator().manual_seed(seed),
        )
        chain = chain_loss(self._language, hidden, batch.labels)
        return {"chain": config.chain_weight * chain, "diffusion": config.diffusion_weight * diffusion}

    @torch.no_grad()
    def adapter(self, information: dict[str, Any]) -> Adapter:
        """The adapter trained so far."""
        tensors = dict([*lora_factors("mllm", self._language), *lora_factors("unet", self.unet)])
        for name, weight in self._trained_in_full():
            tensors[name] = weight.cpu() - self.originals[name]
        if self.word_tokens:
            tensors[WORD_IDS] = torch.tensor(self.word_tokens)
        mllm, unet = self.config.mllm, self.config.unet
        return Adapter(
            tensors=tensors,
            mllm_scale=mllm.alpha / mllm.rank,
            unet_scale=unet.alpha / unet.rank,
            information={"config": without_paths(self.config), **information},
        )

    def _trained_in_full(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters that the adapter stores as a difference, under the adapter's names."""
        yield from self._embeddings.items()
        yield from ((f"projectors.{name}", weight) for name, weight in self.ssgm.named_parameters())
        if self.config.unet.train == "full":
            yield from ((f"unet.{name}", weight) for name, weight in self.unet.named_parameters())

    def _mllm_config(self) -> LoraConfig:
        part = self.config.mllm
        return LoraConfig(
            r=part.rank,
            lora_alpha=part.alpha,  # type: ignore[arg-type]  # peft takes any number
            lora_dropout=part.dropout,
            target_modules=DECODER_LAYERS,
            trainable_token_indices=[*self.special_tokens, *self.word_tokens],
        )


class TwoParts(nn.Module):
    """Holds the rows of one tensor as two parameters, so that each can have its own learning rate.

    Args:
        first: the number of rows in the first parameter.
    """

    def __init__(self, first: int) -> None:
        super().__init__()
        self.first = first

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return torch.cat([first, second])

    def right_inverse(self, both: Tensor) -> tuple[Tensor, Tensor]:
        return both[: self.first].clone(), both[self.first :].clone()


def new_word_tokens(tokenizer: PreTrainedTokenizerBase, new_words: dict[str, str]) -> dict[int, list[int]]:
    """The tokens of new words within a sentence, each with those of the known words it is mapped to.

    Raises:
        GoTError: a word that is mapped to others is not one token.
    """

    def ids(words: str) -> list[int]:
        return tokenizer(f" {words}", add_special_tokens=False)["input_ids"] if words else []

    tokens = {}
    for word, known in new_words.items():
        own = ids(word.strip())
        if known and len(own) > 1:
            raise GoTError(
                f"mllm.new_words: {short_repr(word)} is {len(own)} tokens, and only a word that is one token "
                'can start like others. Write "" in the place of these.'
            )
        tokens.update(dict.fromkeys(own, ids(known.strip())))
    return tokens
