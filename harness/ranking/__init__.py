"""Records to standings: pure functions, no file and no process."""
