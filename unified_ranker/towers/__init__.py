"""The user foundation, context and item towers, and the layers that they share."""
