"""The published GoT-6B becomes a checkpoint: every naming the same tensors, every fault only a message."""

from __future__ import annotations

import copy
import errno
import hashlib
import json
import os
import pickle
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from peft import LoraConfig, get_peft_model
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from got_models.__main__ import main
from got_models.diffusion.ssgm import SemanticSpatialGuidance
from got_models.errors import GoTError
from got_models.files.staging import open_staging
from got_models.importing import convert
from got_models.importing.convert import import_checkpoint
from got_models.importing.folders import REPOSITORIES, PublishedFolders, find_folders
from got_models.importing.names import gather
from got_models.importing.shards import open_weights
from got_models.importing.writing import write_safetensors
from got_models.pipeline import GoTModel
from got_models.weights.checkpoint import check

from ...published import RELEASED_LORA, in_one_buffer

ROOT = Path(__file__).parents[3]
QWEN_TOKENS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|box_start|>", "<|box_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|image_pad|>"),
)
LETTERS = 256  # the bytes, which are the whole vocabulary but for the special tokens
STOCK_ROWS, ROWS = 272, 336  # of the embedding: Qwen's, and GoT-6B's, to which training has added
CHAT_TEMPLATE = "{% for message in messages %}{{ message.role }}{% endfor %}"
HIDDEN, CROSS_ATTENTION, POOLED = 32, 48, 16
QUERY = "mllm.base_model.model.model.layers.0.self_attn.q_proj"

State = dict[str, torch.Tensor]
Refused = Callable[..., str]

QWEN_CONFIG = {  # flat, as the publisher's
    "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "model_type": "qwen2_5_vl",
    "vocab_size": STOCK_ROWS,
    "hidden_size": HIDDEN,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 512,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "bos_token_id": LETTERS,
    "eos_token_id": LETTERS + 2,
    "vision_start_token_id": LETTERS + 5,
    "vision_end_token_id": LETTERS + 6,
    "image_token_id": LETTERS + 7,
    "vision_config": {
        "depth": 1,
        "hidden_size": 32,
        "intermediate_size": 40,
        "num_heads": 2,
        "out_hidden_size": HIDDEN,
    },
}
WIDER_VISION = {"depth": 1, "hidden_size": 32, "intermediate_size": 40, "num_heads": 2, "out_hidden_size": 64}
UNET_CONFIG = {
    "_class_name": "UNet2DConditionModel",
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "block_out_channels": [32, 32],
    "layers_per_block": 1,
    "cross_attention_dim": CROSS_ATTENTION,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": POOLED + 6 * 8,
}
VAE_CONFIG = {
    "_class_name": "AutoencoderKL",
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "block_out_channels": [32] * 4,
    "latent_channels": 4,
    "force_upcast": True,
    "scaling_factor": 0.13025,
}
TOKENIZER_CONFIG = {
    "tokenizer_class": "Qwen2Tokenizer",
    "added_tokens_decoder": {
        str(number): {
            "content": token,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": True,
        }
        for number, token in enumerate(QWEN_TOKENS, start=LETTERS)
    },
    "add_prefix_space": False,
    "bos_token": None,
    "clean_up_tokenization_spaces": False,
    "eos_token": "<|im_end|>",
    "errors": "replace",
    "model_max_length": 512,
    "pad_token": "<|endoftext|>",
    "split_special_tokens": False,
    "unk_token": None,
}
PREPROCESSOR_CONFIG = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_processor_type": "Qwen2VLImageProcessor",
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "max_pixels": 12845056,
    "merge_size": 2,
    "min_pixels": 3136,
    "patch_size": 14,
    "processor_class": "Qwen2_5_VLProcessor",
    "temporal_patch_size": 2,
}


# The published tree, at the smallest widths


@cache
def trained(alpha: int = 4, head_trained: bool = False, released: bool = False) -> tuple[State, State]:
    """GoT-6B's state dict as PEFT and today's transformers name it, and the same merged by PEFT itself.

    Args:
        released: with all that the released files have trained, and a VAE in half precision.
    """
    torch.manual_seed(1)
    config = Qwen2_5_VLConfig(**copy.deepcopy(QWEN_CONFIG) | {"vocab_size": ROWS})
    some = {"target_modules": r"(?!.*visual).*\.(q_proj|v_proj|down_proj)", "modules_to_save": ["lm_head"]}
    lora = LoraConfig(r=4, lora_alpha=alpha, init_lora_weights=False, **(RELEASED_LORA if released else some))
    mllm = get_peft_model(Qwen2_5_VLForConditionalGeneration(config).float(), lora)
    if head_trained:
        with torch.no_grad():
            mllm.base_model.model.lm_head.modules_to_save["default"].weight.add_(1.0)
    if released:
        with torch.no_grad():
            for name, parameter in mllm.named_parameters():
                if ".modules_to_save." in name:
                    parameter.add_(torch.randn_like(parameter))
    others = {
        "unet.": UNet2DConditionModel(**_arguments(UNET_CONFIG) | {"in_channels": 12}),
        "vae.": AutoencoderKL(**_arguments(VAE_CONFIG)),
        "": SemanticSpatialGuidance(HIDDEN, CROSS_ATTENTION, POOLED),
    }
    if released:
        others["vae."].half()
    rest = {f"{prefix}{key}": value for prefix, part in others.items() for key, value in tensors_of(part)}
    with_lora = {f"mllm.{key}": value for key, value in tensors_of(mllm)}
    merged = {f"mllm.{key}": value for key, value in tensors_of(mllm.merge_and_unload())}
    return with_lora | rest, merged | rest


def _arguments(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if not key.startswith("_")}


