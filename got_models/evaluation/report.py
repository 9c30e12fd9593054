"""A report on a checkpoint in Markdown, for its owner to post. It names no file, folder or user."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..chain.chain import ReasoningChain
from ..chain.notation import BOX_START
from ..chain.plan_check import check_plan
from ..chain.vocabulary import Vocabulary
from ..judge.report import summary
from .figures import figures, table
from .markdown import code, plain
from .prompts import Prompt
from .trial import Trial

_COLOR = re.compile(r"<\|box_end\|>\s*\(([^)]{1,30})\)")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_BOX = re.compile(r"<\|box_start\|>(.{0,60}?)<\|box_end\|>", re.DOTALL)
_PATH = re.compile(r"(?:\b[A-Za-z]:|~)?[\\/][^\s:'\",]+")
_LONGEST, _LONGEST_REMARK = 2000, 400  # characters of a plan, and of a remark


@dataclass(frozen=True)
class Setting:
    """What the checkpoint ran on. `versions` and `machine`: name -> what stands beside it."""

    versions: Mapping[str, str]
    machine: Mapping[str, str]
    drawing: Mapping[str, str]


def markdown(
    setting: Setting, prompts: Sequence[Prompt], trials: Sequence[Trial], vocabulary: Vocabulary | None
) -> str:
    """The whole report."""
    pairs = list(zip(prompts, trials, strict=True))
    parts = [
        "# GoT report",
        _facts("Versions", setting.versions),
        _facts("Machine", setting.machine),
        _facts("Drawing", setting.drawing),
        "## Plans\n\n" + "\n".join(_plans(trials, vocabulary)),
        "## What the plans hold, as written\n\n" + "\n".join(_written(trials)),
        "## Obedience\n\n" + _obedience(pairs),
        "## Seconds\n\n" + _times(trials),
        "## Every prompt\n\n"
        + "\n\n".join(_one(number, *pair, vocabulary) for number, pair in enumerate(pairs, 1)),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(title: str, facts: Mapping[str, str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {name}: {plain(value)}" for name, value in facts.items())


def _plans(trials: Sequence[Trial], vocabulary: Vocabulary | None) -> list[str]:
    count = len(trials)
    parsed = sum(not trial.chain.warnings for trial in trials)
    boxed = sum(bool(trial.chain.regions) for trial in trials)
    quiet = sum(not check_plan(trial.chain, vocabulary) for trial in trials)
    boxes = statistics.mean(len(trial.chain.regions) for trial in trials)
    length = statistics.mean(len(trial.chain.words) for trial in trials)
    return [
        f"- read without a warning: {parsed} of {count}",
        f"- ended by the model itself: {sum(trial.ended for trial in trials)} of {count}",
        f"- with boxes: {boxed} of {count}, on average {boxes:.1f} boxes and {length:.0f} characters",
        f"- nothing to remark in the plan check: {quiet} of {count}",
    ]


def _written(trials: Sequence[Trial]) -> list[str]:
    """The colours and coordinates that really stand in the text, before it was read leniently."""
    colors = [color for trial in trials for color in _COLOR.findall(trial.written)]
    boxes = [box for trial in trials for box in _BOX.findall(trial.written)]
    numbers = [float(number) for box in boxes for number in _NUMBER.findall(box)]
    order = ", ".join(dict.fromkeys(colors)) or "none"
    spread = f"{min(numbers):g} to {max(numbers):g}" if numbers else "none"
    shapes = dict.fromkeys(_NUMBER.sub("n", box).strip() for box in boxes)
    return [
        f"- mask colours, in the order in which they first appear: {plain(order)}",
        f"- boxes with a colour: {len(colors)} of {sum(trial.written.count(BOX_START) for trial in trials)}",
        f"- coordinates: {spread}",
        f"- how a box is written: {', '.join(map(code, list(shapes)[:4])) or 'none'}",
    ]


def _obedience(pairs: Sequence[tuple[Prompt, Trial]]) -> str:
    rows = [
        {
            "tag": prompt.tag,
            "plan": trial.plan_met.all,
            "picture": trial.picture_met.all if trial.picture_met else None,
            "obeyed": trial.verdict.obeyed if trial.verdict else None,
        }
        for prompt, trial in pairs
    ]
    seen = [trial.verdict for _, trial in pairs if trial.verdict]
    objects = [judged for verdict in seen for judged in verdict.objects]
    lines = [table(figures(rows)), ""]
    lines.append(f"Pictures that the model could look at: {len(seen)} of {len(pairs)}.")
    if objects:
        placed = sum(judged.in_place for judged in objects)
        lines.append(f"Objects that it found in their boxes: {placed} of {len(objects)}.")
    return "\n".join(lines)


def _times(trials: Sequence[Trial]) -> str:
    names = dict.fromkeys(name for trial in trials for name in trial.seconds)
    lines = ["| stage | median | first |", "|---|---|---|"]
    for name in names:
        seconds = [trial.seconds[name] for trial in trials if name in trial.seconds]
        lines.append(f"| {plain(name)} | {statistics.median(seconds):.2f} | {seconds[0]:.2f} |")
    return "\n".join([*lines, "", "The first includes loading the weights."])


def _one(number: int, pair_prompt: Prompt, trial: Trial, vocabulary: Vocabulary | None) -> str:
    remarks = [*trial.chain.brief_warnings(), *check_plan(trial.chain, vocabulary)]
    lines = [f"### {number}. {plain(pair_prompt.prompt)}", "", *_quoted(trial.chain)]
    if not trial.ended:
        lines.append("- the plan did not end")
    lines += [f"- {_remark(remark)}" for remark in remarks]
    if trial.verdict:
        lines.append(f"- {summary(trial.verdict)}")
    elif trial.unseen:
        lines.append(f"- could not be looked at: {_remark(trial.unseen)}")
    return "\n".join(lines)


def _quoted(chain: ReasoningChain) -> list[str]:
    """The plan in a fence that its own text cannot close."""
    longest = max((len(run) for run in re.findall("`+", chain.text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, chain.text[:_LONGEST], fence, ""]


def _remark(text: str) -> str:
    """A remark on one line, without paths."""
    return plain(_PATH.sub("...", " ".join(text.split()))[:_LONGEST_REMARK])
