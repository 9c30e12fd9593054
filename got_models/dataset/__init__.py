"""The user's pictures for training: a folder with pictures and `data.jsonl`, with every row validated."""
