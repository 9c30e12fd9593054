"""A checkpoint with one damaged file is refused with a message that names the file: at the door, or where the
library loads the part. Nothing asks the network, and no file chooses code or how attention is computed."""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diffusers import AutoencoderKL, UNet2DConditionModel

from got_models.constants import BUNDLED_CHECKPOINT, SCHEDULERS
from got_models.diffusion.sampler import make_scheduler
from got_models.errors import GoTError
from got_models.pipeline import GoTModel
from got_models.weights.adapter import Adapter
from got_models.weights.adapting import check_adapter
from got_models.weights.checkpoint import check

GOT, MLLM, GENERATION = "got.json", "mllm/config.json", "mllm/generation_config.json"
UNET, VAE, SCHEDULER = "unet/config.json", "vae/config.json", "scheduler/scheduler_config.json"
TOKENIZER, PROCESSOR = "processor/tokenizer_config.json", "processor/preprocessor_config.json"
CONFIGS = (GOT, MLLM, GENERATION, UNET, VAE, SCHEDULER, TOKENIZER, PROCESSOR)
GONE = object()
"""In place of a value: the entry is taken out."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The bundled checkpoint, its files linked."""
    for file in BUNDLED_CHECKPOINT.rglob("*"):
        if file.is_file():
            target = tmp_path / "checkpoint" / file.relative_to(BUNDLED_CHECKPOINT)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(file, target)
            except OSError:  # another disk
                target.symlink_to(file)
    return tmp_path / "checkpoint"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """No test here may open a connection or look up a name."""
    asked: list[object] = []

    def refuse(*arguments: Any, **_: Any) -> None:
        asked.append(arguments)
        raise AssertionError(f"the network was asked: {arguments}")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    yield asked
    assert asked == []


def rewrite(file: Path, content: bytes) -> None:
    file.unlink()  # a link to the bundled file
    file.write_bytes(content)


def put(folder: Path, name: str, path: str, value: object) -> None:
    """Put a value into a JSON file, at a path such as `text_config.hidden_size`."""
    values = json.loads((folder / name).read_text(encoding="utf-8"))
    *outer, key = path.split(".")
    place = values
    for part in outer:
        place = place[part]
    if value is GONE:
        del place[key]
    else:
        place[key] = value
    rewrite(folder / name, json.dumps(values).encode())


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


