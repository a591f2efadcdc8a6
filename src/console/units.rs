//! Numbers for people: durations, counts, bytes and rates, each with its unit.

use std::time::Duration;

/// `340 ms`, `1.2 s`, `23 s`, `1 min 23 s`, `2 h 5 min`, `3 d 4 h`.
pub fn duration(time: Duration) -> String {
    let milliseconds = time.as_millis();
    if milliseconds < 1000 {
        return format!("{milliseconds} ms");
    }
    if milliseconds < 9950 {
        return format!("{:.1} s", time.as_secs_f64());
    }
    // Rounded first, so that 59.7 s is a minute and not `60 s`.
    let seconds = (time.as_millis() + 500) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => two(minutes, "min", seconds % 60, "s"),
        (0, _, _) => two(hours, "h", minutes % 60, "min"),
        _ => two(days, "d", hours % 24, "h"),
    }
}

/// [`duration`] of a number of seconds; what no duration can be (negative, not finite) is `?`.
pub fn seconds(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds).map_or_else(|_| "?".to_owned(), duration)
}

fn two(large: u128, large_unit: &str, small: u128, small_unit: &str) -> String {
    if small == 0 { format!("{large} {large_unit}") } else { format!("{large} {large_unit} {small} {small_unit}") }
}

/// `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 row`, `1,234 rows`, for a noun with a plural in -s.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A share from 0 to 1 as whole per cent, rounded down: `38 %`.
pub fn percent(share: f64) -> String {
    format!("{} %", (100.0 * share.clamp(0.0, 1.0)).floor())
}

/// A share from 0 to 1 as a bar of eighths of blocks, at most `widest` columns wide. For terminals.
pub fn bar(share: f64, widest: usize) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (share.clamp(0.0, 1.0) * widest as f64 * 8.0).round() as usize;
    let part = Some(EIGHTHS[eighths % 8]).filter(|part| *part != ' ');
    std::iter::repeat_n('█', eighths / 8).chain(part).collect()
}

/// The day (UTC) of a time in seconds since 1970: year, month from 1 to 12, day from 1.
pub fn calendar_day(seconds: u64) -> (u64, usize, u64) {
    let mut days = seconds / 86_400;
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    (year, month + 1, days + 1)
}

/// `512 B`, `86.7 MiB`: binary multiples.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut value = number as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 would be shown as `1024.0`.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `6,943 tokens/s`, `3.2 steps/s`, `0.25 steps/s`.
pub fn rate(per_second: f64, unit: &str) -> String {
    if !per_second.is_finite() || per_second < 0.0 {
        return format!("? {unit}/s");
    }
    if per_second >= 99.95 {
        format!("{} {unit}/s", count(per_second.round() as u64))
    } else if per_second >= 0.995 {
        format!("{per_second:.1} {unit}/s")
    } else {
        format!("{per_second:.2} {unit}/s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_take_the_two_largest_units() {
        let shown = |milliseconds| duration(Duration::from_millis(milliseconds));
        assert_eq!(shown(340), "340 ms");
        assert_eq!(shown(1240), "1.2 s");
        assert_eq!(shown(9960), "10 s");
        assert_eq!(shown(59_700), "1 min");
        assert_eq!(shown(83_000), "1 min 23 s");
        assert_eq!(shown(7_500_000), "2 h 5 min");
        assert_eq!(shown(273_600_000), "3 d 4 h");
        assert_eq!(seconds(f64::NAN), "?");
        assert_eq!(seconds(-1.0), "?");
    }

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (22_713_216, "22,713,216")] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn bars_are_drawn_in_eighths() {
        assert_eq!([0.0, 0.5, 0.55, 1.0, 7.0].map(|share| bar(share, 4)), ["", "██", "██▎", "████", "████"]);
        assert_eq!(bar(f64::NAN, 4), "");
    }

    #[test]
    fn bytes_are_binary() {
        let expected =
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (90_900_000, "86.7 MiB"), (1_048_575, "1.0 MiB")];
        for (number, text) in expected {
            assert_eq!(bytes(number), text);
        }
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
    }

    #[test]
    fn rates_keep_the_digits_that_matter() {
        assert_eq!(rate(6943.4, "tokens"), "6,943 tokens/s");
        assert_eq!(rate(3.21, "steps"), "3.2 steps/s");
        assert_eq!(rate(0.249, "steps"), "0.25 steps/s");
        assert_eq!(rate(f64::INFINITY, "rows"), "? rows/s");
    }
}
