"""What an annotator is asked besides `DESCRIBE` and `locating`, which every model here understands."""

from __future__ import annotations

ASK_PROMPT = (
    "Write the prompt by which somebody would ask for this picture: one sentence of at most 25 words. Answer "
    "with the prompt alone."
)
ASK_DESCRIPTION = (
    "Describe this picture in one paragraph of three to five sentences: every important object with its "
    "looks and its place, then the background. Answer with the paragraph alone, without lists or headings."
)
ASK_NAMES = (
    "Which objects that can be seen does this text name? List their names in the order of the text, word for "
    "word as they stand there, each with its article and adjectives. Leave out the background and what only "
    'belongs to another object. Answer with a JSON list alone, such as ["a red cup", "the old table"].\n\n'
    "Text: {text}"
)
ASK_WHETHER = "Does this picture show {name}? Answer with yes or no."

ASK_BRIEFLY = "Describe this picture in at most two sentences. Answer with the sentences alone."
ASK_INSTRUCTION = (
    "The left half is a picture before an edit, the right half the same picture after it. Write the "
    "instruction that asks for this edit: one sentence, as to a person who sees only the left half. Answer "
    "with the instruction alone."
)
ASK_EDITED = (
    "The left half is a picture before an edit, the right half the same picture after it. The instruction "
    'was: "{instruction}" Which objects does it edit? Answer with a JSON list alone, one entry for each: '
    '"object", its name as in the half where it can be seen, at best the left one, and "edit": "change", '
    '"remove", "add" or "move". Such as [{{"object": "the red cup", "edit": "change"}}].'
)
ASK_CHANGE = (
    "The left half is a detail of a picture before an edit, the right half the same place after it. The "
    'instruction was: "{instruction}" Say in one short sentence what became of {name}. Answer with the '
    "sentence alone."
)
ASK_WORDINGS = (
    'Write three other wordings of this instruction for editing a picture: "{instruction}" All must mean '
    "exactly the same. Answer with a JSON list of three texts alone."
)
AGAIN = "{question}\n\nYour last answer could not be used: {problem} Answer exactly as asked."
