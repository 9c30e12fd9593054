"""A training's config: presets, units in names, and no key or value that is quietly ignored."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from got_models.errors import GoTError
from got_models.training.config import PRESETS, LoraTraining, differences, make_config, read_config

PLACES = {"checkpoint": "c", "dataset": "d", "out": "o"}


def test_the_defaults_are_the_papers() -> None:
    config = make_config(PLACES)
    assert (config.mllm.rank, config.mllm.alpha, config.mllm.dropout) == (32, 32.0, 0.05)
    assert (config.adam_beta1, config.adam_beta2, config.adam_epsilon) == (0.9, 0.98, 1e-6)
    assert (config.weight_decay, config.noise_offset, config.conditioning_dropout) == (0.05, 0.1, 0.05)
    assert (config.chain_weight, config.diffusion_weight, config.largest_timestep_weight) == (1.0, 1.0, 1.0)


def test_the_papers_preset_is_its_fine_tuning() -> None:
    config = make_config(PLACES | {"preset": "paper"})
    assert config.steps == 10_000 and config.warmup_steps == 200
    assert config.batch_rows * config.batches_per_step == 128
    assert config.mllm.learning_rate == config.unet.learning_rate == 5e-5
    assert config.unet.train == "full"


@pytest.mark.parametrize("preset", PRESETS)
def test_keys_lie_over_the_preset_and_the_preset_over_the_defaults(preset: str) -> None:
    places = PLACES
    if preset.startswith("distill"):
        places = {"checkpoint": "c", "prompts": "p", "out": "o"}
    plain = make_config(places | {"preset": preset})
    changed = make_config(places | {"preset": preset, "unet": {"alpha": 8}, "steps": 7})
    assert differences(asdict(plain), asdict(changed)) == [
        f"steps: {plain.steps} -> 7",
        f"unet.alpha: {plain.unet.alpha} -> 8.0",
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"step": 5}, "Unknown key step: did you mean steps"),
        ({"unet": {"learning_rat": 1.0}}, "Unknown key unet.learning_rat: did you mean unet.learning_rate"),
        ({"zzz": 5}, "known are checkpoint"),
        ({3: 5}, "Unknown key 3"),
        ({"preset": "lora-8gb"}, "no preset 'lora-8gb': expected one of lora-12gb, lora-24gb, paper"),
        ({"steps": 0}, "from 1 to 1000000000, got 0"),
        ({"steps": 1.5}, "steps must be a whole number, got 1.5"),
        ({"steps": True}, "steps must be a whole number, got True"),
        ({"weight_decay": True}, "weight_decay must be a number"),
        ({"weight_decay": "much"}, "weight_decay must be a number, got 'much'"),
        ({"weight_decay": ".nan"}, "weight_decay"),
        ({"weight_decay": float("nan")}, "weight_decay must be a number"),
        ({"conditioning_dropout": 1.0}, "conditioning_dropout must be a number from 0"),
        ({"unet": 5}, "unet must hold keys of its own"),
        ({"unet": {"train": "yes"}}, "unet.train must be one of lora, full, frozen, got 'yes'"),
        ({"precision": "float16"}, "precision must be one of float32, bfloat16"),
        ({"optimizer": "adam"}, "optimizer must be one of adamw, adamw-8bit, got 'adam'"),
        ({"validation_steps": 0}, "validation_steps must be a number from 1"),
        ({"validation_rows": -1}, "validation_rows must be a number from 0"),
        ({"resolution_px": 100}, "multiple of 8 from 64 to 2048"),
        ({"mllm": {"new_words": "teal"}}, "mllm.new_words must hold words, each with the known words"),
        ({"mllm": {"new_words": {"teal": None}}}, "such as 'teal: blue green'"),
        ({"mllm": {"new_words": {True: "blue"}}}, "must hold words"),
        ({"mllm": {"new_words": {" ": "blue"}}}, "must hold words"),
        ({"dataset": None}, "lacks dataset"),
    ],
)
def test_what_is_not_allowed_is_refused_by_name(values: dict, message: str) -> None:
    with pytest.raises(GoTError, match=message):
        make_config(PLACES | values)


def test_a_file_is_read_with_paths_from_its_own_folder_and_numbers_as_people_write_them(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("checkpoint: base\ndataset: /data\nout: runs/one\nmllm:\n  learning_rate: 1e-4\n")
    config = read_config(file)
    assert config.mllm.learning_rate == 1e-4
    assert (config.checkpoint, config.dataset) == (str(tmp_path / "base"), "/data")
    assert config.out == str(tmp_path / "runs" / "one")
    assert config.cache == ""


@pytest.mark.parametrize("content", ["- a", "a: [", "", "\x00", "!!python/object/apply:os.getcwd []"])
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(content)
    with pytest.raises(GoTError, match=r"mine\.yaml"):
        read_config(file)
    with pytest.raises(GoTError, match="cannot be read"):
        read_config(tmp_path / "none.yaml")


def test_the_example_in_the_documentation_is_a_config() -> None:
    text = (Path(__file__).parents[3] / "docs" / "lora.md").read_text(encoding="utf-8")
    import yaml

    example = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    assert isinstance(make_config(example), LoraTraining)


def test_a_training_in_which_nothing_would_learn_is_refused() -> None:
    still = {"mllm": {"learning_rate": 0}, "unet": {"train": "frozen"}, "projectors_learning_rate": 0}
    with pytest.raises(GoTError, match="Every learning rate is 0"):
        make_config(PLACES | still)
    words = still | {"mllm": {"learning_rate": 0, "new_words": {"teal": "blue green"}}}
    for learning in ({"unet": {"learning_rate": 0.1}}, {"projectors_learning_rate": 0.1}, words):
        make_config(PLACES | still | learning)


def test_validation_needs_rows_and_a_rhythm() -> None:
    config = make_config(PLACES | {"validation_rows": 3, "validate_every_steps": 10})
    assert (config.validation_rows, config.validate_every_steps, config.validation_steps) == (3, 10, 20)
    for half in ({"validation_rows": 3}, {"validate_every_steps": 10}):
        with pytest.raises(GoTError, match="validation_rows and validate_every_steps go together"):
            make_config(PLACES | half)
