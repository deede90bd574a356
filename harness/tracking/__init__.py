"""Mirrors of the store elsewhere. The record on disk is the truth; a tracker only repeats it."""

from harness.tracking.base import NoTracker, Tracker
from harness.tracking.wandb_tracker import WandbTracker, under_agent

__all__ = ["NoTracker", "Tracker", "WandbTracker", "under_agent"]