def tensors_of(module: torch.nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [(key, value.detach().clone()) for key, value in module.state_dict().items()]


def older(state: State) -> State:
    """The names that the older transformers gave."""
    return {
        key.replace("model.language_model.", "model.").replace("model.visual.", "visual."): value
        for key, value in state.items()
    }


def expected_parts(merged: State) -> dict[str, State]:
    """What the checkpoint must hold: folder or file -> name -> tensor, in float32."""
    parts: dict[str, State] = {"mllm": {}, "unet": {}, "vae": {}, "": {}}
    for key, value in older(merged).items():
        part, _, name = key.partition(".")
        if part in parts:
            parts[part][name] = value
        else:
            parts[""][key] = value
    if torch.equal(parts["mllm"]["lm_head.weight"], parts["mllm"]["model.embed_tokens.weight"]):
        del parts["mllm"]["lm_head.weight"]
    return parts


def written_parts(checkpoint: Path) -> dict[str, State]:
    parts: dict[str, State] = {}
    for part in ("mllm", "unet", "vae", ""):
        parts[part] = {}
        for file in sorted((checkpoint / part).glob("*.safetensors")):
            parts[part] |= load_file(file)
    return parts


def assert_same(received: dict[str, State], expected: dict[str, State]) -> None:
    for part in expected:
        assert received[part].keys() == expected[part].keys()
        different = [
            key for key, value in expected[part].items() if not torch.equal(received[part][key], value)
        ]
        assert different == []


def write_weights(folder: Path, state: State, suffix: str, shards: int) -> None:
    """One file, or shards with their index; as torch.save or safetensors write them."""
    stem = {".bin": "pytorch_model", ".safetensors": "model"}[suffix]
    save = torch.save if suffix == ".bin" else save_file
    folder.mkdir(parents=True, exist_ok=True)
    if shards == 1:
        save(state, folder / f"{stem}{suffix}")
        return
    total, before = sum(tensor.numel() for tensor in state.values()), 0
    own: list[State] = [{} for _ in range(shards)]
    for key, tensor in state.items():
        own[before * shards // total][key] = tensor
        before += tensor.numel()
    weight_map = {}
    for number, tensors in enumerate(own, 1):
        name = f"{stem}-{number:05d}-of-{shards:05d}{suffix}"
        save(tensors, folder / name)
        weight_map |= dict.fromkeys(tensors, name)
    (folder / f"{stem}{suffix}.index.json").write_text(json.dumps({"weight_map": weight_map}))


def write_tree(source: Path, state: State, suffix: str = ".bin", shards: int = 3) -> None:
    """The three published folders side by side."""
    write_weights(source / "GoT-6B", state, suffix, shards)
    qwen = source / "Qwen2.5-VL-3B-Instruct"
    qwen.mkdir()
    core = Tokenizer(
        models.BPE(
            vocab={letter: index for index, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))},
            merges=[],
        )
    )
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in QWEN_TOKENS])
    core.save(str(qwen / "tokenizer.json"))
    files: dict[str, Any] = {
        "config.json": QWEN_CONFIG,
        "generation_config.json": {"do_sample": True, "temperature": 1e-6, "repetition_penalty": 1.05},
        "tokenizer_config.json": TOKENIZER_CONFIG,
        "chat_template.json": {"chat_template": CHAT_TEMPLATE},
        "preprocessor_config.json": PREPROCESSOR_CONFIG,
    }
    for name, values in files.items():
        (qwen / name).write_text(json.dumps(values))
    sdxl = source / "stable-diffusion-xl-base-1.0"
    for part, config in (("unet", UNET_CONFIG), ("vae", VAE_CONFIG)):
        (sdxl / part).mkdir(parents=True)
        (sdxl / part / "config.json").write_text(json.dumps(config))
    EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
    ).save_pretrained(sdxl / "scheduler")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole tree in the naming of the released weights."""
    source = tmp_path_factory.mktemp("published")
    write_tree(source, older(trained()[0]))
    return source


@pytest.fixture
def source(published: Path, tmp_path: Path) -> Path:
    """A copy of the tree for a test to damage."""
    return Path(shutil.copytree(published, tmp_path / "pretrained"))


@pytest.fixture(scope="module")
def imported(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree imported with the command's defaults."""
    destination = tmp_path_factory.mktemp("imported") / "GoT"
    assert main(["convert", str(published), str(destination)]) == 0
    return destination


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Refused:
    """Runs the command, which must end with exit code 2 and nothing written; returns the message."""

    def run(source: Path, destination: Path | None = None, *options: str) -> str:
        before = sorted(tmp_path.rglob("*"))
        destination = tmp_path / "out" if destination is None else destination
        assert main(["convert", str(source), str(destination), *options]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert sorted(tmp_path.rglob("*")) == before
        message = output.err.strip().splitlines()[-1]
        assert message.startswith("error: ")
        return message

    return run


def change_state(source: Path, change: Callable[[State], object]) -> None:
    """Rewrites the tree's weights as one file after a change of the state dict."""
    got = source / "GoT-6B"
    state = {
        key: value
        for file in sorted(got.glob("*.bin"))
        for key, value in torch.load(file, weights_only=True).items()
    }
    change(state)
    shutil.rmtree(got)
    write_weights(got, state, ".bin", 1)


def change_json(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


# What comes out


@pytest.mark.parametrize("suffix", [".bin", ".safetensors"])
@pytest.mark.parametrize("transformers", ["older", "newer"])
@pytest.mark.parametrize("lora", ["PEFT", "merged"])
def test_every_naming_gives_the_tensors_that_peft_merges_bit_for_bit(
    lora: str, transformers: str, suffix: str, tmp_path: Path
) -> None:
    state = trained()[0 if lora == "PEFT" else 1]
    shards = 3 if lora == "PEFT" else 1
    write_tree(tmp_path / "pretrained", older(state) if transformers == "older" else state, suffix, shards)
    import_checkpoint(find_folders(tmp_path / "pretrained"), tmp_path / "out", "float32")
    assert_same(written_parts(tmp_path / "out"), expected_parts(trained()[1]))


@pytest.mark.parametrize("transformers", ["older", "newer"])
def test_the_layout_of_the_released_weights_gives_what_peft_merges(
    transformers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LoRA in the vision tower, norms and embeddings trained, half precision, views of a flat buffer."""
    with_lora, merged = trained(released=True)
    state = older(with_lora) if transformers == "older" else with_lora
    names = " ".join(state)
    for fragment in (
        *("visual.blocks.0.mlp.gate_proj.lora_A", "visual.blocks.0.mlp.down_proj.base_layer.weight"),
        *("input_layernorm.modules_to_save.default.weight", "norm.original_module.weight"),
        *("embed_tokens.modules_to_save.default.weight", "lm_head.modules_to_save.default.weight"),
    ):
        assert fragment in names
    write_tree(tmp_path / "pretrained", in_one_buffer(state), shards=2)
    size = sum(file.stat().st_size for file in (tmp_path / "pretrained/GoT-6B").glob("*.bin"))
    assert size > 1.5 * sum(tensor.nbytes for tensor in state.values())  # each file holds the whole buffer
    import_checkpoint(find_folders(tmp_path / "pretrained"), tmp_path / "out", "float32")
    expected = expected_parts(merged)
    assert not torch.equal(expected["mllm"]["lm_head.weight"], expected["mllm"]["model.embed_tokens.weight"])
    assert_same(written_parts(tmp_path / "out"), expected_parts(merged))
    model = GoTModel.from_pretrained(tmp_path / "out")
    assert torch.equal(
        model.parts.reasoner().mllm.get_parameter("model.visual.blocks.0.mlp.up_proj.weight"),
        expected["mllm"]["visual.blocks.0.mlp.up_proj.weight"],
    )


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads memory from Linux's /proc")
def test_of_a_flat_buffer_only_what_a_tensor_covers_is_read(tmp_path: Path) -> None:
    """200 MB in one buffer; the pages on which three of its hundred tensors lie come to memory, no others."""
    flat = torch.zeros(100, 500_000)
    (tmp_path / "GoT-6B").mkdir()
    torch.save({str(row): flat[row] for row in range(100)}, tmp_path / "GoT-6B/pytorch_model.bin")
    del flat
    program = """
import sys
from pathlib import Path
from got_models.importing.shards import PublishedWeights
def resident():
    lines = open("/proc/self/status")
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile"))
weights = PublishedWeights(Path(sys.argv[1]))
before = resident()
for key in ("3", "50", "97"):
    weights.tensor(key).sum()
print(resident() - before)
"""
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "GoT-6B")], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert 3 * 2_000_000 <= int(run.stdout) < 30_000_000


def test_the_synthetic_tree_has_every_peft_name_of_the_released_weights() -> None:
    """Otherwise the test above would not try them."""
    names = " ".join(older(trained()[0]))
    for fragment in (
        "mllm.base_model.model.model.layers.",
        "mllm.base_model.model.visual.",
        "q_proj.base_layer.weight",
        "q_proj.lora_A.default.weight",
        "lm_head.modules_to_save.default.weight",
        "lm_head.original_module.weight",
    ):
        assert fragment in names


def test_lora_is_scaled_by_alpha_over_rank(tmp_path: Path) -> None:
    with_lora, merged = trained(alpha=12)
    write_tree(tmp_path / "pretrained", with_lora)
    import_checkpoint(find_folders(tmp_path / "pretrained"), tmp_path / "out", "float32", lora_alpha=12)
    assert_same(written_parts(tmp_path / "out"), expected_parts(merged))


def test_an_output_layer_that_training_has_parted_from_the_embedding_is_kept(tmp_path: Path) -> None:
    with_lora, merged = trained(head_trained=True)
    write_tree(tmp_path / "pretrained", with_lora)
    import_checkpoint(find_folders(tmp_path / "pretrained"), tmp_path / "out", "float32")
    mllm = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        tmp_path / "out/mllm", torch_dtype=torch.float32
    )
    assert torch.equal(mllm.lm_head.weight, merged["mllm.lm_head.weight"])
    assert not torch.equal(mllm.lm_head.weight, mllm.get_input_embeddings().weight)


@pytest.mark.parametrize(("dtype", "kind"), [("float16", torch.float16), ("bfloat16", torch.bfloat16)])
def test_weights_are_rounded_to_the_dtype_after_merging(
    dtype: str, kind: torch.dtype, published: Path, tmp_path: Path
) -> None:
    assert main(["convert", str(published), str(tmp_path / "out"), "--dtype", dtype]) == 0
    expected = {
        part: {key: value.to(kind) for key, value in state.items()}
        for part, state in expected_parts(trained()[1]).items()
    }
    assert_same(written_parts(tmp_path / "out"), expected)


def test_every_part_of_an_imported_checkpoint_loads(imported: Path) -> None:
    model = GoTModel.from_pretrained(imported)
    merged = older(trained()[1])
    embedding = model.parts.reasoner().mllm.get_input_embeddings().weight
    assert torch.equal(embedding, merged["mllm.model.embed_tokens.weight"].bfloat16().float())
    assert torch.equal(model.parts.unet().conv_in.weight, merged["unet.conv_in.weight"].bfloat16().float())
    assert torch.equal(model.parts.vae().quant_conv.bias, merged["vae.quant_conv.bias"].bfloat16().float())
    bias = model.parts.ssgm().output_projector_add.projector.bias
    assert torch.equal(bias, merged["output_projector_add.projector.bias"].bfloat16().float())


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        ({"force_upcast": True}, torch.float32),
        ({}, torch.float32),
        ({"force_upcast": False}, torch.float16),
    ],
)
def test_a_vae_stays_in_float32_in_half_precision_unless_its_config_says_that_it_need_not(
    entry: dict[str, bool], kept: torch.dtype, imported: Path, tmp_path: Path
) -> None:
    checkpoint = Path(shutil.copytree(imported, tmp_path / "copy"))
    config = {key: value for key, value in VAE_CONFIG.items() if key != "force_upcast"}
    (checkpoint / "vae/config.json").write_text(json.dumps(config | entry))
    model = GoTModel.from_pretrained(checkpoint, dtype=torch.float16)
    assert (model.parts.unet().dtype, model.parts.vae().dtype) == (torch.float16, kept)


def test_the_tokenizer_is_extended_in_order_and_keeps_its_chat_template(imported: Path) -> None:
    tokenizer = GoTModel.from_pretrained(imported).parts.reasoner().tokenizer
    first = LETTERS + len(QWEN_TOKENS)
    assert tokenizer.convert_tokens_to_ids("<|im_gen_start|>") == first
    assert tokenizer.convert_tokens_to_ids("<|im_gen_end|>") == first + 1
    assert tokenizer("a<|im_gen_0000|><|im_gen_0063|>")["input_ids"][1:] == [first + 2, first + 65]
    assert len(tokenizer) == first + 66
    assert tokenizer.apply_chat_template([{"role": "user", "content": ""}], tokenize=False) == "user"


def test_settings_are_those_of_the_published_inference(imported: Path, published: Path) -> None:
    settings = json.loads((imported / "got.json").read_text())
    assert (settings["vision_size"], settings["max_new_tokens"]) == (448, 1024)
    assert settings["mask_rule"] == "published"
    assert settings["sizes"] == {"hidden": 32, "cross_attention": 48, "pooled": 16, "image_tokens": 64}
    shared = {"steps": 50, "width": 1024, "height": 1024}
    assert settings["tasks"]["generate"] == {"semantic": 7.5, "spatial": 4.0, "reference": 1.0, **shared}
    assert settings["tasks"]["edit"] == {"semantic": 4.0, "spatial": 3.0, "reference": 1.5, **shared}
    scheduler = json.loads((imported / "scheduler/scheduler_config.json").read_text())
    assert scheduler["_class_name"] == "DDPMScheduler"
    assert (scheduler["beta_start"], scheduler["beta_end"]) == (0.00085, 0.012)
    assert scheduler["beta_schedule"] == "scaled_linear"
    qwen = published / "Qwen2.5-VL-3B-Instruct"
    for copied, original in (
        ("mllm/generation_config.json", "generation_config.json"),
        ("processor/preprocessor_config.json", "preprocessor_config.json"),
    ):
        assert (imported / copied).read_bytes() == (qwen / original).read_bytes()


def test_configs_are_the_publishers_but_for_what_training_has_changed(imported: Path) -> None:
    mllm = json.loads((imported / "mllm/config.json").read_text())
    assert mllm == {k: v for k, v in QWEN_CONFIG.items() if k != "torch_dtype"} | {"vocab_size": ROWS}
    assert json.loads((imported / "unet/config.json").read_text()) == UNET_CONFIG | {"in_channels": 12}
    assert json.loads((imported / "vae/config.json").read_text()) == VAE_CONFIG


def test_the_manifest_has_the_checksum_of_every_file(imported: Path) -> None:
    files = {file.relative_to(imported).as_posix(): file for file in imported.rglob("*") if file.is_file()}
    del files["manifest.json"]
    manifest = json.loads((imported / "manifest.json").read_text())
    assert manifest["sha256"] == {
        name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()
    }
    assert str(imported.parent) not in json.dumps(manifest)


def test_nothing_but_the_checkpoint_is_left_behind(imported: Path) -> None:
    assert os.listdir(imported.parent) == [imported.name]


def test_large_parts_are_written_as_shards_that_load(
    published: Path, imported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "SHARD_BYTES", 50_000)
    import_checkpoint(find_folders(published), tmp_path / "out")
    for part in ("mllm", "unet", "vae"):
        assert len(list((tmp_path / "out" / part).glob("*-00001-of-*.safetensors"))) == 1
    assert_same(written_parts(tmp_path / "out"), written_parts(imported))
    model = GoTModel.from_pretrained(tmp_path / "out")
    assert (
        model.parts.unet().config.in_channels == 12
        and model.parts.reasoner().mllm is not None
        and model.parts.vae() is not None
    )


def test_folders_are_found_side_by_side_or_taken_as_given(source: Path, tmp_path: Path) -> None:
    names = ("GoT-6B", "Qwen2.5-VL-3B-Instruct", "stable-diffusion-xl-base-1.0")
    side_by_side = PublishedFolders(*(source / name for name in names))
    assert find_folders(source) == find_folders(source / "GoT-6B") == side_by_side
    qwen = Path(shutil.move(source / names[1], tmp_path / "qwen"))
    sdxl = Path(shutil.move(source / names[2], tmp_path / "sdxl"))
    assert find_folders(source, qwen, sdxl) == PublishedFolders(source / names[0], qwen, sdxl)


def test_the_command_says_where_the_checkpoint_is_and_shows_progress(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(published), str(tmp_path / "out")]) == 0
    output = capsys.readouterr()
    assert output.out == f"{tmp_path / 'out'}\n"
    assert "converting" in output.err and "%|" in output.err


def test_the_page_on_models_names_every_file_that_is_needed_and_where_it_comes_from() -> None:
    page = (ROOT / "docs/models.md").read_text(encoding="utf-8")
    for folder, repository in REPOSITORIES.items():
        for words in (folder, f"(https://huggingface.co/{repository.name})", *repository.files):
            assert words in page


def test_names_that_claim_the_same_place_or_no_part_fit_nowhere() -> None:
    first, second = "mllm.model.norm.weight", "mllm.model.language_model.norm.weight"
    recipes, unexpected = gather([first, second, "optimizer.step"])
    assert recipes["mllm"] == {"model.norm.weight": {"base": first}}
    assert unexpected == [second, "optimizer.step"]


# What is refused


class Hostile:
    """Unpickled, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("archive", [True, False], ids=["torch.save", "plain pickle"])
def test_a_pickle_that_runs_code_is_refused_and_nothing_runs(
    archive: bool, source: Path, refused: Refused, tmp_path: Path
) -> None:
    proof = tmp_path / "proof"
    file = source / "GoT-6B/pytorch_model-00002-of-00003.bin"
    if archive:
        torch.save({"unet.conv_in.weight": Hostile(proof)}, file)
        torch.load(file, weights_only=False)
    else:
        file.write_bytes(pickle.dumps(Hostile(proof)))
        pickle.loads(file.read_bytes())
    proof.rmdir()  # so the pickle does run code when it is let
    message = refused(source)
    assert not proof.exists()
    assert str(file) in message and "Download it again" in message
    assert ("nothing in it was run" in message) == archive


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
@pytest.mark.parametrize("suffix", [".bin", ".safetensors"])
def test_a_truncated_shard_is_named(suffix: str, share: float, refused: Refused, tmp_path: Path) -> None:
    write_tree(tmp_path / "pretrained", trained()[0], suffix)
    (file,) = (tmp_path / "pretrained/GoT-6B").glob(f"*-00002-of-00003{suffix}")
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    assert f"{file} is truncated or not a weight file" in refused(tmp_path / "pretrained")


def test_an_archive_that_seems_to_have_other_volumes_is_no_weight_file(tmp_path: Path) -> None:
    file = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.ones(2)}, file)
    content = bytearray(file.read_bytes())
    content[content.rindex(b"PK\6\7") + 16] = 9  # how many files the archive has been cut into
    file.write_bytes(content)
    with pytest.raises(GoTError, match="truncated or not a weight file"):
        open_weights(file)


def test_an_index_that_names_a_missing_shard_is_refused_with_the_names(
    source: Path, refused: Refused
) -> None:
    (source / "GoT-6B/pytorch_model-00003-of-00003.bin").unlink()
    message = refused(source)
    assert "names 3 files, of which 1 are not there: pytorch_model-00003-of-00003.bin" in message


def test_a_renamed_shard_is_refused_with_the_name_it_should_have(source: Path, refused: Refused) -> None:
    file = source / "GoT-6B/pytorch_model-00003-of-00003.bin"
    file.rename(file.with_name("pytorch_model-3.bin"))
    assert "pytorch_model-00003-of-00003.bin" in refused(source)


@pytest.mark.parametrize("name", ["../outside.bin", "/outside.bin", "inside/other.bin", ".."])
def test_an_index_that_names_files_outside_its_folder_is_refused(
    name: str, source: Path, refused: Refused
) -> None:
    shutil.copy(source / "GoT-6B/pytorch_model-00001-of-00003.bin", source / "outside.bin")
    change_json(source / "GoT-6B/pytorch_model.bin.index.json", weight_map={"a": name})
    message = refused(source)
    assert name in message and ("outside its folder" in message or name == "..")


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": 3}', '{"weight_map": {"a": 3}}'])
def test_an_index_that_cannot_be_used_is_named(content: str, source: Path, refused: Refused) -> None:
    (source / "GoT-6B/pytorch_model.bin.index.json").write_text(content)
    assert "pytorch_model.bin.index.json" in refused(source)


@pytest.mark.parametrize("name", ["../outside.safetensors", "/outside.safetensors", ".."])
def test_a_checkpoint_whose_index_names_files_outside_its_folder_is_refused(
    name: str, imported: Path, tmp_path: Path
) -> None:
    checkpoint = Path(shutil.copytree(imported, tmp_path / "copy"))
    (checkpoint / "unet/diffusion_pytorch_model.safetensors").rename(checkpoint / "outside.safetensors")
    index = checkpoint / "unet/diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"conv_in.weight": name}}))
    with pytest.raises(ValueError, match="names files outside its folder"):
        check(checkpoint)


def test_shards_without_their_index_are_refused_with_its_name(source: Path, refused: Refused) -> None:
    (source / "GoT-6B/pytorch_model.bin.index.json").unlink()
    assert "pytorch_model.bin.index.json with its shards" in refused(source)


def test_a_tensor_in_two_shards_is_refused(source: Path, refused: Refused) -> None:
    got = source / "GoT-6B"
    shutil.copy(got / "pytorch_model-00001-of-00003.bin", got / "pytorch_model-00002-of-00003.bin")
    assert "Both" in refused(source)


@pytest.mark.parametrize("value", [3, torch.ones(2, dtype=torch.int64), torch.ones(2, 2).to_sparse()])
def test_anything_but_dense_floating_point_tensors_is_refused(
    value: object, source: Path, refused: Refused
) -> None:
    change_state(source, lambda state: state.update({"unet.conv_in.weight": value}))  # type: ignore[dict-item]
    assert "'unet.conv_in.weight' is none" in refused(source)


def test_a_lora_without_its_base_is_named(source: Path, refused: Refused) -> None:
    change_state(source, lambda state: state.pop(f"{QUERY}.base_layer.weight"))
    message = refused(source)
    assert "Missing (1): mllm.model.layers.0.self_attn.q_proj.weight [32, 32], the base of a LoRA." in message


@pytest.mark.parametrize(("gone", "lacking"), [("lora_A", "lora_A"), ("lora_B", "lora_B")])
def test_half_a_lora_is_named(gone: str, lacking: str, source: Path, refused: Refused) -> None:
    change_state(source, lambda state: state.pop(f"{QUERY}.{gone}.default.weight"))
    assert f"mllm.model.layers.0.self_attn.q_proj.weight's {lacking}" in refused(source)


def test_missing_unexpected_and_misshaped_tensors_are_all_listed(source: Path, refused: Refused) -> None:
    def change(state: State) -> None:
        del state["vae.quant_conv.bias"], state["output_projector.projector.bias"]
        state["unet.extra.weight"] = torch.zeros(1)
        state["discriminator.weight"] = torch.zeros(1)
        state["unet.conv_in.weight"] = torch.zeros(32, 4, 3, 3)
        state[f"{QUERY}.lora_B.default.weight"] = torch.zeros(32, 5)

    change_state(source, change)
    message = refused(source)
    assert "Missing (2): output_projector.projector.bias [48], vae.quant_conv.bias [8]." in message
    assert "Unexpected (2): discriminator.weight, unet.extra.weight." in message
    assert "Of another shape (2): " in message
    assert "unet.conv_in.weight (expected [32, 12, 3, 3], received [32, 4, 3, 3])" in message
    assert f"{QUERY}.lora_B.default.weight (expected [32, 4], received [32, 5])" in message


@pytest.mark.parametrize(
    "shapes", [((0, 32), (32, 0)), ((), (32,)), ((4, 31), (32, 4)), ((4, 32), (31, 4)), ((4,), (32, 4))]
)
def test_a_lora_that_does_not_fit_its_base_is_refused(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], source: Path, refused: Refused
) -> None:
    def change(state: State) -> None:
        for factor, shape in zip("AB", shapes, strict=True):
            state[f"{QUERY}.lora_{factor}.default.weight"] = torch.zeros(shape)

    change_state(source, change)
    assert "Of another shape" in refused(source)


