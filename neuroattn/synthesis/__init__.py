"""Brain-guided image synthesis: pictures that a fitted encoder predicts to drive chosen targets."""
