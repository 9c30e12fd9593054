"""The chain nodes: what a person changed is kept or left as asked, and what cannot be used is said."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from got_pack.got_models.chain.chain import Box, ReasoningChain
from got_pack.got_models.chain.notations import WRITTEN
from got_pack.got_models.commands.outputs import Drawing
from got_pack.got_models.errors import GoTError, printable
from got_pack.nodes import _png
from got_pack.nodes._plans import plans_ui, translations
from got_pack.nodes._png import prepare, store_chain
from got_pack.nodes.chain import (
    KEEP_MINE,
    TAKE_NEW,
    GoTChainFromImage,
    GoTChainFromText,
    GoTChainToMasks,
    GoTEditChain,
)
from got_pack.nodes.conversation import GoTConverse
from got_pack.nodes.notations import GoTChainFromBoxes, GoTChainToJSON
from got_pack.nodes.reasoning import GoTReason
from PIL import Image
from PIL.PngImagePlugin import PngInfo

TEXT = "A red circle (100,200),(400,500) and a blue square (600,600),(900,900)."
UPSTREAM = ReasoningChain.parse(TEXT, "generate", "a red circle and a blue square")
MINE = UPSTREAM.move_box(0, Box(0, 0, 300, 300))
NEWER = ReasoningChain.parse("A star (1,2),(300,400).", "generate", "a star")


def edited(chain: ReasoningChain = MINE, upstream: ReasoningChain = UPSTREAM) -> str:
    return json.dumps({"upstream": upstream.text, "chain": chain.to_json()})


def edit(chain: ReasoningChain | None, text: str, choice: str = KEEP_MINE) -> ReasoningChain:
    result: ReasoningChain = GoTEditChain().edit(text, choice, chain)["result"][0]
    return result


@pytest.mark.parametrize("text", ["", " \n"])
def test_without_changes_the_chain_passes_through(text: str) -> None:
    assert edit(UPSTREAM, text) == UPSTREAM


def test_masks_that_no_memory_holds_are_refused() -> None:
    many = ReasoningChain.parse("A star (1,2),(300,400) " * 5, "generate", "stars")
    with pytest.raises(GoTError, match=r"5 masks of 16384 x 16384 pixels take 5\.0 GiB"):
        GoTChainToMasks().convert(many, 16384, 16384)


@pytest.mark.parametrize("choice", [KEEP_MINE, TAKE_NEW])
def test_my_changes_count_while_the_incoming_chain_is_the_one_i_changed(choice: str) -> None:
    assert edit(UPSTREAM, edited(), choice) == MINE


def test_when_the_incoming_chain_is_another_the_choice_decides() -> None:
    assert edit(NEWER, edited(), KEEP_MINE) == MINE
    assert edit(NEWER, edited(), TAKE_NEW) == NEWER


def test_the_edit_node_gives_the_text_a_layout_and_what_its_editor_shows() -> None:
    answer = GoTEditChain().edit(edited(), KEEP_MINE, UPSTREAM)
    chain, text, layout, _ = answer["result"]
    assert text == chain.text
    assert layout.ndim == 4
    assert 0 <= layout.min() < layout.max() <= 1
    assert json.loads(json.dumps(answer["ui"])) == {
        "text": [MINE.text],
        "upstream_chain": [UPSTREAM.to_json()],
        "chain": [MINE.to_json()],
    }


def test_locked_boxes_leave_the_edit_node_alone_and_only_while_my_version_counts() -> None:
    locked = json.dumps({**json.loads(edited()), "locked": ["green", "gold"]})

    def held(chain: ReasoningChain, text: str, choice: str = KEEP_MINE) -> list[tuple[str, Box]]:
        only = GoTEditChain().edit(text, choice, chain)["result"][3]
        return [(region.phrase, region.box) for region in only.regions]

    square = MINE.regions[1]
    assert held(UPSTREAM, locked) == [(square.phrase, square.box)]
    assert held(UPSTREAM, edited()) == held(NEWER, locked, TAKE_NEW) == []


def test_a_plan_made_anew_around_what_is_locked_counts_with_the_same_boxes_locked() -> None:
    replan = json.dumps({**json.loads(edited()), "locked": ["green"], "replan": True})
    square = MINE.regions[1]
    anew = ReasoningChain.parse(
        f"{NEWER.text} Below it is a blue square (600,600),(900,900).", "generate", "a star"
    )
    assert edit(UPSTREAM, replan) == MINE, "until then my version counts"
    chosen, _, _, locked = GoTEditChain().edit(replan, KEEP_MINE, anew)["result"]
    assert chosen == anew
    assert [(region.phrase, region.box) for region in locked.regions] == [(square.phrase, square.box)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps({**json.loads(edited()), "locked": "red"}), "must list the colours"),
        ("nonsense", "not readable as JSON"),
        ("[" * 100_000, "not readable as JSON"),
        ("[]", '"upstream"'),
        (json.dumps({"chain": MINE.to_json()}), '"upstream"'),
        (json.dumps({"upstream": UPSTREAM.text}), "must be an object"),
        (json.dumps({"upstream": UPSTREAM.text, "chain": {**MINE.to_json(), "regions": []}}), "do not agree"),
        (
            json.dumps({"upstream": UPSTREAM.text, "chain": {**MINE.to_json(), "text": "A (5,5),(1,1)"}}),
            "swapped",
        ),
    ],
)
def test_an_edited_chain_that_is_nonsense_is_refused_with_a_remedy(text: str, message: str) -> None:
    with pytest.raises(GoTError, match=message) as error:
        edit(UPSTREAM, text)
    assert "empty it to start again" in str(error.value)


def own(text: str, prompt: str = "") -> ReasoningChain:
    return ReasoningChain.parse(text, "generate", prompt)


def nothing_before(chain: ReasoningChain) -> str:
    return json.dumps({"upstream": "", "chain": chain.to_json()})


@pytest.mark.parametrize("choice", [KEEP_MINE, TAKE_NEW])
def test_with_nothing_connected_the_plan_is_the_one_in_the_editor(choice: str) -> None:
    plan = own(
        "A cat (1,2),(300,400) sits on <|obj_start|>a red sofa<|obj_end|> (0,300),(900,900).",
        "a cat, sitting",
    )
    assert edit(None, nothing_before(plan), choice) == plan
    assert edit(None, edited(), choice) == MINE, "also one whose first version is no longer connected"
    answer = GoTEditChain().edit(nothing_before(plan), choice)
    assert "upstream_chain" not in answer["ui"]


def test_a_plan_without_a_prompt_has_its_own_words_as_one() -> None:
    plan = own("A cat (1,2),(300,400) sits  on\n<|obj_start|>a sofa, red<|obj_end|> (0,300),(900,900).")
    chosen = edit(None, nothing_before(plan))
    assert chosen.prompt == "A cat sits on a sofa, red."
    assert chosen.text == plan.text


@pytest.mark.parametrize("text", ["", nothing_before(own(" \n"))])
def test_nothing_at_all_is_no_plan(text: str) -> None:
    with pytest.raises(GoTError, match=r"no plan yet|is empty"):
        edit(None, text)


def test_an_emptied_plan_is_not_drawn() -> None:
    with pytest.raises(GoTError, match="bring the incoming plan back"):
        edit(UPSTREAM, edited(own("")))


def test_a_chain_edited_for_another_task_is_not_kept_silently() -> None:
    other = ReasoningChain.parse(TEXT, "edit", "x")
    with pytest.raises(GoTError, match="made to generate, but the incoming one is to edit"):
        edit(other, edited())


def test_a_chain_typed_in_is_read_strictly() -> None:
    (chain,) = GoTChainFromText().parse("generate", "a circle", "A circle (100,200),(400,500).")["result"]
    assert chain.regions[0].box == Box(100, 200, 400, 500)
    with pytest.raises(GoTError, match=r"0 to 999.*character 9"):
        GoTChainFromText().parse("generate", "a circle", "A circle (100,200),(400,5000).")
    with pytest.raises(GoTError, match="text is empty"):
        GoTChainFromText().parse("generate", "a circle", " ")
    with pytest.raises(GoTError, match="prompt is empty"):
        GoTChainFromText().parse("generate", "", TEXT)


def test_what_looks_like_coordinates_in_my_text_is_told_on_the_node() -> None:
    answer = GoTChainFromText().parse("generate", "a circle", "A circle at x1=100, y1=200")
    text, no_box, warning = answer["ui"]["text"][0].split("\nWarning: ")
    assert warning.startswith("'x1=100, y1=200' looks like coordinates")
    (plan,) = answer["ui"]["plans"]
    assert (plan["text"], plan["notes"][1]) == (text, {"en": warning})
    assert plan["notes"][0] == {"en": no_box, "zh": translations("zh")["no_box"]}
    assert answer["result"][0].regions == ()


def test_a_plan_is_shown_in_a_form_that_can_be_sent_and_logged() -> None:
    chain = ReasoningChain.read("A \x1b star (1,2),(300,400) and \udcff <|box_end|>.", "generate", "a star")
    ui = plans_ui((chain, []), (MINE, []))
    json.dumps(ui, ensure_ascii=False).encode()
    assert [plan["text"] for plan in ui["plans"]] == [printable(chain.text), MINE.text]
    assert "\x1b" not in ui["text"][0]


@pytest.mark.parametrize("node", [GoTReason, GoTChainFromText, GoTChainFromImage, GoTConverse])
def test_a_run_shows_the_plan_also_where_it_comes_from_the_cache(node: Any) -> None:
    assert node.OUTPUT_NODE, "ComfyUI repeats what a cached node has shown for output nodes only"


def test_masks_and_boxes_are_where_the_chain_says() -> None:
    masks, boxes, phrases, layout, _ = GoTChainToMasks().convert(UPSTREAM, 200, 100)["result"]
    assert masks.shape == (2, 100, 200)
    places = [[box["x"], box["y"], box["width"], box["height"]] for box in boxes[0]]
    assert places == [[20, 20, 60, 30], [120, 60, 60, 30]]
    assert [box["metadata"] for box in boxes[0]] == [
        {"type": "obj", "text": "", "desc": "A red circle", "palette": ["#FF0000"]},
        {"type": "obj", "text": "", "desc": "a blue square", "palette": ["#008000"]},
    ]
    assert masks[0, 20:50, 20:80].min() == 1
    assert masks[0].sum() == 60 * 30
    assert phrases == ["A red circle", "a blue square"]
    assert layout.shape[2] == 2 * layout.shape[1]


def test_a_chain_without_boxes_gives_one_empty_mask_and_phrase() -> None:
    plain = ReasoningChain.parse("Just mist.", "generate", "mist")
    masks, boxes, phrases, *_ = GoTChainToMasks().convert(plain, 64, 64)["result"]
    assert masks.shape == (1, 64, 64)
    assert masks.sum() == 0
    assert (boxes, phrases) == ([[]], [""])


# The chain in a PNG


@pytest.fixture
def input_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ComfyUI's input folder: without ComfyUI, the one in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "input").mkdir()
    return tmp_path / "input"


def save_like_comfyui(path: Path, extra_pnginfo: dict[str, Any]) -> None:
    information = PngInfo()
    for key, value in extra_pnginfo.items():
        information.add_text(key, json.dumps(value))
    Image.new("RGB", (8, 8)).save(path, pnginfo=information)


def test_the_chain_travels_in_a_picture_that_comfyui_saved(input_folder: Path) -> None:
    information = queued(workflow())
    store_chain(MINE, information, "2")
    save_like_comfyui(input_folder / "saved.png", information)
    assert GoTChainFromImage.INPUT_TYPES()["required"]["image"][0] == ["saved.png"]
    assert GoTChainFromImage.VALIDATE_INPUTS("saved.png") is True
    answer = GoTChainFromImage().read("saved.png")
    assert answer["result"] == (MINE, MINE.text)
    assert answer["ui"]["plans"] == [{"text": MINE.text, "notes": []}]


def test_the_chain_travels_in_a_picture_of_the_command_line(input_folder: Path) -> None:
    files = Drawing(MINE, Image.new("RGB", (8, 8)), {}).files()
    (input_folder / "image.png").write_bytes(files["image.png"])
    assert GoTChainFromImage().read("image.png")["result"][0] == MINE


def test_the_chain_is_read_beside_texts_of_any_size(input_folder: Path) -> None:
    information = PngInfo()
    information.add_text("workflow", "a" * 3_000_000, zip=True)
    information.add_text("got_chain", json.dumps(MINE.to_json()), zip=True)
    Image.new("RGB", (8, 8)).save(input_folder / "large.png", pnginfo=information)
    assert GoTChainFromImage().read("large.png")["result"][0] == MINE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "not readable"),
        ("a" * 2_000_000, "more than 1000000 bytes"),
        ("\udcff", "cannot open"),
    ],
)
def test_a_chain_that_cannot_be_read_is_refused(input_folder: Path, text: str, message: str) -> None:
    information = PngInfo()
    information.add(b"iTXt", b"got_chain\0\0\0\0\0" + text.encode("utf-8", "surrogatepass"))
    Image.new("RGB", (8, 8)).save(input_folder / "odd.png", pnginfo=information)
    with pytest.raises(GoTError, match=message):
        GoTChainFromImage().read("odd.png")


def test_another_picture_under_the_same_name_is_noticed(input_folder: Path) -> None:
    save_like_comfyui(input_folder / "a.png", {"got_chain": MINE.to_json()})
    before = GoTChainFromImage.IS_CHANGED("a.png")
    assert GoTChainFromImage.IS_CHANGED("a.png") == before
    save_like_comfyui(input_folder / "a.png", {"got_chain": UPSTREAM.to_json()})
    assert GoTChainFromImage.IS_CHANGED("a.png") != before


def test_pictures_without_a_readable_chain_are_refused_by_name(input_folder: Path) -> None:
    save_like_comfyui(input_folder / "plain.png", {})
    save_like_comfyui(input_folder / "odd.png", {"got_chain": [1]})
    (input_folder / "text.png").write_text("no picture")
    with pytest.raises(GoTError, match=r"plain\.png holds no reasoning chain"):
        GoTChainFromImage().read("plain.png")
    with pytest.raises(GoTError, match="must be an object"):
        GoTChainFromImage().read("odd.png")
    with pytest.raises(GoTError, match=r"cannot open text\.png"):
        GoTChainFromImage().read("text.png")


@pytest.mark.parametrize("name", ["../secret.png", "missing.png", "/etc/passwd", "", "."])
def test_only_files_of_the_input_folder_are_read(input_folder: Path, name: str) -> None:
    (input_folder.parent / "secret.png").write_bytes(b"")
    assert "There is no file" in str(GoTChainFromImage.VALIDATE_INPUTS(name))
    with pytest.raises(GoTError, match="There is no file"):
        GoTChainFromImage().read(name)


# What a node that saves pictures finds in EXTRA_PNGINFO


def workflow(seed: Any = 1) -> dict[str, Any]:
    return {
        "1": {"class_type": "GoTReason", "inputs": {"prompt": "a circle", "seed": seed}},
        "2": {"class_type": "GoTSSGMEncode", "inputs": {"chain": ["1", 0], "width": 0}},
        "3": {"class_type": "KSampler", "inputs": {"positive": ["2", 1], "seed": 7}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}},
    }


def queued(prompt: Any, reader: str | None = "4") -> Any:
    """EXTRA_PNGINFO when ComfyUI has queued a prompt, as this node of it finds it."""
    return prepare({"prompt": prompt}, lambda: reader)["extra_data"]["extra_pnginfo"]


def remember_chain(chain: ReasoningChain, prompt: dict[str, Any], encoder: str) -> None:
    """As a run does in which the encoder is not cached."""
    store_chain(chain, queued(prompt), encoder)


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_png, "_remembered", {})


def test_a_cached_chain_is_put_in_again_while_everything_before_it_is_the_same() -> None:
    remember_chain(MINE, workflow(), "2")
    again = workflow()
    again["3"]["inputs"]["seed"] = 8
    assert dict(queued(again)) == {"got_chain": MINE.to_json()}
    assert dict(queued(workflow(seed=2))) == {}


def test_whole_numbers_are_the_same_whether_the_page_or_comfyui_wrote_them() -> None:
    remember_chain(MINE, workflow(seed=5.0), "2")
    assert dict(queued(workflow(seed=5))) == {"got_chain": MINE.to_json()}


def edits_in_a_row() -> dict[str, Any]:
    """A picture drawn from one plan and edited by another."""
    second = {"class_type": "GoTSSGMEncode", "inputs": {"chain": ["9", 0], "reference": ["3", 0]}}
    saved = {"class_type": "SaveImage", "inputs": {"images": ["0", 0]}}
    return {"0": second, "5": saved, **workflow()}


def test_of_plans_that_build_on_each_other_each_picture_carries_its_own() -> None:
    remember_chain(UPSTREAM, edits_in_a_row(), "2")
    remember_chain(MINE, edits_in_a_row(), "0")
    assert queued(edits_in_a_row(), "5")["got_chain"] == MINE.to_json()
    assert queued(edits_in_a_row(), "4")["got_chain"] == UPSTREAM.to_json()


def test_a_picture_carries_no_plan_rather_than_that_of_its_neighbour() -> None:
    beside = {**workflow(), "0": {"class_type": "GoTSSGMEncode", "inputs": {"chain": ["9", 0]}}}
    beside["6"] = {"class_type": "SaveImage", "inputs": {"images": ["8", 0]}}
    beside["7"] = {"class_type": "ImageBatch", "inputs": {"image1": ["3", 0], "image2": ["0", 3]}}
    information = queued(beside)
    store_chain(UPSTREAM, information, "2")
    store_chain(MINE, information, "0")
    assert information["got_chain"] == UPSTREAM.to_json()
    for reader in ("6", "7", "unknown", None):
        assert "got_chain" not in queued(beside, reader), reader


def test_of_a_list_of_plans_pictures_carry_none_also_from_the_cache() -> None:
    information = queued(workflow())
    for chain in (MINE, UPSTREAM, MINE):
        store_chain(chain, information, "2")
    assert "got_chain" not in information
    assert "got_chain" not in queued(workflow())
    same = queued(workflow(seed=3))
    for _ in range(3):
        store_chain(MINE, same, "2")
    assert same["got_chain"] == MINE.to_json()


def test_a_plan_made_anew_from_the_same_inputs_is_carried_and_the_cached_one_no_longer_known() -> None:
    """A file that the prompt only names has changed, and may be changed back."""
    remember_chain(UPSTREAM, workflow(), "2")
    information = queued(workflow())
    store_chain(MINE, information, "2")
    assert information["got_chain"] == MINE.to_json()
    assert "got_chain" not in queued(workflow())


def test_a_picture_that_was_mended_carries_the_plan_that_it_was_mended_to() -> None:
    mending = {"class_type": "GoTLookAgain", "inputs": {"image": ["3", 0], "chain": ["1", 0]}}
    saved = {"class_type": "SaveImage", "inputs": {"images": ["5", 0]}}
    information = queued({**workflow(), "5": mending, "6": saved}, "6")
    store_chain(UPSTREAM, information, "2")
    store_chain(MINE, information, "5")
    assert information["got_chain"] == MINE.to_json()


def test_a_run_that_was_queued_before_the_first_one_encoded_finds_its_plan() -> None:
    """Two pictures of one plan, queued at once: in the second run the encoder is cached."""
    first, second = queued(workflow()), queued(workflow())
    store_chain(MINE, first, "2")
    assert first["got_chain"] == second["got_chain"] == MINE.to_json()


def test_an_encoder_that_only_a_running_node_knows_of_leaves_nothing_certain() -> None:
    information = queued(workflow())
    store_chain(MINE, information, "2")
    store_chain(UPSTREAM, information, "3.0.1")
    assert "got_chain" not in information


def test_every_way_to_read_finds_the_same() -> None:
    given = {"workflow": {"nodes": []}, "got_chain": "of another picture"}
    request = {"prompt": workflow(), "extra_data": {"extra_pnginfo": given}}
    information = prepare(request, lambda: "4")["extra_data"]["extra_pnginfo"]
    assert json.loads(json.dumps(information)) == {"workflow": {"nodes": []}}
    store_chain(MINE, information, "2")
    seen = {"workflow": {"nodes": []}, "got_chain": MINE.to_json()}
    assert dict(information) == dict(information.items()) == {**information} == information.copy() == seen
    assert json.loads(json.dumps(information)) == seen
    assert list(information) == list(information.keys()) == list(seen)
    assert list(information.values()) == list(seen.values())
    assert (len(information), information.get("got_chain"), information.get("x", 1)) == (2, MINE.to_json(), 1)
    for kept in (copy.deepcopy(information), copy.copy(information), pickle.loads(pickle.dumps(information))):
        assert type(kept) is dict
        assert kept == seen


@pytest.mark.parametrize("prompt", [None, [], {"1": None}, {"1": {"class_type": "GoTSSGMEncode"}}, {"1": {}}])
def test_a_prompt_that_is_none_is_left_to_comfyui(prompt: Any) -> None:
    assert prepare({"prompt": prompt, "extra_data": {"extra_pnginfo": [1]}}, lambda: None)["prompt"] is prompt
    assert prepare({"prompt": prompt}, lambda: "1")["prompt"] is prompt


@pytest.mark.parametrize("value", [[], [{"strength": 1}, 0], [["a"], 0], ["a", "b", "c"]])
def test_a_widget_that_holds_a_list_is_no_link(value: list[Any]) -> None:
    prompt = workflow()
    prompt["1"]["inputs"]["odd"] = value
    remember_chain(MINE, prompt, "2")
    assert dict(queued(prompt)) == {"got_chain": MINE.to_json()}


def test_a_client_may_send_no_metadata_at_all() -> None:
    remember_chain(MINE, workflow(), "2")
    request = {"prompt": workflow(), "extra_data": {"extra_pnginfo": None}}
    answer = prepare(request, lambda: "4")
    assert dict(answer["extra_data"]["extra_pnginfo"]) == {"got_chain": MINE.to_json()}


def test_what_a_client_sent_stays_and_a_loop_or_missing_node_does_no_harm() -> None:
    loop = {"1": {"class_type": "A", "inputs": {"a": ["1", 0], "b": ["9", 0]}}}
    request = {"prompt": loop, "extra_data": {"extra_pnginfo": {"workflow": {"nodes": []}}}}
    answer = prepare(request, lambda: "1")
    assert answer["extra_data"] == {"extra_pnginfo": {"workflow": {"nodes": []}}}


# Plans in other notations

QWEN = '[{"bbox_2d": [100, 200, 400, 500], "label": "a red kite"}]'


def test_a_pasted_answer_is_read_and_the_node_says_what_it_assumed() -> None:
    answer = GoTChainFromText().parse("generate", "", f"Sure!\n```json\n{QWEN}\n```")
    (chain,) = answer["result"]
    assert [(region.phrase, region.box) for region in chain.regions] == [
        ("a red kite", Box(100, 200, 400, 500))
    ]
    assert chain.prompt == "There is a red kite."
    assert "Qwen2.5-VL" in answer["ui"]["text"][0] and "Sure!" in answer["ui"]["text"][0]


def test_boxes_in_pixels_ask_for_the_size_and_use_it() -> None:
    with pytest.raises(GoTError, match="width and height"):
        GoTChainFromText().parse("generate", "a kite", QWEN, "qwen2.5-vl")
    with pytest.raises(GoTError, match="both the width and the height"):
        GoTChainFromText().parse("generate", "a kite", QWEN, "qwen2.5-vl", 800)
    (chain,) = GoTChainFromText().parse("generate", "a kite", QWEN, "qwen2.5-vl", 800, 1000)["result"]
    assert chain.regions[0].box == Box(125, 200, 500, 500)


def test_what_detectors_find_becomes_a_plan() -> None:
    found = [[{"x": 10.0, "y": 20.0, "width": 50.0, "height": 30.0, "label": "dog", "score": 0.9}], []]
    answer = GoTChainFromBoxes().read(found, "edit", "make the dog blue", width=100, height=100)
    chain, text = answer["result"]
    assert [(region.phrase, region.box) for region in chain.regions] == [("dog", Box(100, 200, 600, 500))]
    assert (chain.task, chain.prompt, chain.text) == ("edit", "make the dog blue", text)
    assert "2 pictures" in answer["ui"]["text"][0]


def test_labels_name_boxes_that_have_no_words() -> None:
    boxes = [{"x": 0, "y": 0, "width": 50, "height": 50}, {"x": 50, "y": 0, "width": 50, "height": 50}]
    chain, _ = GoTChainFromBoxes().read(boxes, "generate", "", "a cat\n a dog \n", width=100, height=100)[
        "result"
    ]
    assert [region.phrase for region in chain.regions] == ["a cat", "a dog"]


@pytest.mark.parametrize("nothing", [[], [[]], {}, "nothing here", None])
def test_no_boxes_are_no_plan(nothing: Any) -> None:
    with pytest.raises(GoTError, match="boxes"):
        GoTChainFromBoxes().read(nothing, "generate", "")


@pytest.mark.parametrize("notation", WRITTEN)
def test_a_plan_leaves_in_every_notation_and_comes_back(notation: str) -> None:
    written = GoTChainToJSON().write(UPSTREAM, notation, 1000, 1000)
    caption, text, elements, background, boxes, phrases = written["result"]
    for left in (caption, text, elements, [boxes]):
        read = GoTChainFromBoxes().read(left, "generate", "", notation="auto", width=1000, height=1000)
        chain = read["result"][0]
        assert [(region.phrase, region.box) for region in chain.regions] == [
            (region.phrase, region.box) for region in UPSTREAM.regions
        ]
    assert phrases == ["A red circle", "a blue square"] == [box["metadata"]["desc"] for box in boxes]
    assert background == ""


def test_the_background_of_a_caption_names_no_subject() -> None:
    text = (
        "On a white background there is a cat (1,2),(300,400). It rains. A dog (5,1),(900,300) sits in a den."
    )
    chain = ReasoningChain.parse(text, "generate", "a cat and a dog")
    caption = json.loads(GoTChainToJSON().write(chain, "ideogram", 512, 512)["result"][0])
    layout = caption["compositional_deconstruction"]
    assert layout["background"] == "On a white background. It rains. In a den."
    assert [list(element) for element in layout["elements"]] == [
        ["type", "bbox", "desc", "color_palette"]
    ] * 2


def test_a_plan_without_boxes_gives_the_whole_picture_once() -> None:
    plain = ReasoningChain.parse("Just mist.", "generate", "mist")
    *_, elements, background, boxes, phrases = GoTChainToJSON().write(plain, "ideogram", 64, 32)["result"]
    assert (elements, background, phrases) == ([], "Just mist.", [""])
    assert boxes == [{"x": 0, "y": 0, "width": 64, "height": 32}]