def test_a_long_list_of_faults_is_cut_with_their_number(source: Path, refused: Refused) -> None:
    change_state(source, lambda state: state.update({f"more.{n}": torch.zeros(1) for n in range(30)}))
    message = refused(source)
    assert "Unexpected (30)" in message and "and 10 more." in message


@pytest.mark.parametrize(
    ("file", "change", "named"),
    [
        (
            "Qwen2.5-VL-3B-Instruct/config.json",
            {"hidden_size": 64, "num_attention_heads": 4, "vision_config": WIDER_VISION},
            "received [336, 32]",
        ),
        ("Qwen2.5-VL-3B-Instruct/config.json", {"num_hidden_layers": 3}, "mllm.model.layers.2."),
        ("stable-diffusion-xl-base-1.0/unet/config.json", {"cross_attention_dim": 64}, "received [48"),
        ("stable-diffusion-xl-base-1.0/vae/config.json", {"block_out_channels": [32] * 3 + [64]}, "vae."),
    ],
)
def test_a_qwen_or_sdxl_of_another_size_is_refused_with_both_shapes_and_folders(
    file: str, change: dict[str, object], named: str, source: Path, refused: Refused
) -> None:
    change_json(source / file, **change)
    message = refused(source)
    assert named in message
    assert str(source / "Qwen2.5-VL-3B-Instruct") in message
    assert str(source / "stable-diffusion-xl-base-1.0") in message


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("Qwen2.5-VL-3B-Instruct/config.json", {"num_attention_heads": "many"}),
        ("Qwen2.5-VL-3B-Instruct/config.json", {"text_config": 3}),
        ("Qwen2.5-VL-3B-Instruct/config.json", {"num_hidden_layers": 10**7}),
        ("Qwen2.5-VL-3B-Instruct/generation_config.json", {"eos_token_id": "end"}),
        ("Qwen2.5-VL-3B-Instruct/tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer"}),
        ("Qwen2.5-VL-3B-Instruct/preprocessor_config.json", {"patch_size": 0}),
        ("stable-diffusion-xl-base-1.0/scheduler/scheduler_config.json", {"num_train_timesteps": 10**12}),
        ("stable-diffusion-xl-base-1.0/unet/config.json", {"down_block_types": ["Unknown"]}),
        ("stable-diffusion-xl-base-1.0/unet/config.json", {"addition_time_embed_dim": None}),
        ("stable-diffusion-xl-base-1.0/vae/config.json", {"block_out_channels": "wide"}),
        ("stable-diffusion-xl-base-1.0/scheduler/scheduler_config.json", {"beta_schedule": "unknown"}),
    ],
)
def test_a_config_that_describes_no_model_is_named(
    file: str, change: dict[str, object], source: Path, refused: Refused
) -> None:
    change_json(source / file, **change)
    assert str(source / file) in refused(source)


