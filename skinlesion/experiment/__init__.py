"""An experiment opened: its data, its trained models, and the way from an image to a probability."""
