"""The networks: backbones, metadata encoders, fusion of both, classifiers, and losses."""
