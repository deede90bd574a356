"""Child processes: bounded, heard, ended."""
