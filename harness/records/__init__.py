"""One cell's account, and the store it lies in."""
