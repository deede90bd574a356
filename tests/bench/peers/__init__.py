"""Our row language model and its peers side by side (``make bench-peers``): each side in its own process, turn by turn.

``theirs`` runs in the peer's own virtual environment; both sides are timed inside their processes, on equally many threads.
"""
