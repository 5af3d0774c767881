"""Image backbones behind one contract, the feature store, and the stage ``features``."""
