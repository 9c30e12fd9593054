"""One's own pictures for training: a folder with pictures and `data.jsonl`, every row of it checked."""