@pytest.mark.parametrize(
    ("name", "content"),
    [("tokenizer.json", "{}"), ("config.json", "{"), ("preprocessor_config.json", "[]")],
)
def test_a_damaged_file_of_qwen_is_named(name: str, content: str, source: Path, refused: Refused) -> None:
    (source / "Qwen2.5-VL-3B-Instruct" / name).write_text(content)
    assert str(source / "Qwen2.5-VL-3B-Instruct" / name) in refused(source)


def test_a_tokenizer_over_which_its_library_panics_is_named(source: Path, refused: Refused) -> None:
    file = source / "Qwen2.5-VL-3B-Instruct/tokenizer.json"
    values = json.loads(file.read_text())
    values["model"]["merges"] = [["a", "b"]]
    values["model"]["vocab"] |= {"a": 0, "b": 1}
    values["model"]["continuing_subword_prefix"] = "((("
    file.write_text(json.dumps(values))
    assert str(file) in refused(source)


def test_a_missing_chat_template_is_named(source: Path, refused: Refused) -> None:
    (source / "Qwen2.5-VL-3B-Instruct/chat_template.json").unlink()
    assert "no chat template" in refused(source)


def test_an_embedding_with_too_few_rows_for_the_tokens_is_refused(source: Path, refused: Refused) -> None:
    key = "mllm.base_model.model.model.embed_tokens.weight"
    change_state(source, lambda state: state.update({key: torch.zeros(329, 32)}))
    message = refused(source)
    assert "330 tokens" in message and "[329, 32]" in message


