"""GenEval's metadata as it is read, and what its wishes mean for plans and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from got_models.chain.chain import Box
from got_models.errors import GoTError
from got_models.evaluation.figures import figures, table
from got_models.evaluation.prompts import Prompt, Wanted, prompt_of, read_prompts
from got_models.evaluation.rules import is_called, met
from got_models.evaluation.twenty_prompts import TWENTY

LEFT, RIGHT, TOP, LOW = (
    Box(0, 400, 200, 600),
    Box(700, 400, 900, 600),
    Box(400, 0, 600, 200),
    Box(400, 700, 600, 900),
)
POSITION = {
    "tag": "position",
    "include": [{"class": "bench", "count": 1}, {"class": "dog", "count": 1, "position": ["right of", 0]}],
    "prompt": "a photo of a dog right of a bench",
}
COUNTING = {
    "tag": "counting",
    "include": [{"class": "traffic light", "count": 2}],
    "exclude": [{"class": "traffic light", "count": 3}],
    "prompt": "a photo of two traffic lights",
}


GENEVAL = """\
{"tag": "single_object", "include": [{"class": "kite", "count": 1}], "prompt": "a photo of a kite"}
{"tag": "two_object", "include": [{"class": "knife", "count": 1}, {"class": "cell phone", "count": 1}], "prompt": "a photo of a knife and a cell phone"}
{"tag": "counting", "include": [{"class": "bench", "count": 3}], "exclude": [{"class": "bench", "count": 4}], "prompt": "a photo of three benchs"}
{"tag": "colors", "include": [{"class": "orange", "count": 1, "color": "purple"}], "prompt": "a photo of a purple orange"}
{"tag": "position", "include": [{"class": "tv", "count": 1}, {"class": "sheep", "count": 1, "position": ["below", 0]}], "prompt": "a photo of a sheep below a tv"}
{"tag": "color_attr", "include": [{"class": "bed", "count": 1, "color": "pink"}, {"class": "hair drier", "count": 1, "color": "black"}], "prompt": "a photo of a pink bed and a black hair drier"}
"""  # noqa: E501
"""One row of each class of tasks, in the very form of GenEval's evaluation_metadata.jsonl."""


def lines(tmp_path: Path, *texts: str) -> Path:
    file = tmp_path / "prompts.jsonl"
    file.write_text("\n".join(texts))
    return file


def test_a_file_is_read_line_by_line(tmp_path: Path) -> None:
    prompts = read_prompts(lines(tmp_path, json.dumps(POSITION), "", '{"prompt": "a cat"}'))
    assert [prompt.tag for prompt in prompts] == ["position", "prompts"]
    assert prompts[0].include == (Wanted("bench"), Wanted("dog", position=("right of", 0)))
    assert prompts[1].include == () and prompts[0].metadata == POSITION


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "expected a JSON object"),
        ("[" * 100_000, "expected a JSON object"),
        ("[]", 'with a "prompt"'),
        ('{"prompt": 3}', 'with a "prompt"'),
        ('{"prompt": "x", "include": 3}', '"include" is a list'),
        ('{"prompt": "x", "include": [{"count": 1}]}', 'with a "class"'),
        ('{"prompt": "x", "include": [{"class": "!!"}]}', 'with a "class"'),
        ('{"prompt": "x", "include": [{"class": "a", "color": "?"}]}', '"color" is a word'),
        ('{"prompt": "x", "include": [{"class": "a", "count": 0}]}', '"count" is a whole number'),
        ('{"prompt": "x", "include": [{"class": "a", "count": 1e99}]}', '"count" is a whole number'),
        ('{"prompt": "x", "include": [{"class": "a", "color": 3}]}', '"color" is a word'),
        ('{"prompt": "x", "include": [{"class": "a", "position": ["near", 0]}]}', '"position" is one of'),
        ('{"prompt": "x", "include": [{"class": "a", "position": ["above", 7]}]}', "refers to entry 7 of 1"),
        ('{"prompt": "x", "tag": ""}', '"tag" is a short name'),
        ('{"prompt": "x", "tag": "\\ud800"}', '"tag" is a short name'),
        ('{"prompt": "x", "tag": "a\\nb"}', '"tag" is a short name'),
        ('{"prompt": ""}', "rompt"),
    ],
)
def test_a_line_that_is_no_prompt_is_named(line: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(GoTError, match="line 2: ") as error:
        read_prompts(lines(tmp_path, '{"prompt": "a cat"}', line))
    assert message in str(error.value)


def test_rows_in_genevals_own_form_are_read_and_their_metadata_kept(tmp_path: Path) -> None:
    prompts = read_prompts(lines(tmp_path, GENEVAL))
    tags = ["single_object", "two_object", "counting", "colors", "position", "color_attr"]
    assert [prompt.tag for prompt in prompts] == tags
    assert [json.dumps(prompt.metadata) for prompt in prompts] == GENEVAL.splitlines()
    assert prompts[2].include == (Wanted("bench", 3),) and prompts[2].exclude == (Wanted("bench", 4),)
    assert prompts[4].include[1].position == ("below", 0)
    shown = [
        [("a kite", TOP)],
        [("a knife", LEFT), ("a cell phone", RIGHT)],
        [("three benchs", LEFT)] * 3,
        [("a purple orange", LEFT)],
        [("a tv", TOP), ("a sheep", LOW)],
        [("a pink bed", LEFT), ("a black hair drier", RIGHT)],
    ]
    assert [met(*pair).all for pair in zip(prompts, shown, strict=True)] == [True] * 6
    assert not any(met(prompt, things[1:]).all for prompt, things in zip(prompts, shown, strict=True))


def test_what_a_row_leaves_out_stands_in_its_metadata_because_genevals_evaluation_needs_it() -> None:
    cat = prompt_of({"prompt": "a cat", "include": [{"class": "cat"}], "exclude": [{"class": "dog"}]})
    assert cat.metadata == {
        "tag": "prompts",
        "include": [{"class": "cat", "count": 1}],
        "exclude": [{"class": "dog", "count": 1}],
        "prompt": "a cat",
    }


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GoTError, match="holds 0 prompts"):
        read_prompts(lines(tmp_path, ""))


