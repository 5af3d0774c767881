"""What every room stands on: artefacts, fingerprints, claims, errors, seeds, progress, tracking."""
