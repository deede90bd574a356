"""The row language model on a GPU, and be-great beside it (``make bench-gpu``)."""