DAMAGED: list[tuple[str, str, object]] = [
    *((GOT, "vision_size", value) for value in (7, 225, 10**6, -224, 0, True, "224", None, [224], 224.0)),
    *((GOT, "max_new_tokens", value) for value in (0, 10**9, "many", None, [1])),
    *((GOT, "format_version", value) for value in (0, 99, "1", None, True, [1])),
    *((GOT, "mask_rule", value) for value in ("diagonal", None, ["rounded"], {})),
    *((GOT, "sizes.hidden", value) for value in (191, -192, 10**12, "192", None)),
    *((GOT, "sizes.image_tokens", value) for value in (63, 0, 10**6)),
    *((GOT, "sizes", value) for value in (None, [], {}, GONE)),
    *((GOT, "tasks.edit", value) for value in (None, [], {}, GONE)),
    *((GOT, "tasks.edit.steps", value) for value in (0, 1001, -1, 1.5, "50")),
    *((GOT, "tasks.edit.width", value) for value in (130, 0, 10**6, "128")),
    *((GOT, "tasks.edit.spatial", value) for value in (float("nan"), float("inf"), 1e300, "2", None, True)),
    *((MLLM, "text_config", value) for value in ([], None, "x", 1)),
    *((MLLM, "vision_config", value) for value in ([], None, GONE, 1)),
    *((MLLM, "model_type", value) for value in ("llama", None, [], GONE)),
    *((MLLM, "architectures", value) for value in ("x", ["LlamaForCausalLM"], [[]])),
    *((MLLM, "image_token_id", value) for value in (-1, 10**9, "582", 583, [582])),
    *((MLLM, "quantization_config", value) for value in ({"quant_method": "bitsandbytes"}, [], "gptq")),
    *((MLLM, "text_config.num_attention_heads", value) for value in (0, -6, 5, 3, 10**9, "6", None, GONE)),
    *((MLLM, "text_config.num_key_value_heads", value) for value in (0, 5, 3, None)),
    *((MLLM, "text_config.num_hidden_layers", value) for value in (0, 3, 5, 10**9, -1, "4")),
    *((MLLM, "text_config.hidden_size", value) for value in (0, 193, [192], 10**8)),
    *((MLLM, "text_config.intermediate_size", value) for value in (0, 511, 10**12, None)),
    *((MLLM, "text_config.vocab_size", value) for value in (671, -1, 10**12, None)),
    *((MLLM, "text_config.rms_norm_eps", value) for value in (float("nan"), 0, -1, "small", 10)),
    *((MLLM, "text_config.hidden_act", value) for value in ("no_such", None, 3, ["silu"])),
    *((MLLM, "text_config.rope_scaling", value) for value in ([], "mrope", {"mrope_section": [16, 16]})),
    *((MLLM, "text_config.rope_scaling", value) for value in ({"a": [None]}, {"type": "mrope"})),
    *((MLLM, "text_config.max_position_embeddings", value) for value in (1, 255, -1, "4096", None)),
    *((MLLM, "text_config.rope_parameters", value) for value in ([], {"mrope_section": "all"}, 7)),
    *((MLLM, "text_config.layer_types", value) for value in ([], ["full_attention"], ["x"] * 4, 4)),
    *((MLLM, "text_config.dtype", value) for value in ("float1", [], 32)),
    *((MLLM, "vision_config.num_heads", value) for value in (0, 5, None, "3", GONE)),
    *((MLLM, "vision_config.depth", value) for value in (0, 3, 5, 10**9)),
    *((MLLM, "vision_config.patch_size", value) for value in (0, 15, "14", 10**6)),
    *((MLLM, "vision_config.window_size", value) for value in (0, 7, -112, None)),
    *((MLLM, "vision_config.spatial_merge_size", value) for value in (0, 3, None)),
    *((MLLM, "vision_config.fullatt_block_indexes", value) for value in (7, None, ["0"], [-1])),
    *((GENERATION, "eos_token_id", value) for value in ("end", -1, {}, ["574"], 1.5)),
    *((GENERATION, "do_sample", value) for value in ("yes", [], 3)),
    *((UNET, "block_out_channels", value) for value in ([], None, 96, [96, 96], [96, 0, 96], [10**9] * 3)),
    *((UNET, "down_block_types", value) for value in ([], None, ["DownBlock2D"] * 2, ["NoBlock"] * 3, "D")),
    *((UNET, "attention_head_dim", value) for value in (0, [3, 3], [3, 0, 3], "3", 5, None)),
    *((UNET, "layers_per_block", value) for value in (0, 2, 10**9, [1], "1", None)),
    *((UNET, "transformer_layers_per_block", value) for value in (0, 2, [[1]] * 3, None)),
    *((UNET, "norm_num_groups", value) for value in (0, 7, -32, None)),
    *((UNET, "addition_time_embed_dim", value) for value in (None, 0, "256", 255, GONE)),
    *((UNET, "act_fn", value) for value in ("no_such", None, [])),
    *((UNET, "_class_name", value) for value in ("AutoencoderKL", "os.system", [], None)),
    *((UNET, "class_embed_type", value) for value in ("timestep", [], 1)),
    *((UNET, "quantization_config", value) for value in ({"quant_method": "x"}, "x")),
    *((VAE, "block_out_channels", value) for value in ([], [64] * 3, "64", [64, 64, 64, -64], None)),
    *((VAE, "scaling_factor", value) for value in (0, float("nan"), "1", None, GONE, [1.0])),
    *((VAE, "up_block_types", value) for value in ([], ["UpBlock"] * 4, None)),
    *((VAE, "layers_per_block", value) for value in (0, 2, [1, 1, 1, 1], 10**9)),
    *((VAE, "latent_channels", value) for value in (16, "4", None, [4])),
    *((VAE, "latents_mean", value) for value in ([0.0] * 4, "x")),
    *((SCHEDULER, "num_train_timesteps", value) for value in (0, -1, 10**9, "1000", None, GONE, [1000])),
    *((SCHEDULER, "beta_start", value) for value in (0, -0.1, float("nan"), "x", 0.5, None, GONE)),
    *((SCHEDULER, "beta_end", value) for value in (2, float("inf"), [0.012], GONE)),
    *((SCHEDULER, "beta_schedule", value) for value in ("no_such", None, [], GONE)),
    *((SCHEDULER, "prediction_type", value) for value in ("sample", "x", None, 1)),
    *((SCHEDULER, "trained_betas", value) for value in ([0.1], "x", {}, [2.0] * 1000)),
    *((SCHEDULER, "variance_type", value) for value in ("learned", [], 5)),
    *((SCHEDULER, "steps_offset", value) for value in (-1, 10**6, "1")),
    *((TOKENIZER, "tokenizer_class", value) for value in ("BertTokenizer", "os.system", [], None)),
    *((TOKENIZER, "added_tokens_decoder", value) for value in ([], "x", {"x": 1})),
    *((TOKENIZER, "model_max_length", value) for value in ("long", -1, [])),
    *((TOKENIZER, "chat_template", value) for value in (["{{"], 5, {})),
    *((PROCESSOR, "image_mean", value) for value in ([0.5], "x", [None] * 3, 0.5, [float("nan")] * 3)),
    *((PROCESSOR, "image_std", value) for value in ([0, 0, 0], [1, 1], [-1, 1, 1], None)),
    *((PROCESSOR, "patch_size", value) for value in (0, 7, "14", None, [14])),
    *((PROCESSOR, "merge_size", value) for value in (0, 1, None)),
    *((PROCESSOR, "do_rescale", value) for value in (False, "no", [])),
    *((PROCESSOR, "size", value) for value in ("x", [1], 5)),
    *((name, "extra", nested(40)) for name in CONFIGS),
]  # fmt: skip


