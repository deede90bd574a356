"""One self-contained HTML file: leaderboard and a section per dataset, from records and stored tables alone."""

from harness.report.page import page

__all__ = ["page"]
