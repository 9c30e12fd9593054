"""Where the demo moves a box to."""

from __future__ import annotations

from got_models.chain.chain import ReasoningChain
from got_models.commands.demo import free_spot


def chain_of(*boxes: str) -> ReasoningChain:
    return ReasoningChain.parse(" and ".join(f"a thing {box}" for box in boxes), "generate", "things")


def test_the_spot_has_the_size_of_the_box_and_is_clear_of_both_boxes() -> None:
    chain = chain_of("(100,400),(300,700)", "(600,100),(900,800)")
    old, other = (region.box for region in chain.regions)
    spot = free_spot(chain, 0)
    assert (spot.x2 - spot.x1, spot.y2 - spot.y1) == (200, 300)
    assert spot.iou(old) == spot.iou(other) == 0


def test_the_spot_keeps_a_distance_from_other_boxes() -> None:
    chain = chain_of("(125,62),(375,312)", "(625,625),(875,875)")
    spot, other = free_spot(chain, 0), chain.regions[1].box
    assert spot.x2 + 40 <= other.x1 or spot.x1 >= other.x2 + 40 or spot.y2 + 40 <= other.y1


def test_the_spot_is_the_far_corner_when_nothing_is_there() -> None:
    spot = free_spot(chain_of("(40,40),(240,240)"), 0)
    assert spot.x2 > 900 and spot.y2 > 900


def test_a_box_that_fills_the_picture_stays_where_it_is() -> None:
    chain = chain_of("(0,0),(999,999)")
    assert free_spot(chain, 0) == chain.regions[0].box
