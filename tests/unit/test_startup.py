"""The garbage collector while libraries are imported."""

from __future__ import annotations

import gc

import pytest

from got_models.startup import collector_paused


def test_the_collector_pauses_and_goes_on_also_after_an_error() -> None:
    with pytest.raises(RuntimeError), collector_paused():
        assert not gc.isenabled()
        raise RuntimeError
    assert gc.isenabled()


def test_a_collector_that_is_off_stays_off() -> None:
    gc.disable()
    try:
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()
