"""The simulator: composed scenes, a cortex with planted rules, and NSD's own files for both.

Everything made here is labelled as simulated; nothing in it is a finding about brains.
"""