def short(value: object) -> str:
    return "gone" if value is GONE else repr(value)[:24]


def load_everything(folder: Path) -> None:
    """All that a picture needs, and what a LoRA training and an adapter ask for."""
    model = GoTModel.from_pretrained(folder)
    for part in (model.parts.reasoner, model.parts.ssgm, model.parts.unet, model.parts.vae):
        part()
    for name in SCHEDULERS:
        make_scheduler(model.scheduler_config, name).set_timesteps(4)


@pytest.mark.parametrize(
    ("name", "path", "value"), DAMAGED, ids=[f"{name}-{path}-{short(value)}" for name, path, value in DAMAGED]
)
def test_a_damaged_setting_is_a_got_error_that_names_its_file(
    folder: Path, name: str, path: str, value: object
) -> None:
    put(folder, name, path, value)
    with pytest.raises(GoTError) as caught:
        check(folder)
        load_everything(folder)  # what only the library can find out
    assert str(folder) in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"5",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 5_000,
        b'{"a": NaN}',
        b"\0" * 9,
    ],
    ids=["empty", "list", "null", "number", "torn", "mark", "deep list", "deep object", "NaN", "nulls"],
)
@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_that_is_no_object_is_refused(folder: Path, name: str, content: bytes) -> None:
    rewrite(folder / name, content)
    with pytest.raises(GoTError, match=re.escape(name)):
        check(folder)


@pytest.mark.parametrize("number", ["9" * 5000, "1e999", "-Infinity", "9" * 30])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_number_that_no_setting_can_be_is_refused(folder: Path, name: str, number: str) -> None:
    content = (folder / name).read_text(encoding="utf-8").lstrip()
    rewrite(folder / name, f'{{"extra": {number}, {content[1:]}'.encode())
    with pytest.raises(GoTError, match="not valid JSON"):
        check(folder)


@pytest.mark.parametrize("name", [*CONFIGS, "projectors.safetensors", "mllm/model.safetensors"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link"])
def test_what_is_no_file_is_missing(folder: Path, name: str, kind: str) -> None:
    (folder / name).unlink()
    if kind == "folder":
        (folder / name).mkdir()
    elif kind == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).symlink_to("nowhere")
    with pytest.raises(GoTError, match="lacks"):
        check(folder)


def test_a_folder_with_a_name_that_cannot_be_is_refused() -> None:
    for name in ("x" * 5000, "a\0b", "\ud800"):
        with pytest.raises(GoTError, match="no checkpoint folder"):
            check(name)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"\xff",
        b'{"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}}',
        b'{"version": "1.0", "model": 5}',
    ],
)
def test_a_damaged_tokenizer_is_named_where_it_loads(folder: Path, content: bytes) -> None:
    rewrite(folder / "processor/tokenizer.json", content)
    model = GoTModel.from_pretrained(folder)
    with pytest.raises(GoTError, match="processor"):
        _ = model.parts.reasoner()


def test_a_text_config_that_does_not_say_where_positions_go_is_refused(folder: Path) -> None:
    for key in ("rope_scaling", "rope_parameters"):
        put(folder, MLLM, f"text_config.{key}", GONE)
    with pytest.raises(GoTError, match=r"mllm.config\.json.*mrope_section"):
        check(folder)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("post_processor", "single"), []),
        (("added_tokens", 0, "content"), "x"),
        (("added_tokens", 1, "content"), None),
    ],
)
def test_a_tokenizer_that_takes_tokens_apart_is_refused(
    folder: Path, path: tuple[str | int, ...], value: object
) -> None:
    """Each once drew another picture, or ended in an error of PyTorch's."""
    values = json.loads((folder / "processor/tokenizer.json").read_text(encoding="utf-8"))
    place = values
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    rewrite(folder / "processor/tokenizer.json", json.dumps(values).encode())
    model = GoTModel.from_pretrained(folder)
    with pytest.raises(GoTError, match="processor"):
        _ = model.parts.reasoner()


