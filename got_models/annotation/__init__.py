"""From pictures to plans: a model that looks describes, names and grounds; pictures become `data.jsonl`."""
