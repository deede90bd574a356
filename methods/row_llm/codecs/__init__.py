"""Tables as tokens and back: how rows are written, what a value may hold, and where its tokens stand."""
