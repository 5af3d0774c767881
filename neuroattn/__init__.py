"""Image-to-brain encoders, decoders, synthesis and captions on NSD-style fMRI, as one pipeline."""
