"""GoT Review Dataset: what the page is told of a folder, and what becomes of what it decides."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor, wait
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from got_pack.got_models.annotation.output import LOCK_FILE, REVIEW_FILE, append
from got_pack.got_models.chain.chain import ReasoningChain
from got_pack.got_models.errors import GoTError
from got_pack.got_models.files.exclusive_lock import exclusive_lock
from got_pack.nodes import _review
from got_pack.nodes._review import decided, opened, picture
from got_pack.nodes.annotating import GoTAnnotate
from got_pack.nodes.reviewing import GoTReviewDataset
from PIL import Image

CHAIN = "A red cup (100,200),(500,900) stands on a table."


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """input/mine in the working directory: two doubtful rows, and two lines of data for one pair."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "input" / "mine"
    folder.mkdir(parents=True)
    for name in ("a.png", "b.png", "c.png"):
        Image.new("RGB", (64, 32), "red").save(folder / name)
    for name in ("a.png", "b.png"):
        row = {"image": name, "prompts": ["a red cup"], "chain": CHAIN, "reasons": ["because"]}
        append(folder / REVIEW_FILE, [row])
    pair = {"image": "c.png", "source": "a.png", "chain": CHAIN}
    append(folder / "data.jsonl", [{**pair, "prompt": prompt} for prompt in ("do it", "do so")])
    return folder


def ask(rows: str = "doubtful", skip: int = 0, folder: Any = "mine") -> dict[str, Any]:
    return opened(json.dumps({"folder": folder, "rows": rows, "skip": skip}).encode())


def decide(row: dict[str, Any], decision: str, rows: str = "doubtful", **said: Any) -> dict[str, Any]:
    question = {"folder": "mine", "rows": rows, "row": row["row"], "decision": decision} | said
    return decided(json.dumps(question).encode())


def data(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "data.jsonl").read_text().splitlines()]


def test_the_page_is_told_the_rows_with_their_chains_and_reasons(folder: Path) -> None:
    answer = ask()
    assert answer["total"] == 2
    first = answer["rows"][0]
    assert (first["image"], first["source"], first["reasons"]) == ("a.png", None, ["because"])
    assert ReasoningChain.from_json(first["chain"]).prompt == "a red cup" and not first["mended"]
    (pair,) = ask("accepted")["rows"]
    assert list(pair["prompts"]) == ["do it", "do so"] and pair["chain"]["task"] == "edit"


def test_a_long_file_comes_in_pieces(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_review, "MOST_ROWS", 1)
    pieces = [ask(skip=skip) for skip in (0, 1, 2, 10**30)]
    assert [[row["image"] for row in piece["rows"]] for piece in pieces] == [["a.png"], ["b.png"], [], []]
    assert [piece["total"] for piece in pieces] == [2, 2, 2, 2]


def test_rows_are_accepted_changed_and_rejected_at_once(folder: Path) -> None:
    first, second = ask()["rows"]
    chain = ReasoningChain.parse("A blue cup (1,2),(300,400).", "generate", "a blue cup").to_json()
    said = {"chain": chain, "prompts": ["a blue cup", "one blue cup"]}
    assert decide(first, "accept", **said) == {"row": None, "left_out": False}
    assert [row["prompt"] for row in data(folder)[2:]] == ["a blue cup", "one blue cup"]
    assert "(1,2),(300,400)" in data(folder)[2]["chain"]
    assert decide(second, "reject") == {"row": None, "left_out": False}
    assert json.loads((folder / "rejected.jsonl").read_text())["image"] == "b.png"
    assert ask() == {"rows": [], "total": 0}


def test_an_accepted_row_says_what_it_has_become(folder: Path) -> None:
    (pair,) = ask("accepted")["rows"]
    assert decide(pair, "accept", "accepted")["row"] == json.loads(json.dumps(pair))
    new = decide(pair, "accept", "accepted", prompts=["do it now"])["row"]
    assert list(new["prompts"]) == ["do it now"] and ask("accepted")["rows"][0]["row"] == new["row"]
    assert decide(new, "reject", "accepted")["row"] is None
    assert data(folder) == []


def test_of_several_editors_one_decides_and_no_row_is_lost(folder: Path) -> None:
    first, second = ask()["rows"]
    assert "error" not in decide(first, "accept")
    answer = decide(first, "reject")
    assert answer["gone"] and "elsewhere" in answer["error"]
    assert not (folder / "rejected.jsonl").exists()
    with ThreadPoolExecutor(8) as editors:
        with _review._LOCK:  # as while another decision is written
            asked = [editors.submit(decide, second, "accept") for _ in range(8)]
            assert not wait(asked, timeout=0.1).done
        answers = [question.result() for question in asked]
    assert sorted(answer.get("gone", False) for answer in answers) == [False] + [True] * 7
    assert [row["image"] for row in data(folder)] == ["c.png", "c.png", "a.png", "b.png"]


