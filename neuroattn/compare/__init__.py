"""Fan-in over fitted encoders: paired differences, ensembles, tables over readouts and subjects."""
