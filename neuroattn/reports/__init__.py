"""One HTML page from artefacts: what was done, to what, how well, and with what code.

The room knows artefact schemas and no method: it imports no torch, reads only what finished
stages wrote, and can rebuild a report on a laptop.
"""
