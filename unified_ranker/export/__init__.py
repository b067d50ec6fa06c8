"""From a trained model to a release: SavedModel, item vectors, index, manifest."""
