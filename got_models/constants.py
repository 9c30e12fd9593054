"""Names shared by the library, its command line and the nodes."""

from __future__ import annotations

from pathlib import Path

BUNDLED_CHECKPOINT = Path(__file__).resolve().parent / "tiny"
LESSONS = Path(__file__).resolve().parents[1] / "lessons"
"""The bundled datasets, a folder each."""
SCHEDULERS = ("ddpm", "euler", "dpm++2m", "unipc")
SPEEDS = EXACT, FAST, FASTEST = ("exact", "fast", "fastest")
DTYPES = ("auto", "float32", "bfloat16", "float16")
STORED_DTYPES = ("bfloat16", "float16", "float32")
"""Dtypes of an imported checkpoint's weights, the default first."""