def test_while_the_folder_is_annotated_nothing_is_decided(folder: Path) -> None:
    first = ask()["rows"][0]
    with exclusive_lock("annotation", folder / LOCK_FILE):
        assert "Another annotation or review" in decide(first, "accept")["error"]
        assert "Another annotation or review" in ask()["error"]
    assert "error" not in decide(first, "accept")


def test_what_is_switched_off_is_left_out_and_what_a_row_cannot_hold_is_said(folder: Path) -> None:
    text = "A red cup (1,2),(300,400) and a blue cup (500,2),(800,400)."
    chain = ReasoningChain.parse(text, "generate", "a red cup and a blue cup").to_json()
    boxes = [
        {"color": chain["regions"][0]["color"], "phrase": "A red cup", "text": "TEA"},
        {"color": chain["regions"][1]["color"], "phrase": "a blue cup", "on": False},
    ]
    chain["details"] = {"version": 1, "boxes": boxes}
    first = ask()["rows"][0]
    answer = decide(first, "accept", chain=chain, prompts=["a red cup and a blue cup"])
    assert answer["left_out"]
    assert data(folder)[2]["prompt"] == "a red cup" and "blue" not in data(folder)[2]["chain"]


def test_a_chain_that_cannot_be_read_is_mended_and_said(folder: Path) -> None:
    append(folder / REVIEW_FILE, [{"image": "c.png", "prompts": ["a cup"], "chain": "a cup (5,5),(1,1)"}])
    row = ask()["rows"][2]
    assert row["mended"] and row["reasons"]
    assert "error" in decide(row, "accept") and "error" not in decide(row, "accept", chain=row["chain"])


CHAIN_JSON = ReasoningChain.parse(CHAIN, "generate", "a red cup").to_json()


@pytest.mark.parametrize(
    "said",
    [
        {"decision": "keep"},
        {"decision": "accept", "chain": 7},
        {"decision": "accept", "chain": {**CHAIN_JSON, "task": "edit"}},
        {"decision": "accept", "chain": {**CHAIN_JSON, "regions": []}},
        {"decision": "accept", "prompts": "a cup"},
        {"decision": "accept", "prompts": [7]},
        {"decision": "accept", "prompts": []},
        {"decision": "accept", "prompts": ["\ud800"]},
    ],
    ids=range(8),
)
def test_what_is_no_decision_changes_nothing(folder: Path, said: dict[str, Any]) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    answer = decide(ask()["rows"][0], **said)
    assert answer["error"] and "gone" not in answer
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_the_second_of_two_rows_that_say_the_same_is_meant_where_its_line_is_named(folder: Path) -> None:
    row = {"image": "c.png", "prompt": "a cup", "chain": "A cup."}
    for one in (row, {**row, "chain": "Another cup."}, row):
        append(folder / "data.jsonl", [one])
    first, second = (row for row in ask("accepted")["rows"] if row["chain"]["text"] == "A cup.")
    assert first["row"] == second["row"] and first["line"] < second["line"]
    decide(second, "accept", "accepted", line=second["line"], prompts=["the last cup"])
    assert [row["prompt"] for row in data(folder)[2:]] == ["a cup", "a cup", "the last cup"]
    decide(first, "reject", "accepted", line=first["line"])
    assert [row["prompt"] for row in data(folder)[2:]] == ["a cup", "the last cup"]


BUNDLED = Path(_review.__file__).parents[1] / "lessons" / "brown_crosses"


