"""One plan drawn with many settings, on a labelled grid; and what each branch of the guidance adds."""
