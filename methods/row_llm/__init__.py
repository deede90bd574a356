"""A causal language model that writes table rows column by column."""
