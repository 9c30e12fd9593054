"""The report on a checkpoint, from what it made of its prompts."""

from __future__ import annotations

from dataclasses import replace

from got_models.chain.chain import ReasoningChain
from got_models.evaluation.figures import figures, table
from got_models.evaluation.markdown import code, plain
from got_models.evaluation.prompts import prompt_of
from got_models.evaluation.report import Setting, markdown
from got_models.evaluation.rules import met
from got_models.evaluation.trial import Trial
from got_models.judge.asked import asked_of
from got_models.judge.verdict import compare

PROMPT = prompt_of({"prompt": "a red circle", "include": [{"class": "circle", "color": "red"}]})
WRITTEN = "There is a red circle <|box_start|>(12,34),(560,789)<|box_end|> (red)."
SETTING = Setting({"Python": "3.12"}, {"card": "none"}, {"size": "64 x 64"})


def trial(written: str = WRITTEN, unseen: str = "", ended: bool = True) -> Trial:
    chain = ReasoningChain.read(written, "generate", PROMPT.prompt)
    found = {region.phrase: [region.box] for region in chain.regions}
    verdict = None if unseen else compare(asked_of(chain)[0], found)
    things = [(region.phrase, region.box) for region in chain.regions]
    seconds = {"planning": 2.0, "drawing": 4.0}
    return Trial(chain, written, ended, met(PROMPT, things), None, verdict, unseen, None, seconds)


def report(*trials: Trial) -> str:
    return markdown(SETTING, [PROMPT] * len(trials), trials, None)


def test_it_says_what_was_really_written() -> None:
    text = report(trial(), trial(WRITTEN.replace(" (red)", "").replace("789", "1000"), ended=False))
    assert "- mask colours, in the order in which they first appear: red" in text
    assert "- boxes with a colour: 1 of 2" in text and "- coordinates: 12 to 1000" in text
    assert "- how a box is written: `(n,n),(n,n)`" in text
    assert "- ended by the model itself: 1 of 2" in text and "- read without a warning: 1 of 2" in text
    assert "the plan did not end" in text


def test_it_tells_times_and_obedience() -> None:
    text = report(trial())
    assert "| drawing | 4.00 | 4.00 |" in text and "Objects that it found in their boxes: 1 of 1." in text
    assert "- 1 of 1 objects in place; score 1.00" in text


def test_no_path_and_no_markup_comes_into_it() -> None:
    text = report(
        trial(unseen="/home/someone/models/got: <b>answered</b> `nothing`, see C:\\Users\\someone\\x")
    )
    assert "someone" not in text and "<b>" not in text and "could not be looked at" in text


SIGNS = "a|b `c` *d* _e_ [f](g) <h> i\\j ~k~ snake_case &amp; 3.12"


def test_words_are_shown_as_they_are_and_stay_in_their_cell() -> None:
    shown = r"a\|b \`c\` \*d\* \_e\_ \[f\](g) &lt;h> i\\j \~k\~ snake_case \&amp; 3.12"
    assert plain(f" {SIGNS}\r\n") == shown
    assert [plain(text) for text in ("# a", "1. a", "12) a", "- a", "x\ny")] == [
        r"\# a",
        r"1\. a",
        r"12\) a",
        r"\- a",
        "x y",
    ]
    rows = [{"tag": "a|b `c", "plan": True, "picture": None, "obeyed": None}]
    assert table(figures(rows)).splitlines()[2] == r"| a\|b \`c | 1.000 of 1 | - | - |"


def test_code_holds_backticks_and_stays_on_its_line() -> None:
    assert [code(text) for text in ("a", "a`b", "``a`\n", "", "a\nb")] == [
        "`a`",
        "``a`b``",
        "``` ``a` ```",
        "`  `",
        "`a b`",
    ]


def test_no_sign_of_a_prompt_or_a_plan_breaks_the_report() -> None:
    prompt = prompt_of({"tag": "a|b", "prompt": "a `cup` | a\nbowl"})
    written = "There is a cup <|box_start|>(1,2)`|`\n(3,4)<|box_end|> (r|e`d)."
    setting = Setting({"Python": "3|12"}, {"card": "a `b`\nc"}, {})
    text = markdown(setting, [prompt], [replace(trial(written), seconds={"a|b": 1.0})], None)
    lines = text.splitlines()
    assert r"| a\|b | 1.00 | 1.00 |" in lines and r"- card: a \`b\` c" in lines
    assert r"### 1. a \`cup\` \| a bowl" in lines
    assert "- how a box is written: ``(n,n)`|` (n,n)``" in lines
    (colors,) = [line for line in lines if line.startswith("- mask colours")]
    assert colors.endswith(r"r\|e\`d")


def test_a_plan_cannot_close_its_own_fence() -> None:
    text = report(trial("```` then ``` and a red circle (0,0),(9,9)"))
    assert "`````\n```` then" in text


def test_a_checkpoint_that_writes_no_box_is_reported_too() -> None:
    text = report(trial("Nothing at all.", unseen="The plan has no box"))
    assert "- coordinates: none" in text and "- with boxes: 0 of 1" in text