def test_missing_folders_and_files_are_listed_together(source: Path, refused: Refused) -> None:
    shutil.rmtree(source / "stable-diffusion-xl-base-1.0")
    (source / "Qwen2.5-VL-3B-Instruct/tokenizer.json").unlink()
    message = refused(source)
    assert str(source / "stable-diffusion-xl-base-1.0") in message
    assert str(source / "Qwen2.5-VL-3B-Instruct/tokenizer.json") in message
    assert "`sdxl` with where" in message and "https://huggingface.co/stabilityai/stable-diffusion" in message


def test_a_folder_without_weights_is_refused_with_what_is_expected(source: Path, refused: Refused) -> None:
    for file in (source / "GoT-6B").iterdir():
        file.unlink()
    assert "has no weights: expected one of model.safetensors" in refused(source)


def test_weights_that_are_not_finite_are_refused(source: Path, refused: Refused) -> None:
    change_state(source, lambda state: state["unet.conv_out.bias"].fill_(float("nan")))
    assert "conv_out.bias has values that are not finite" in refused(source)


def test_weights_too_large_for_float16_are_refused_and_fit_into_bfloat16(
    source: Path, refused: Refused, tmp_path: Path
) -> None:
    change_state(source, lambda state: state["unet.conv_out.bias"].fill_(70_000.0))
    assert "70000. Choose bfloat16" in refused(source, None, "--dtype", "float16")
    assert main(["convert", str(source), str(tmp_path / "out"), "--dtype", "bfloat16"]) == 0


