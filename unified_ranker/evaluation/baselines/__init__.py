"""What a recommender without a neural network does with the same data: the opponents of the trained model."""
