"""The subject of the paper: language models as table generators, and the column orders they are given."""
