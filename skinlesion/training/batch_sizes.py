"""Batch sizes for inference; those for training are parameters.

The size of a batch can change the last bits of an output, so these numbers are part of every result.
"""

#: A trained model on the images of a part: heads on cached features, or whole networks on pixels.
EVALUATION = {"features": 1024, "pixels": 64}

#: A frozen backbone on all images, by type of device: small batches stay in a CPU's cache, a GPU wants large ones.
FEATURES = {"cpu": 16, "cuda": 256}

#: All runs of an experiment on photographs. On a CPU 16 to 48 are equally fast and 8 a third slower.
PHOTOGRAPHS = 16

#: Activation maps, whose gradients need several times the memory.
MAPS = 16