def test_the_bundled_dataset_is_not_changed_by_whatever_path(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(BUNDLED)
    (tmp_path / "input" / "inside").mkdir()
    (tmp_path / "input" / "inside" / "data.jsonl").symlink_to(BUNDLED / "data.jsonl")
    before = {file.name: file.stat().st_mtime_ns for file in BUNDLED.iterdir()}
    for name in (
        "brown crosses (bundled)",
        str(BUNDLED),
        f"{BUNDLED}/../brown_crosses",
        f'"{BUNDLED}"',
        "inside",
    ):
        for path in (name, str(tmp_path / "linked")):
            assert "Copy its folder" in ask("accepted", folder=path)["error"]
            with pytest.raises(GoTError, match="Copy its folder"):
                GoTReviewDataset().review(path, "accepted")
            with pytest.raises(GoTError, match="Copy its folder"):
                GoTAnnotate().annotate(path, clip=object())
    assert {file.name: file.stat().st_mtime_ns for file in BUNDLED.iterdir()} == before


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths below no known folder that the file system is asked about."""
    asked: list[str] = []
    stat = os.stat

    def watched(path: Any, *arguments: Any, **options: Any) -> os.stat_result:
        asked.append(str(path))
        return stat(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", watched)
    monkeypatch.setattr(_review.os.path, "isfile", lambda path: asked.append(str(path)) or False)
    return asked


@pytest.mark.parametrize(
    "place",
    [
        r"\\server\share",
        "//server/share",
        r"\/server\share",
        r"\\?\UNC\server\share",
        r"\\.\pipe\x",
        r"\??\C:\x",
        "file://server/share",
        '"\\\\server\\share"',
        "\u202a\\\\server\\share",
        "NUL",
        "mine/com1.txt",
    ],
)
def test_a_share_on_the_network_is_not_even_looked_at_for_a_page(
    place: str, folder: Path, untouched: list[str]
) -> None:
    with pytest.raises(GoTError, match="Run the workflow once"):
        picture(place, "a.png")
    assert "Run the workflow once" in ask(folder=place)["error"]
    assert "Run the workflow once" in decide({"row": ""}, "accept", folder=place)["error"]
    assert untouched == []


def test_pictures_are_shown_of_folders_that_have_been_opened_and_of_no_other(
    folder: Path, tmp_path: Path, untouched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(folder, elsewhere)
    untouched.clear()
    for place in (str(elsewhere), "mine/../../elsewhere", f"{elsewhere}/../elsewhere"):
        with pytest.raises(GoTError, match="opened"):
            picture(place, "a.png")
    assert untouched == []
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert ask(folder=str(elsewhere))["total"] == 2
    assert picture(str(elsewhere), "a.png") and picture("mine", "a.png")


def test_a_share_on_the_network_is_opened_once_the_node_has_run_with_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = f"/{folder}"  # //..., which is a server on Windows and the same folder here
    assert "error" in ask(folder=share)
    GoTReviewDataset().review(share, "doubtful")
    assert ask(folder=share)["total"] == 2 and picture(share, "a.png")


@pytest.mark.parametrize("question", [b"", b"{", b"[]", b"7", b"\xff", b"[" * 100_000, b" " * 2_000_000])
def test_what_is_no_question_has_an_error_for_an_answer(question: bytes) -> None:
    assert opened(question).keys() == decided(question).keys() == {"error"}


@pytest.mark.parametrize(
    "asked",
    [{"folder": name} for name in (None, 7, "", "nothing", "\ud800", "a\0b", "a" * 300)]
    + [{"folder": "brown crosses (bundled)"}, {"rows": "all"}, {"rows": None}, {"skip": "1"}, {"skip": True}],
    ids=range(12),
)
def test_what_is_no_dataset_has_an_error_for_an_answer(folder: Path, asked: dict[str, Any]) -> None:
    assert ask(**asked).keys() == {"error"}


def test_a_picture_is_shown_as_people_see_it_and_only_of_a_dataset(folder: Path) -> None:
    assert Image.open(BytesIO(picture("mine", "a.png"))).size == (64, 32)
    Image.new("RGB", (64, 32)).save(folder.parent / "secret.png")
    (folder / "page.html").write_text("<script>")
    for place, name in (
        ("mine", "../secret.png"),
        ("mine", str(folder.parent / "secret.png")),
        ("mine", "page.html"),
        ("mine", "data.jsonl"),
        ("mine", ""),
        ("mine", "a\0.png"),
        ("", "secret.png"),
        ("a" * 300, "secret.png"),
        (str(folder.parent), "secret.png"),
    ):
        with pytest.raises(GoTError):
            picture(place, name)


def test_a_run_counts_the_rows_names_the_folder_to_the_page_and_is_repeated_after_a_decision(
    folder: Path,
) -> None:
    before = GoTReviewDataset.IS_CHANGED("mine")
    run = GoTReviewDataset().review("mine", "doubtful")
    assert run["ui"] == {"reviewed": ["mine"]}
    path, report, doubtful, accepted = run["result"]
    assert (Path(path), doubtful, accepted) == (folder, 2, 1)
    assert report.splitlines()[:2] == ["2 doubtful, 1 accepted.", "a.png: because"]
    assert GoTReviewDataset.IS_CHANGED("mine") == before
    decide(ask()["rows"][0], "accept")
    assert GoTReviewDataset.IS_CHANGED("mine") != before
    for name in ("nothing", "a" * 300):
        with pytest.raises(GoTError, match="you have filled"):
            GoTReviewDataset().review(name, "doubtful")


def test_names_and_prompts_come_back_as_they_are_and_the_report_can_be_shown(folder: Path) -> None:
    """Prompts return with a decision, and names find pictures: what is escaped in them would stay so."""
    prompts = ["a red cup", "a cup\r\non a table"]
    row = {"image": "\ud800\x7f.png", "prompts": prompts, "chain": CHAIN, "reasons": ["\ud800"]}
    (folder / REVIEW_FILE).write_text(json.dumps(row) + "\n")
    (told,) = ask()["rows"]
    assert (told["image"], list(told["prompts"]), told["reasons"]) == (row["image"], prompts, ["\\ud800"])
    report = GoTReviewDataset().review("mine", "doubtful")["result"][1]
    assert report.splitlines()[1] == "\\ud800\\x7f.png: \\ud800"
