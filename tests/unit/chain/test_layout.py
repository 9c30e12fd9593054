from __future__ import annotations

import random
from itertools import combinations

import pytest
from PIL import Image, ImageChops, ImageColor

from got_models.chain.chain import ReasoningChain
from got_models.chain.label_places import Rectangle, Wanted, place_labels
from got_models.chain.layout import contact_sheet, draw_layout, side_by_side, stacked

GRAY = (128, 128, 128)


def chain(text: str) -> ReasoningChain:
    return ReasoningChain.parse(text, "generate", "a prompt")


def changed(picture: Image.Image, ground: tuple[int, int, int]) -> tuple[int, int, int, int] | None:
    """The smallest rectangle around everything that is not ground."""
    return ImageChops.difference(picture, Image.new("RGB", picture.size, ground)).getbbox()


def test_outline_has_the_mask_colour_on_a_dark_halo_and_leaves_the_rest():
    picture = Image.new("RGB", (1000, 1000), GRAY)
    layout = draw_layout(chain("a cat (200,300),(600,700) (deeppink)"), picture, picture.size)
    assert layout.size == picture.size
    color = ImageColor.getrgb("deeppink")
    for x, y in ((200, 500), (599, 500), (400, 699)):
        assert layout.getpixel((x, y)) == color
    assert layout.getpixel((400, 500)) == GRAY
    assert layout.getpixel((100, 100)) == GRAY
    assert layout.getpixel((198, 500)) == layout.getpixel((601, 500)) == (0, 0, 0)


@pytest.mark.parametrize(
    "corners", ["(0,0),(300,300)", "(900,900),(999,999)", "(980,0),(999,10)", "(0,990),(9,999)"]
)
@pytest.mark.parametrize("size", [(512, 512), (600, 120), (130, 700)])
def test_label_stays_inside_the_picture(corners, size):
    picture = Image.new("RGB", size, GRAY)
    short, long = (
        draw_layout(chain(f"{phrase} {corners} (deeppink)"), picture, size)
        for phrase in ("i", "wide words stand here")
    )
    left, top, right, bottom = ImageChops.difference(short, long).getbbox()
    assert left >= 0 and top >= 0 and right <= short.width and bottom <= short.height
    assert len({long.getpixel((x, (top + bottom) // 2)) for x in range(left, right)}) > 2  # letters and tag


@pytest.mark.parametrize("count", [1, 4, 12])
def test_labels_leave_the_objects_and_each_other_to_be_seen(count):
    columns = {1: 1, 4: 2, 12: 4}[count]
    width, height = 1000 // columns, 1000 // (count // columns)
    text = ""
    for index in range(count):
        left, top = index % columns * width, index // columns * height
        phrase = "a small yellow star" if index % 2 else "a cat"
        text += f"{phrase} ({left + 20},{top + 45}),({left + width - 20},{top + height - 45}). "
    plan = chain(text)
    layout = draw_layout(plan, Image.new("RGB", (512, 512), GRAY), (512, 512))
    for region in plan.regions:
        left, top, right, bottom = region.box.to_pixels(512, 512)
        inside = layout.crop((left + 4, top + 4, right - 4, bottom - 4))
        assert changed(inside, GRAY) is None, region.phrase


def test_no_label_of_thirty_covers_another_and_all_lie_in_the_picture():
    chance, size, height = random.Random(30), (512, 512), 18
    corners = [(chance.randint(0, 400), chance.randint(0, 400)) for _ in range(30)]
    boxes = [Rectangle(x, y, x + chance.randint(30, 110), y + chance.randint(30, 110)) for x, y in corners]
    places = place_labels([Wanted(box, 130, 25) for box in boxes], size, height)
    tags = [place.rectangle for place in places]
    assert [pair for pair in combinations(tags, 2) if pair[0].shared(pair[1])] == []
    assert all(tag.left >= 0 and tag.right <= 512 and tag.top >= 0 and tag.bottom <= 512 for tag in tags)
    for place in places:
        hidden = sum(place.rectangle.shared(box) / box.area for box in boxes)
        assert place.short or hidden <= 0.05
    assert {place.short for place in places} == {True, False}


def test_different_phrases_give_different_labels():
    cat, dog = (
        draw_layout(chain(f"a {name} (100,300),(900,900)"), None, (512, 512)) for name in ("cat", "dog")
    )
    assert changed(ImageChops.difference(cat, dog), (0, 0, 0)) is not None


@pytest.mark.parametrize(
    ("size", "expected"),
    [((128, 128), (512, 512)), ((64, 256), (128, 512)), ((900, 600), (900, 600)), ((1, 1), (512, 512))],
)
def test_small_pictures_are_enlarged(size, expected):
    assert draw_layout(chain("a cat (0,0),(999,999)"), Image.new("L", size), size).size == expected
    assert draw_layout(chain("a cat (0,0),(999,999)"), None, size).size == expected


def test_a_chain_without_boxes_leaves_the_picture():
    picture = Image.new("RGB", (600, 400), GRAY)
    assert changed(draw_layout(chain("nothing here"), picture, picture.size), GRAY) is None


def test_the_given_picture_is_not_drawn_upon():
    picture = Image.new("RGB", (600, 400), GRAY)
    draw_layout(chain("a cat (100,100),(900,900)"), picture, picture.size)
    assert changed(picture, GRAY) is None


def test_beside_brings_all_to_one_height():
    row = side_by_side(Image.new("RGB", (50, 50), "red"), Image.new("RGB", (100, 200), "blue"))
    assert row.size == (300, 200)
    assert row.getpixel((199, 100)) == (255, 0, 0)
    assert row.getpixel((200, 100)) == (0, 0, 255)


def test_above_keeps_both_as_they_are():
    column = stacked(Image.new("RGB", (3, 2), "red"), Image.new("RGB", (3, 2), "blue"))
    assert column.size == (3, 4)
    assert [column.getpixel((2, row)) for row in range(4)] == [(255, 0, 0)] * 2 + [(0, 0, 255)] * 2


def test_contact_sheet_shows_every_picture_under_its_title():
    colors = ["red", "lime", "blue", "magenta", "cyan"]
    sheet = contact_sheet([(color, Image.new("RGB", (128, 128), color)) for color in colors])
    counts = {color: count for count, color in sheet.getcolors(sheet.width * sheet.height)}
    assert [counts[ImageColor.getrgb(color)] for color in colors] == [320 * 320] * 5
    assert counts[(0, 0, 0)] > 0
    assert sheet.width <= 1400


def test_a_long_title_stays_in_its_cell():
    picture = Image.new("RGB", (128, 128), "white")
    sheet = contact_sheet([("long title " * 40, picture), ("", picture)])
    _, _, right, _ = changed(sheet, (255, 255, 255))
    assert right <= 12 + 320


def test_an_empty_contact_sheet_is_a_picture():
    assert contact_sheet([]).width > 0
