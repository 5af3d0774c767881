"""Tests of neuroattn.data."""
