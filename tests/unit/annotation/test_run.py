"""Annotating a folder: what goes where, going on after an end at any point, and what stops it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from threading import Event
from time import monotonic

import pytest
from PIL import Image

from got_models.__main__ import main
from got_models.annotation.annotator import PIXELS, AnnotatorError, ServerFailedError
from got_models.annotation.items import Item, Keys, items, key_of
from got_models.annotation.output import APART, CONTINUED, LOCK_FILE, REVIEW_FILE, append, mend
from got_models.annotation.review import review
from got_models.annotation.revision import revision
from got_models.annotation.run import Progress, annotate_folder
from got_models.annotation.server import ServerAnnotator
from got_models.dataset.rows import DATA_FILE, read_dataset
from got_models.errors import GoTError
from got_models.files.exclusive_lock import exclusive_lock
from got_models.files.whole_files import UnwritableError

from .chat_server import MODEL, serving
from .folders import is_complete, rows, write_folder
from .looking import Looking, LyingAboutItsUnit


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("drawn") / "folder", 6, 2)


@pytest.fixture
def folder(drawn: Path, tmp_path: Path) -> Path:
    """Six pictures, and two pairs, of which one has an instruction."""
    target = tmp_path / "folder"
    (target / "drawn").mkdir(parents=True)
    for file in drawn.rglob("*.*"):
        shutil.copyfile(file, target / file.relative_to(drawn))
    return target


def test_pictures_and_pairs_become_a_dataset_that_can_be_trained_on(folder: Path) -> None:
    progress = annotate_folder(folder, Looking())
    assert (progress.done, progress.total, progress.doubtful) == (8, 8, 0)
    dataset = read_dataset(folder).usable(leave_out_bad_rows=False)
    assert len(dataset.rows) == 6 + 2 * 4 and is_complete(folder)
    assert all(row.chain.regions for row in dataset.rows)
    written = rows(folder / DATA_FILE)
    known = json.loads((folder / "pairs.jsonl").read_text().splitlines()[1])["prompt"]
    assert known in [row["prompt"] for row in written if row["image"] == "after-001.png"]


def test_what_is_done_is_not_done_twice(folder: Path) -> None:
    annotate_folder(folder, Looking())
    before = (folder / DATA_FILE).read_bytes()
    looking = Looking()
    assert annotate_folder(folder, looking).total == 0
    assert looking.asked == [] and (folder / DATA_FILE).read_bytes() == before
    Image.open(folder / "drawn" / "000.png").save(folder / "new.png")
    assert annotate_folder(folder, Looking()).done == 1


def test_doubtful_pictures_and_unreadable_ones_go_to_review_with_the_reason(folder: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"no picture")
    Image.new("RGB", (900, 100)).save(folder / "long.png")
    Image.new("RGB", (64, 64), "white").save(folder / "empty.png")
    progress = annotate_folder(folder, Looking())
    review = {row["image"]: row for row in rows(folder / REVIEW_FILE)}
    assert set(review) == {"broken.jpg", "long.png", "empty.png"} and progress.doubtful == 3
    assert "cannot open" in review["broken.jpg"]["reasons"][0]
    assert "4 times as long" in review["long.png"]["reasons"][0]
    assert "No object was found." in review["empty.png"]["reasons"]
    assert review["empty.png"]["chain"] and review["empty.png"]["prompts"]
    assert not {"broken.jpg", "long.png", "empty.png"} & {row["image"] for row in rows(folder / DATA_FILE)}


def test_workers_keep_the_order_and_lose_nothing(folder: Path) -> None:
    annotate_folder(folder, Looking(), workers=3)
    assert is_complete(folder)
    names = [row["image"] for row in rows(folder / DATA_FILE) if "source" not in row]
    assert names == sorted(names)


def test_stopping_does_not_wait_for_answers_that_take_long(folder: Path) -> None:
    never = Event()

    def slow(question: str, picture: Image.Image | None, answer: str) -> str:
        if "picture" in question and picture is not None and picture.size == (77, 77):
            never.wait(60)
        return answer

    def stop(progress: Progress) -> None:
        if progress.done == 8:
            raise KeyboardInterrupt

    Image.new("RGB", (77, 77), "white").save(folder / "drawn" / "slow.png")
    start = monotonic()
    with pytest.raises(KeyboardInterrupt):
        annotate_folder(folder, Looking(mistake=slow), workers=2, on_progress=stop)
    assert monotonic() - start < 30
    never.set()
    assert annotate_folder(folder, Looking()).done == 1


def test_two_annotations_of_one_folder_at_once_are_told_apart(folder: Path) -> None:
    with (
        exclusive_lock("annotation", folder / LOCK_FILE),
        pytest.raises(GoTError, match="Another annotation or review of"),
    ):
        annotate_folder(folder, Looking())
    assert not (folder / DATA_FILE).exists()


@pytest.mark.parametrize("content", [None, {}])
def test_a_folder_without_pictures_or_none_at_all_is_refused(content: object, tmp_path: Path) -> None:
    folder = tmp_path if content is not None else tmp_path / "nothing"
    with pytest.raises(GoTError, match=r"no picture|no folder"):
        annotate_folder(folder, Looking())
    assert list(tmp_path.iterdir()) == []


def test_an_annotator_in_the_wrong_unit_writes_nothing(folder: Path) -> None:
    with pytest.raises(AnnotatorError, match="--coordinates thousandths"):
        annotate_folder(folder, LyingAboutItsUnit(PIXELS))
    assert not (folder / DATA_FILE).exists() and not (folder / REVIEW_FILE).exists()


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"image": "a.png"}',
        '{"image": "a.png", "source": 3}',
        '{"image": "a.png", "source": "b", "x": "y"}',
    ],
)
def test_an_invalid_pair_is_named_before_anything_is_written(line: str, folder: Path) -> None:
    with (folder / "pairs.jsonl").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(GoTError, match=r"pairs\.jsonl, line 3"):
        annotate_folder(folder, Looking())
    assert not (folder / DATA_FILE).exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_told_and_leaves_no_half_row(folder: Path) -> None:
    (folder / DATA_FILE).symlink_to("/dev/full")
    with pytest.raises(UnwritableError, match="No space left"):
        annotate_folder(folder, Looking())


def test_a_write_that_stops_in_the_middle_is_undone(tmp_path: Path) -> None:
    import resource

    file = tmp_path / DATA_FILE
    append(file, [{"image": "a.png"}])
    before = file.read_bytes()
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limits[1]))
        with pytest.raises(UnwritableError):
            append(file, [{"image": "b.png", "prompt": "x" * 100}])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert file.read_bytes() == before


ROW = b'{"image": "a.png", "prompt": "b"}\n'


@pytest.mark.parametrize(
    ("content", "mended"),
    [
        (ROW, ROW),
        (ROW[:-1], ROW),
        (ROW + ROW[:20], ROW),
        (ROW[:3], b""),
        (ROW + CONTINUED + ROW + CONTINUED + ROW, ROW),
        (ROW + CONTINUED + ROW + ROW[:9], ROW),
        (CONTINUED + ROW + ROW, CONTINUED + ROW + ROW),
        (ROW + CONTINUED[:1], ROW),
        (ROW + APART + ROW, ROW + APART + ROW),
        (ROW + APART + ROW[:9], ROW),
        (ROW + APART, ROW),
    ],
)
def test_what_a_killed_writer_left_of_an_item_is_cut(content: bytes, mended: bytes, tmp_path: Path) -> None:
    file = tmp_path / DATA_FILE
    file.write_bytes(content)
    mend(file)
    assert file.read_bytes() == mended


@pytest.mark.parametrize("content", [ROW + b"a note of mine", ROW.decode().encode("utf-16")])
def test_what_a_person_wrote_is_not_cut(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / DATA_FILE
    file.write_bytes(content)
    with pytest.raises(GoTError, match=r"last line|UTF-16"):
        mend(file)
    assert file.read_bytes() == content


def test_rows_that_were_there_are_kept_and_their_pictures_left_alone(folder: Path) -> None:
    mine = '{"image": "drawn\\\\002.png", "prompt": "mine", "chain": "a thing (1,1),(500,500)"}'
    (folder / DATA_FILE).write_text(mine)
    assert annotate_folder(folder, Looking()).done == 7
    assert (folder / DATA_FILE).read_text().splitlines()[0] == mine
    read_dataset(folder).usable(leave_out_bad_rows=False)


def list_again(folder: Path, *prompts: str, first: bool = False) -> None:
    """Lists the first pair of a folder once more for each of these instructions."""
    lines = (folder / "pairs.jsonl").read_text().splitlines()
    more = [json.dumps({**json.loads(lines[0]), "prompt": prompt}) for prompt in prompts]
    (folder / "pairs.jsonl").write_text("\n".join([*more, *lines] if first else [*lines, *more]) + "\n")


def prompts_of(folder: Path) -> list[tuple[str, ...]]:
    """Those of each row of the first pair."""
    with revision(folder) as current:
        return [row.prompts for row in current.rows() if row.image == "after-000.png"]


def test_a_pair_that_is_listed_with_several_instructions_is_annotated_with_each(folder: Path) -> None:
    list_again(folder, "paint it", "swap it")
    assert annotate_folder(folder, Looking()).done == 10
    assert [row[0] for row in prompts_of(folder)][1:] == ["paint it", "swap it"]
    before = (folder / DATA_FILE).read_bytes()
    assert annotate_folder(folder, Looking()).total == 0
    list_again(folder, "go on", first=True)
    assert annotate_folder(folder, Looking()).total == 1
    assert (folder / DATA_FILE).read_bytes().startswith(before)
    assert prompts_of(folder)[-1][0] == "go on"


def test_of_a_pair_that_is_listed_twice_the_one_that_is_left_is_annotated_after_a_kill(folder: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.done == 1:
            raise KeyboardInterrupt

    list_again(folder, "paint it", "swap it", first=True)
    lines = (folder / "pairs.jsonl").read_text().splitlines()
    (folder / "pairs.jsonl").write_text("\n".join([*lines[:2], lines[3]]) + "\n")
    with pytest.raises(KeyboardInterrupt):
        annotate_folder(folder, Looking(), on_progress=stop)
    with revision(folder) as current:
        current.accept(next(current.rows()), prompts=["in other words"])
    assert annotate_folder(folder, Looking()).total == 8
    first, second = prompts_of(folder)
    assert first == ("in other words",) and second[0] == "swap it"


def test_a_doubtful_row_waits_beside_an_accepted_one_of_the_same_pair(folder: Path) -> None:
    def unsure(question: str, picture: Image.Image | None, answer: str) -> str:
        return "[]" if "paint it" in question and "does it edit" in question else answer

    list_again(folder, "paint it")
    assert annotate_folder(folder, Looking(mistake=unsure)).doubtful == 1
    with review(folder) as current:
        (row,) = current.rows()
        assert (row.image, row.prompts[0]) == ("after-000.png", "paint it")
    assert len(prompts_of(folder)) == 1 and annotate_folder(folder, Looking()).total == 0


def test_a_server_that_goes_down_leaves_pictures_for_the_next_run(folder: Path) -> None:
    pytest.importorskip("httpx2")
    with serving(trouble=lambda number: (500, {}, b"") if number > 24 else None) as server:
        annotator = ServerAnnotator(server.address, MODEL, PIXELS, first_wait=0.001)
        server.looking.coordinates = PIXELS
        with pytest.raises(AnnotatorError, match="left for another run"):
            annotate_folder(folder, annotator, workers=2)
        assert 0 < len(rows(folder / DATA_FILE)) < 14 and rows(folder / REVIEW_FILE) == []
        server.trouble = lambda number: None
        annotate_folder(folder, annotator, workers=2)
    assert is_complete(folder)


def test_a_picture_at_which_the_server_fails_alone_goes_to_review(folder: Path) -> None:
    def fails(question: str, picture: Image.Image | None, answer: str) -> str:
        if picture is not None and picture.size == (77, 77):
            raise ServerFailedError("failed 6 times at this question")
        return answer

    Image.new("RGB", (77, 77), "white").save(folder / "bad.png")
    annotate_folder(folder, Looking(mistake=fails))
    assert rows(folder / REVIEW_FILE) == [
        {"image": "bad.png", "reasons": ["failed 6 times at this question"]}
    ]
    assert is_complete(folder)


def test_names_are_recognized_however_they_are_spelled_and_in_few_bytes() -> None:
    assert key_of("a/\u00e4.png") == key_of("a\\a\u0308.png") == key_of("./a//\u00e4.png")
    assert key_of("a.png") != key_of("a.png", "b.png")
    keys = Keys(key_of(f"{number}.png") for number in range(1000))
    assert all(key_of(f"{number}.png") in keys for number in range(1000))
    assert key_of("1000.png") not in keys and 5 not in Keys([])


def test_pairs_are_no_single_pictures_and_hidden_files_none_at_all(folder: Path) -> None:
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "a.png").write_bytes(b"")
    (folder / "drawn" / "._000.png").write_bytes(b"")
    found = list(items(folder))
    assert len(found) == 8
    assert found[0] == Item("after-000.png", "before-000.png")
    assert [item.image for item in found[2:]] == [f"drawn/{number:03}.png" for number in range(6)]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--server", "http://127.0.0.1:9/v1"], "--model NAME"),
        (["--workers", "2"], "--workers needs --server"),
        (["--server", "http://x/v1", "--model", "m", "--language-model", "d"], "not both"),
    ],
)
def test_options_that_do_not_go_together_are_told(
    given: list[str], words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dataset", "annotate", str(folder), *given]) == 2
    assert words in capsys.readouterr().err
