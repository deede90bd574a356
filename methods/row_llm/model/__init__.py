"""The language models, run without computing what is not needed."""
