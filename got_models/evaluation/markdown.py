"""Words from outside in Markdown: shown as they are, on one line, in tables too."""

from __future__ import annotations

import re

_SIGN = re.compile(r"[\\`*|\[\]~&]|(?<!\w)_|_(?!\w)|^[#>+-](?= )|(?<=^\d)[.)](?= )|(?<=^\d\d)[.)](?= )")
"""What Markdown would take for markup of its own, and a backslash in front takes away."""


def plain(text: str) -> str:
    """Words as Markdown that shows just them."""
    return _SIGN.sub(r"\\\g<0>", " ".join(text.split())).replace("<", "&lt;")


def code(text: str) -> str:
    """Words as code, between more backticks than they hold: nothing can be escaped there.

    Not for tables, where a | would end the cell.
    """
    line = " ".join(text.split())
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    space = " " if not line or "`" in (line[0], line[-1]) else ""
    return f"{fence}{space}{line}{space}{fence}"
