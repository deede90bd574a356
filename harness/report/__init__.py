"""The HTML report, a pure function of records and stored synthetic tables."""
