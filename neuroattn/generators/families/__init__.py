"""One small adapter for each family of generators, all behind `neuroattn.generators.contract`."""
