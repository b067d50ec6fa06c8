"""The model: three towers and a ranking head over a catalogue, and the look-ups that feed them."""
