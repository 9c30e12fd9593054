"""The twenty prompts of `report`: the same for everybody, so that reports can be compared."""

from __future__ import annotations

from .prompts import prompt_of

TWENTY = tuple(
    prompt_of(data)
    for data in (
        {"tag": "shapes", "prompt": "a red circle", "include": [{"class": "circle", "color": "red"}]},
        {
            "tag": "shapes",
            "prompt": "a blue square and a yellow star on a white background",
            "include": [{"class": "square", "color": "blue"}, {"class": "star", "color": "yellow"}],
        },
        {
            "tag": "shapes",
            "prompt": "a green triangle to the left of a purple circle",
            "include": [{"class": "circle"}, {"class": "triangle", "position": ["left of", 0]}],
        },
        {"tag": "shapes", "prompt": "three orange squares", "include": [{"class": "square", "count": 3}]},
        {"tag": "single_object", "prompt": "a photo of a bench", "include": [{"class": "bench"}]},
        {"tag": "single_object", "prompt": "a photo of an elephant", "include": [{"class": "elephant"}]},
        {
            "tag": "two_object",
            "prompt": "a photo of a cat and a bicycle",
            "include": [{"class": "cat"}, {"class": "bicycle"}],
        },
        {
            "tag": "two_object",
            "prompt": "a photo of a teapot and a book",
            "include": [{"class": "teapot"}, {"class": "book"}],
        },
        {
            "tag": "counting",
            "prompt": "a photo of two dogs",
            "include": [{"class": "dog", "count": 2}],
            "exclude": [{"class": "dog", "count": 3}],
        },
        {
            "tag": "counting",
            "prompt": "a photo of four apples",
            "include": [{"class": "apple", "count": 4}],
            "exclude": [{"class": "apple", "count": 5}],
        },
        {"tag": "colors", "prompt": "a photo of a blue car", "include": [{"class": "car", "color": "blue"}]},
        {
            "tag": "colors",
            "prompt": "a photo of a green umbrella",
            "include": [{"class": "umbrella", "color": "green"}],
        },
        {
            "tag": "position",
            "prompt": "a photo of a dog right of a bench",
            "include": [{"class": "bench"}, {"class": "dog", "position": ["right of", 0]}],
        },
        {
            "tag": "position",
            "prompt": "a photo of a clock above a bed",
            "include": [{"class": "bed"}, {"class": "clock", "position": ["above", 0]}],
        },
        {
            "tag": "color_attr",
            "prompt": "a photo of a red bus and a white horse",
            "include": [{"class": "bus", "color": "red"}, {"class": "horse", "color": "white"}],
        },
        {
            "tag": "color_attr",
            "prompt": "a photo of a black chair and a yellow vase",
            "include": [{"class": "chair", "color": "black"}, {"class": "vase", "color": "yellow"}],
        },
        {
            "tag": "scenes",
            "prompt": "a lighthouse on a cliff at sunset, with a small boat on the sea below",
            "include": [{"class": "lighthouse"}, {"class": "boat"}],
        },
        {
            "tag": "scenes",
            "prompt": "a woman in a red coat walks a dog past a cafe in the rain",
            "include": [{"class": "woman"}, {"class": "dog"}],
        },
        {
            "tag": "scenes",
            "prompt": "a wooden table with a bowl of lemons, a glass of water and a candle",
            "include": [{"class": "bowl"}, {"class": "glass"}, {"class": "candle"}],
        },
        {
            "tag": "scenes",
            "prompt": "an astronaut rides a horse on the moon, and the earth stands above them",
            "include": [{"class": "astronaut"}, {"class": "horse"}],
        },
    )
)
