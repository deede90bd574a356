"""From a trained model to table rows."""
