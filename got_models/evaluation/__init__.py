"""How any checkpoint plans and draws: other people's prompts, and a report that its owner can post."""
