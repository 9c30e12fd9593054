"""Training: the paper's joint objective (appendix; the authors never released their code)."""
