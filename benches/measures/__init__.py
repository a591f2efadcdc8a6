"""One file per measurement. Each has `measure(args, processes, inputs)`, which returns a `Measurement`."""
