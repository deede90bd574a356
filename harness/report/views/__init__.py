"""What pages and figures show, computed once and drawn nowhere."""