@pytest.mark.parametrize("template", ["{{", "{% for x in y %}", "{{ 1 // 0 }}", "{{ messages[9].content }}"])
def test_a_damaged_chat_template_is_found_where_it_loads(folder: Path, template: str) -> None:
    rewrite(folder / "processor/chat_template.jinja", template.encode())
    model = GoTModel.from_pretrained(folder)
    with pytest.raises(GoTError, match=r"template|processor"):
        _ = model.parts.reasoner()


# What a file may not decide

ATTENTION = ["flash_attention_2", "kernels-community/flash-attn", "eager", "no_such", 5, ["sdpa"]]


@pytest.mark.parametrize("value", ATTENTION, ids=repr)
@pytest.mark.parametrize(
    "key", ["attn_implementation", "_attn_implementation", "attn_implementation_internal"]
)
def test_attention_is_ours(folder: Path, key: str, value: object) -> None:
    for path in (key, f"text_config.{key}", f"vision_config.{key}"):
        put(folder, MLLM, path, value)
    mllm = GoTModel.from_pretrained(folder).parts.reasoner().mllm
    parts = (mllm.config, mllm.config.get_text_config(), mllm.config.vision_config)
    assert [part._attn_implementation for part in parts] == ["sdpa"] * 3


def test_code_and_addresses_in_a_file_do_nothing(folder: Path) -> None:
    for name in (MLLM, GENERATION, TOKENIZER, PROCESSOR, UNET, VAE, SCHEDULER):
        put(folder, name, "auto_map", {"AutoTokenizer": ["evil--x.Tokenizer", None], "AutoModel": "x.Model"})
        put(folder, name, "trust_remote_code", True)
        put(folder, name, "_name_or_path", "https://example.com/model")
    load_everything(folder)


def test_a_scheduler_without_its_file_does_not_ask_the_network(folder: Path) -> None:
    model = GoTModel.from_pretrained(folder)
    (folder / SCHEDULER).unlink()
    with pytest.raises(GoTError, match="scheduler_config"):
        _ = model.scheduler_config


@pytest.mark.parametrize("part", ["mllm", "unet", "vae", "processor"])
def test_a_part_that_has_gone_does_not_ask_the_network(folder: Path, part: str) -> None:
    model = GoTModel.from_pretrained(folder)
    (folder / part).rename(folder / "gone")
    with pytest.raises(GoTError, match=part):
        getattr(model.parts, "reasoner" if part in ("mllm", "processor") else part)()


def test_an_adapter_is_checked_offline(folder: Path) -> None:
    model = GoTModel.from_pretrained(folder)
    check_adapter(model.path, model.settings.sizes, Adapter({}, 1.0, 1.0, {}))
    put(folder, UNET, "block_out_channels", "x")
    with pytest.raises(GoTError):
        check_adapter(model.path, model.settings.sizes, Adapter({}, 1.0, 1.0, {}))


def test_weights_that_the_config_does_not_describe_are_refused(folder: Path) -> None:
    """Fewer layers than there are would load, and draw something else."""
    put(folder, UNET, "mid_block_type", "UNetMidBlock2DCrossAttn")
    put(folder, MLLM, "text_config.num_hidden_layers", 3)
    put(folder, MLLM, "text_config.layer_types", ["full_attention"] * 3)
    with pytest.raises(GoTError, match="has no place for"):
        _ = GoTModel.from_pretrained(folder).parts.reasoner()


def test_the_bundled_checkpoint_loads_without_a_network(folder: Path) -> None:
    load_everything(folder)
    assert isinstance(GoTModel.from_pretrained(folder).parts.vae(), AutoencoderKL)
    assert isinstance(GoTModel.from_pretrained(folder).parts.unet(), UNet2DConditionModel)


@pytest.mark.parametrize("key", ["return_dict", "use_return_dict", "output_attentions", "is_encoder_decoder"])
def test_an_entry_that_no_checkpoint_has_changes_nothing(folder: Path, key: str) -> None:
    before = GoTModel.from_pretrained(folder).parts.reasoner().mllm.config.to_dict()
    for path in (key, f"text_config.{key}", f"vision_config.{key}"):
        put(folder, MLLM, path, key != "return_dict")
    assert GoTModel.from_pretrained(folder).parts.reasoner().mllm.config.to_dict() == before
