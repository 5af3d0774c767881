"""The sections of the page: each a function from `Sources` to blocks, listed in `reports.spec`."""
