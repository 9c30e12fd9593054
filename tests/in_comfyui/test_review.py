"""GoT Review Dataset in a real page: rows are decided on by keyboard alone, and the files say so at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from got_models.annotation.output import REVIEW_FILE, append

from .editor_page import VIEWPORT
from .prompts import node

if TYPE_CHECKING:
    from playwright.sync_api import Browser

from .browser import Frontend
from .server import Server

CHAIN = "There is a red cup <|box_start|>(100,200),(400,500)<|box_end|> (red)."


def doubtful_rows(folder: Path) -> None:
    """Four rows of a single box each, the last with two prompts."""
    folder.mkdir(parents=True)
    for number in range(4):
        Image.new("RGB", (96, 64), "red").save(folder / f"{number}.png")
        prompts = ["a red cup", "one red cup"][: 1 + number // 3]
        row = {"image": f"{number}.png", "prompts": prompts, "chain": CHAIN, "reasons": ["because"]}
        append(folder / REVIEW_FILE, [row])


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_rows_are_reviewed_by_keyboard_alone(server: Server, chromium: Browser) -> None:
    folder = server.folder / "input" / "reviewed"
    doubtful_rows(folder)
    page = chromium.new_page(viewport=VIEWPORT)
    frontend = Frontend(page, server)
    frontend.load_prompt({"1": node("GoTReviewDataset", folder="reviewed", rows="doubtful")})
    title = page.locator(".got-review-title")

    def press(key: str, shows: str) -> None:
        page.keyboard.press(key)
        title.filter(has_text=shows).wait_for()

    press("Control+Enter", "1 of 4: 0.png")  # runs the workflow
    page.wait_for_function("() => document.querySelector('.got-canvas img').naturalWidth === 96")
    press("a", "1 of 3: 1.png")
    assert [row["image"] for row in lines(folder / "data.jsonl")] == ["0.png"]
    press("n", "2 of 3: 2.png")
    press("x", "2 of 2: 3.png")
    assert [row["image"] for row in lines(folder / "rejected.jsonl")] == ["2.png"]

    box = page.get_by_test_id("got-box")
    while page.evaluate("() => document.activeElement.dataset.testid") != "got-box":
        page.keyboard.press("Tab")
    for key in ("Shift+ArrowRight", "Enter"):
        page.keyboard.press(key)
    page.keyboard.type("a blue cup")  # a and x in it decide nothing
    page.keyboard.press("Enter")
    page.get_by_text("Accept changed (A)").wait_for()
    assert box.get_attribute("data-box") == "110,200,410,500"
    page.keyboard.press("a")
    page.get_by_text("1 row is still here").wait_for()
    changed = lines(folder / "data.jsonl")[1:]
    assert [row["prompt"] for row in changed] == ["a blue cup", "one blue cup"]
    assert all("a blue cup <|box_start|>(110,200),(410,500)" in row["chain"] for row in changed)

    press("b", "1 of 1: 1.png")
    page.keyboard.press("a")
    page.get_by_text("all are decided on").wait_for()
    assert (folder / REVIEW_FILE).read_bytes() == b""
    assert frontend.errors == []
    page.close()