def test_a_phrase_names_a_thing_in_the_singular_and_in_the_plural() -> None:
    assert is_called("two red Traffic Lights", "traffic light")
    assert not is_called("a light in the traffic", "traffic light") and not is_called("a doghouse", "dog")


@pytest.mark.parametrize("written", ["four benchs", "four benches", "four benchses"])
def test_a_plural_may_be_genevals_own_which_always_ends_in_s(written: str) -> None:
    assert is_called(written, "bench") is (written != "four benchses")


def test_positions_are_read_from_the_boxes() -> None:
    prompt = prompt_of(POSITION)
    assert met(prompt, [("a bench", LEFT), ("a brown dog", RIGHT)]).positions is True
    assert met(prompt, [("a bench", RIGHT), ("a dog", LEFT)]).positions is False
    assert met(prompt, [("a bench", LEFT), ("a dog", Box(10, 400, 210, 600))]).positions is False
    assert met(prompt, [("a dog", RIGHT)]).all is False


def test_a_thing_stands_on_a_side_only_where_it_is_mostly_there() -> None:
    """As in GenEval: what is left after a tenth of both sizes is more than half of the way between them."""
    include = [{"class": "cat"}, {"class": "dog", "position": ["left of", 0]}]
    prompt = prompt_of({"prompt": "x", "include": include})
    for box, expected in ((Box(250, 400, 350, 500), True), (Box(250, 50, 350, 150), False)):
        cat, dog = ("a cat", Box(450, 450, 550, 550)), ("a dog", box)
        assert met(prompt, [cat, dog]).positions is expected, box
    below = Box(300, 800, 400, 900)  # 150 to the left and 350 below
    assert met(prompt, [("a cat", Box(450, 450, 550, 550)), ("a dog", below)]).positions is False


@pytest.mark.parametrize(("relation", "expected"), [("above", True), ("below", False), ("left of", False)])
def test_every_relation_has_its_side(relation: str, expected: bool) -> None:
    include = [{"class": "cat"}, {"class": "dog", "position": [relation, 0]}]
    prompt = prompt_of({"prompt": "x", "include": include})
    assert met(prompt, [("a cat", LOW), ("a dog", TOP)]).positions is expected


def test_there_may_be_neither_too_few_nor_too_many() -> None:
    prompt = prompt_of(COUNTING)
    light = ("a traffic light", LEFT)
    assert [met(prompt, [light] * count).counts for count in (1, 2, 3)] == [False, True, False]


def test_colours_belong_to_their_things() -> None:
    include = [{"class": "car", "color": "blue"}, {"class": "dog", "color": "red"}]
    prompt = prompt_of({"prompt": "x", "include": include})
    assert met(prompt, [("a blue car", LEFT), ("a red dog", RIGHT)]).all is True
    assert met(prompt, [("a red car", LEFT), ("a blue dog", RIGHT)]).colors is False


def test_a_prompt_without_wishes_is_neither_met_nor_missed() -> None:
    assert met(prompt_of({"prompt": "a cat"}), []).all is None


def test_rates_are_by_tag_and_the_overall_one_is_their_mean() -> None:
    def row(tag: str, plan: Any, picture: Any) -> dict[str, Any]:
        return {"tag": tag, "plan": plan, "picture": picture, "obeyed": None}

    found = figures([row("one_object", True, False), row("one_object", True, None), row("two", False, True)])
    assert found["one_object"]["plan"] == {"value": 1.0, "count": 2}
    assert found["overall"]["plan"] == {"value": 0.5, "count": 3}
    assert found["overall"]["obeyed"]["value"] is None
    assert "| one_object | 1.000 of 2 | 0.000 of 1 | - |" in table(found)


def test_the_twenty_prompts_are_twenty_different_ones_that_ask_for_something() -> None:
    assert len({prompt.prompt for prompt in TWENTY}) == 20
    assert all(isinstance(prompt, Prompt) and prompt.include for prompt in TWENTY)
