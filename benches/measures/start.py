"""Time of a new process that labels one text, from its start to its end."""

from harness.results import Goal, Measurement

TEXT = "a quiet film that stays with you"
REPEATS = 3  # per repeat of the other measurements, since each takes little time


def measure(args, processes, inputs):
    classifier = inputs.classifier()
    line = inputs.scratch / "one.txt"
    line.write_text(TEXT + "\n", encoding="utf-8")

    def timed(done):
        return {"seconds": done.seconds, "command": done.command, "peak_bytes": done.peak_bytes}

    def rehead():
        return timed(processes.rehead("label", "--model", classifier, "--input", line, "--output", "-"))

    def python():
        return timed(processes.peer("first_label", "--model", classifier, "--threads", args.threads, TEXT))

    rehead(), python()  # warm the page cache
    result = Measurement("start", "one text labelled by a new process")
    result.interleave({"rehead": rehead, "Python, pipeline": python}, REPEATS * args.repeats)
    seconds = result.series["rehead"].median("seconds")
    result.goals.append(Goal("rehead, start to first label", seconds, "s", 1.0, most=True))
    result.compare("Python with a pipeline / rehead", "rehead", "Python, pipeline")
    result.show()
    return result