@pytest.mark.parametrize("name", [".", "GoT-6B", "Qwen2.5-VL-3B-Instruct", "GoT-6B/../GoT-6B"])
def test_a_destination_that_is_the_source_is_refused(name: str, source: Path, refused: Refused) -> None:
    assert "is a source of the import" in refused(source, source / name)


def test_a_destination_that_exists_is_refused(source: Path, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("folder", "file", "link"):
        assert "exists already" in refused(source, tmp_path / name)
    assert "cannot be written" in refused(source, tmp_path / "file/out")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="/proc is a folder that nobody can write to")
def test_a_folder_without_write_permission_is_refused(
    source: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=10**12))
    assert "/proc/out cannot be written" in refused(source, Path("/proc/out"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(source: Path, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir(mode=0o555)
    assert "Permission denied" in refused(source, tmp_path / "models/out")


def test_too_little_room_on_the_disk_is_found_out_before_the_work(
    source: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=10_000_000))
    message = refused(source)
    assert "takes 0.1 GB" in message and "room for 0.0 GB" in message


# What an interruption leaves


def interrupt(source: Path, destination: Path, share: float, dtype: str = "bfloat16") -> None:
    """An import that stops, as with Ctrl-C, after a share of its bytes."""

    def stop(done: int, total: int) -> None:
        if done >= share * total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_checkpoint(find_folders(source), destination, dtype, on_progress=stop)


def weights_in(folder: Path) -> dict[str, int]:
    """Name -> inode of each weight file: another inode means written again."""
    return {str(file.relative_to(folder)): file.stat().st_ino for file in folder.rglob("*.safetensors")}


def test_an_interrupted_import_looks_unfinished_and_goes_on_where_it_stopped(
    published: Path, imported: Path, tmp_path: Path
) -> None:
    interrupt(published, tmp_path / "out", 0.9)
    assert os.listdir(tmp_path) == ["out.part"]
    with pytest.raises(ValueError, match=r"lacks got\.json"):
        check(tmp_path / "out.part")
    finished = weights_in(tmp_path / "out.part")
    assert finished
    import_checkpoint(find_folders(published), tmp_path / "out")
    assert finished.items() <= weights_in(tmp_path / "out").items()
    assert checksums(tmp_path / "out") == checksums(imported)
    assert os.listdir(tmp_path) == ["out"]


def test_an_import_interrupted_before_its_first_file_leaves_nothing(published: Path, tmp_path: Path) -> None:
    interrupt(published, tmp_path / "out", 0.0)
    assert os.listdir(tmp_path) == []


def test_a_finished_file_that_was_damaged_meanwhile_is_written_again(
    published: Path, imported: Path, tmp_path: Path
) -> None:
    interrupt(published, tmp_path / "out", 0.9)
    file = tmp_path / "out.part" / next(iter(weights_in(tmp_path / "out.part")))
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    import_checkpoint(find_folders(published), tmp_path / "out")
    assert checksums(tmp_path / "out") == checksums(imported)


def test_files_of_another_dtype_are_not_mixed_in(published: Path, imported: Path, tmp_path: Path) -> None:
    interrupt(published, tmp_path / "out", 0.9, "float32")
    import_checkpoint(find_folders(published), tmp_path / "out", "bfloat16")
    assert checksums(tmp_path / "out") == checksums(imported)


def test_files_of_an_exchanged_source_are_not_mixed_in(source: Path, tmp_path: Path) -> None:
    interrupt(source, tmp_path / "out", 0.9)
    change_state(source, lambda state: [tensor.mul_(2) for tensor in state.values()])
    import_checkpoint(find_folders(source), tmp_path / "out")
    import_checkpoint(find_folders(source), tmp_path / "straight")
    assert checksums(tmp_path / "out") == checksums(tmp_path / "straight")


def test_an_import_killed_while_it_began_is_no_obstacle(
    published: Path, imported: Path, tmp_path: Path
) -> None:
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part/manifest.json.part").write_text("{")
    import_checkpoint(find_folders(published), tmp_path / "out")
    assert checksums(tmp_path / "out") == checksums(imported)


def test_a_folder_of_the_users_that_is_in_the_way_is_left_alone(
    source: Path, refused: Refused, tmp_path: Path
) -> None:
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part/thesis.txt").write_text("all of it")
    assert "is in the way" in refused(source)
    assert (tmp_path / "out.part/thesis.txt").read_text() == "all of it"


def test_a_second_import_into_the_same_folder_is_refused_while_the_first_one_runs(
    source: Path, refused: Refused, tmp_path: Path
) -> None:
    with open_staging(tmp_path / "out", {}) as first:
        first.finish("a.safetensors", "0")
        assert "Another import" in refused(source)
        assert (tmp_path / "out.part/manifest.json").is_file()


def test_of_two_imports_into_one_folder_at_once_one_succeeds_and_the_other_is_told(
    published: Path, imported: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "got_models", "convert", str(published), str(tmp_path / "out")]
    both = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ends = sorted((process.wait(timeout=300), str(process.communicate()[1])) for process in both)
    assert [code for code, _ in ends] == [0, 2]
    assert "Another import" in ends[1][1] or "exists already" in ends[1][1]
    assert checksums(tmp_path / "out") == checksums(imported)
    assert os.listdir(tmp_path) == ["out"]


def test_a_disk_that_fills_up_ends_with_a_message_and_the_next_run_goes_on(
    source: Path, imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resource = pytest.importorskip("resource", reason="limits on file sizes are a matter of POSIX")
    largest = max(file.stat().st_size for file in imported.rglob("*.safetensors"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 1, limits[1]))
    try:
        code = main(["convert", str(source), str(tmp_path / "out")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert code == 2
    assert "cannot be written: File too large. Free room" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert [*tmp_path.rglob("*.safetensors.part"), *tmp_path.glob("*.lock")] == []
    finished = weights_in(tmp_path / "out.part")
    assert finished
    assert main(["convert", str(source), str(tmp_path / "out")]) == 0
    assert finished.items() <= weights_in(tmp_path / "out").items()
    assert checksums(tmp_path / "out") == checksums(imported)


def test_a_disk_that_is_full_at_the_very_end_loses_nothing_of_the_work(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(
            "got_models.files.whole_files.secrets.token_hex", refuse
        )  # at got.json, the last file but one
        with pytest.raises(GoTError, match=r"got\.json cannot be written to: No space left on device"):
            import_checkpoint(find_folders(source), tmp_path / "out")
    finished = weights_in(tmp_path / "out.part")
    assert finished
    import_checkpoint(find_folders(source), tmp_path / "out")
    assert finished.items() <= weights_in(tmp_path / "out").items()


def checksums(checkpoint: Path) -> dict[str, str]:
    """The manifest's, held against the files."""
    listed: dict[str, str] = json.loads((checkpoint / "manifest.json").read_text())["sha256"]
    for name, digest in listed.items():
        assert hashlib.sha256((checkpoint / name).read_bytes()).hexdigest() == digest
    return listed


KILLED_RUNS = """
import os, signal, sys
from pathlib import Path
from got_models.importing import convert
from got_models.importing.folders import find_folders

source, destination, *shares = sys.argv[1:]
convert.SHARD_BYTES = 20_000
for share in [float(share) for share in shares]:

    def kill(done, total):
        if done >= share * total:
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        convert.import_checkpoint(find_folders(Path(source)), Path(destination), on_progress=kill)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    files = len(list(Path(destination + ".part").rglob("*.safetensors")))
    print(os.WTERMSIG(status), files, os.path.exists(destination))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills child processes, which needs fork")
def test_killed_at_random_points_and_run_again_the_import_completes(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shares = sorted(random.uniform(0.05, 0.99) for _ in range(4))
    out = tmp_path / "killed/out"
    arguments = [str(published), str(out), *map(str, shares)]
    runs = subprocess.run(
        [sys.executable, "-c", KILLED_RUNS, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert runs.returncode == 0, runs.stderr
    ends = [line.split() for line in runs.stdout.splitlines()]
    counts = [int(files) for _, files, _ in ends]
    assert [(code, exists) for code, _, exists in ends] == [("9", "False")] * 4, (shares, runs.stderr)
    assert counts == sorted(counts) and counts[-1] > 0, shares

    monkeypatch.setattr(convert, "SHARD_BYTES", 20_000)
    before = weights_in(out.with_name("out.part"))
    import_checkpoint(find_folders(published), out)
    written_again = before.items() - weights_in(out).items()
    assert len(written_again) <= 1  # the one that was finished, but not yet noted, when the last kill came
    import_checkpoint(find_folders(published), tmp_path / "straight")
    assert checksums(out) == checksums(tmp_path / "straight"), shares
    assert os.listdir(out.parent) == ["out"]


# Memory


MEASURED_RUN = """
import json, sys
from pathlib import Path
from got_models.importing.convert import import_checkpoint
from got_models.importing.folders import find_folders

def peak():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

peaks = []
import_checkpoint(
    find_folders(Path(sys.argv[1])), Path(sys.argv[2]), on_progress=lambda done, total: peaks.append(peak())
)
print(json.dumps([peaks[0], peak()]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads the peak from Linux's /proc")
def test_weights_stream_so_that_the_peak_grows_by_one_shard_and_not_by_all(
    published: Path, tmp_path: Path
) -> None:
    """300 MB in eight shards. The kernel's own peak of the process (VmHWM), which mapped pages count into."""
    source = Path(shutil.copytree(published, tmp_path / "pretrained"))
    larger = {"intermediate_size": 7600, "hidden_size": 512, "num_attention_heads": 32}
    larger |= {"num_hidden_layers": 6, "vocab_size": ROWS}
    config = (
        QWEN_CONFIG | larger | {"vision_config": {**QWEN_CONFIG["vision_config"], "out_hidden_size": 512}}
    )
    change_json(source / "Qwen2.5-VL-3B-Instruct/config.json", **config)
    with torch.device("meta"):
        mllm = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(**copy.deepcopy(config)))
    state = {f"mllm.{key}": torch.zeros(value.shape) for key, value in mllm.state_dict().items()}
    rest = {key: value for key, value in trained()[0].items() if not key.startswith("mllm.")}
    for key in [key for key in rest if key.startswith("output_projector") and key.endswith("weight")]:
        rest[key] = torch.zeros(rest[key].shape[0], 512)
    shutil.rmtree(source / "GoT-6B")
    write_weights(source / "GoT-6B", state | rest, ".bin", 8)
    del state
    sizes = [file.stat().st_size for file in (source / "GoT-6B").glob("*.bin")]
    assert sum(sizes) > 280_000_000

    run = subprocess.run(
        [sys.executable, "-c", MEASURED_RUN, str(source), str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    before, peak = json.loads(run.stdout)
    print(f"peak {peak / 1e6:.0f} MB, {(peak - before) / 1e6:.0f} MB above the first tensor's,", end=" ")
    print(f"{max(sizes) / 1e6:.0f} MB in the largest of {sum(sizes) / 1e6:.0f} MB")
    assert peak - before < max(sizes) + 60_000_000
    assert peak < max(sizes) + 2_000_000_000


# Writing


def test_a_streamed_file_is_what_safetensors_reads(tmp_path: Path) -> None:
    tensors = {
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 4),
        "turned": torch.arange(12.0).reshape(3, 4).T,
        "long name " * 9: torch.randn(5, dtype=torch.float64),
    }
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    file = tmp_path / "folder/weights.safetensors"
    digest = write_safetensors(file, shapes, torch.float16, tensors.items())
    assert digest == hashlib.sha256(file.read_bytes()).hexdigest()
    received = load_file(file)
    assert received.keys() == tensors.keys()
    assert all(torch.equal(received[name], tensor.half()) for name, tensor in tensors.items())
    with safe_open(str(file), framework="pt") as opened:
        assert opened.metadata() == {"format": "pt"}  # without which transformers refuses it


def test_a_file_longer_than_one_piece_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("got_models.importing.writing.PIECE", 7)
    tensor = torch.randn(5, 6)
    write_safetensors(tmp_path / "a.safetensors", {"a": (5, 6)}, torch.float32, [("a", tensor)])
    assert torch.equal(load_file(tmp_path / "a.safetensors")["a"], tensor)


def test_an_error_while_writing_leaves_no_file_and_the_old_one_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    file.write_text("old")

    def tensors() -> Iterator[tuple[str, torch.Tensor]]:
        yield "a", torch.ones(2)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        write_safetensors(file, {"a": (2,), "b": (2,)}, torch.float32, tensors())
    assert os.listdir(tmp_path) == ["a.safetensors"]
    assert file.read_text() == "old"
