"""Pure numerics: correlation, ceilings, permutation, bootstrap."""
