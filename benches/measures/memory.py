"""Peak memory of labelling a long file and one of 10,000 lines. The model is tiny, so that memory that grows shows."""

from harness.results import Goal, Measurement

FEW = 10_000


def measure(args, processes, inputs):
    model = inputs.made("tiny")
    names = {rows: f"{rows:,} lines" for rows in (FEW, args.memory_rows)}
    files = {rows: inputs.lines(rows) for rows in names}

    def label(rows):
        written = inputs.scratch / "labelled.csv"
        done = processes.rehead("label", "--model", model, "--input", files[rows], "--output", written)
        lines = sum(chunk.count(b"\n") for chunk in chunks(written))
        if lines != rows + 1:
            raise SystemExit(f"{rows} lines were labelled as {lines - 1}")
        return {
            "seconds": done.seconds,
            "peak_megabytes": done.peak_bytes / 1e6,
            "rows_per_second": rows / done.seconds,
            "command": done.command,
        }

    result = Measurement("memory", "peak of rehead label, a tiny model with random weights")
    result.interleave({name: lambda r=rows: label(r) for rows, name in names.items()}, 1)
    peaks = [result.series[name].median("peak_megabytes") for name in names.values()]
    few, many = names.values()
    result.goals.append(Goal(f"memory for {many} / for {few}", peaks[1] / peaks[0], goal=1.3, most=True))
    result.show(("peak_megabytes", "peak MB", ",.0f"), ("rows_per_second", "rows/s", ",.0f"))
    return result


def chunks(path):
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            yield chunk
