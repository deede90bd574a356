"""From token chunks to a trained model."""
