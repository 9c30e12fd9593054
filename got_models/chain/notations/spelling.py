"""Numbers of a box as people and models spell them, in the spelling that is read: "[1, 2, 3, 4]"."""

from __future__ import annotations

import re

_WIDE = {ord("\uff10") + digit: str(digit) for digit in range(10)} | {0xFF0E: ".", 0xFF05: "%", 0xFF0D: "-"}
_DIGITS = "0-9\uff10-\uff19"
_N = rf"[-\uff0d]?[{_DIGITS}]{{1,9}}(?:[.\uff0e][{_DIGITS}]{{0,9}})?[%\uff05]?"
_OPEN, _CLOSE = r"[\[(\u3010\uff08\uff3b]", r"[\])\u3011\uff09\uff3d]"
_LISTED = re.compile(
    rf"{_OPEN}\s{{0,9}}({_N}(?:\s{{0,9}}[,;\uff0c\uff1b\u3001]\s{{0,9}}{_N}){{3}})\s{{0,9}}{_CLOSE}"
)
_WIDE_SIGNS = re.compile(r"[\u3010\uff08\uff3b\u3011\uff09\uff3d\uff10-\uff19;\uff0c\uff1b\u3001]")
_COMMA_N = r"-?[0-9]{1,6},[0-9]{1,9}"
_DECIMAL_COMMAS = re.compile(
    rf"[\[(]\s{{0,9}}({_COMMA_N}(?:\s{{0,9}};\s{{0,9}}{_COMMA_N}){{3}})\s{{0,9}}[\])]"
)
_BELOW = re.compile(
    r"(?<=:)[ \t]{0,9}\n"
    + r"\n".join([r"[ \t]{0,40}-[ \t]{1,9}(-?[0-9]{1,9}(?:\.[0-9]{0,9})?)[ \t]{0,9}"] * 4)
    + r"(?=\n|\Z)"
)
_FIRST = re.compile(
    rf"^([ \t]{{0,9}}(?:[-*\u2022][ \t]{{1,9}}|[0-9]{{1,3}}[.)][ \t]{{1,9}})?)(\[{_N}(?:, ?{_N}){{3}}\])"
    r"[ \t]{0,9}[-:=\u2013\u2014\u2192]{0,2}[ \t]{0,9}([^\s\[\](){},:;|\"'][^\[\](){}\n]{0,200})$",
    re.MULTILINE,
)
_ANY_BOX = re.compile(rf"\[{_N}(?:, ?{_N}){{3}}\]")


def respelled(text: str) -> str:
    """The text with its boxes as four numbers in brackets, behind their words."""
    text = _DECIMAL_COMMAS.sub(_with_points, text)
    text = _LISTED.sub(_with_commas, text)
    text = _BELOW.sub(lambda match: f" [{', '.join(match.groups())}]", text)
    boxes = len(_ANY_BOX.findall(text))
    if boxes and len(_FIRST.findall(text)) == boxes:
        text = _FIRST.sub(lambda match: f"{match[1]}{match[3].rstrip()}: {match[2]}", text)
    return text


def _with_points(match: re.Match[str]) -> str:
    numbers = [number.strip().replace(",", ".") for number in match[1].split(";")]
    return f"[{', '.join(numbers)}]"


def _with_commas(match: re.Match[str]) -> str:
    if not _WIDE_SIGNS.search(match[0]):
        return match[0]
    numbers = re.split(r"\s*[,;\uff0c\uff1b\u3001]\s*", match[1].translate(_WIDE))
    return f"[{', '.join(numbers)}]"
