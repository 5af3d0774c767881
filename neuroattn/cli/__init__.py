"""The command line: composes, validates, hands over."""
