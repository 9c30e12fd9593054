"""The names under which plans in JSON keep words, boxes and the rest. In lower case."""

from __future__ import annotations

from .coordinates import WIDTH_HEIGHT, X_FIRST, Y_FIRST

# In Chinese: bounding box, box, coordinates, position; description, label, name, object, caption.
BOXES = (
    *"""bbox_2d box_2d bbox bbox_xyxy bbox_xywh bbox_yxyx box bounding_box boundingbox bbox2d box2d
    coordinates coords bounds rect region location position polygon quad corners vertices bboxes
    boxes""".split(),  # noqa: SIM905
    *("\u8fb9\u754c\u6846", "\u6846", "\u5750\u6807", "\u4f4d\u7f6e"),
)
WORDS = (
    *"""desc description phrase label name object caption class class_name category prompt entity title
    content subject text_content sub_label""".split(),  # noqa: SIM905
    *("\u63cf\u8ff0", "\u6807\u7b7e", "\u540d\u79f0", "\u7269\u4f53", "\u5bf9\u8c61", "\u8bf4\u660e"),
)
PARALLEL_WORDS = tuple(
    """labels phrases names descriptions captions gligen_phrases entity_prompts eligen_entity_prompts entities
    objects bboxes_labels""".split()  # noqa: SIM905
)
PARALLEL_BOXES = (
    "bboxes",
    "boxes",
    "bbox",
    "locations",
    "gligen_boxes",
    "eligen_entity_bboxes",
    "entity_bboxes",
)
DESCRIPTION = ("desc", "description", "\u63cf\u8ff0")
ORDERS = {"xyxy": X_FIRST, "yxyx": Y_FIRST, "xywh": WIDTH_HEIGHT}
KINDS_OF_BOX = ("obj", "object", "text", "image", "rectangle", "rect", "bbox", "box", "function", "tool_use")
LISTS = {
    *BOXES,
    *PARALLEL_WORDS,
    *"""elements items regions annotations detections results result layout instances frames data plan things
    subjects predictions output answer compositional_deconstruction metadata""".split(),  # noqa: SIM905
    "",
}
COLORS = ("color_palette", "palette")
READ = {*WORDS, *COLORS, "text", "type", "metadata", "id"}
NUMBERS = {
    *"""x y w h cx cy x0 y0 x1 y1 x2 y2 xmin ymin xmax ymax x_min y_min x_max y_max left top right bottom
    width height score confidence conf prob probability area iscrowd image_id index idx order number no
    z_index zindex z version""".split(),  # noqa: SIM905
}
"""Names of numbers that are read, or say nothing that a plan could keep."""
