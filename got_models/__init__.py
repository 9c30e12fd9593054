"""Generation Chain-of-Thought (arXiv 2503.10639): a sentence becomes a plan, and the plan a picture."""
