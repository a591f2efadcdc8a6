//! When and by which command a result was made, as its page says it.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::next_steps::shell_word;
use crate::console::units;

/// When and how something was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// `27 November 2026, 19:20 UTC`.
    pub date: String,
    /// The command with its options, to be copied into a shell.
    pub command: String,
}

impl Provenance {
    /// Of what this process makes now.
    pub fn now() -> Self {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let words = std::env::args_os().skip(1).map(|word| shell_word(Path::new(&word)));
        let command = std::iter::once("rehead".to_owned()).chain(words).collect::<Vec<_>>().join(" ");
        Self { date: date(seconds), command }
    }
}

/// A time in seconds since 1970, without those of the minute.
fn date(seconds: u64) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let (year, month, day) = units::calendar_day(seconds);
    let minutes = seconds % 86_400 / 60;
    format!("{day} {} {year}, {:02}:{:02} UTC", MONTHS[month - 1], minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_equal_those_of_python() {
        // datetime.fromtimestamp(s, timezone.utc).strftime("%d %B %Y, %H:%M UTC")
        assert_eq!(date(0), "1 January 1970, 00:00 UTC");
        assert_eq!(date(951_782_399), "28 February 2000, 23:59 UTC");
        assert_eq!(date(951_782_400), "29 February 2000, 00:00 UTC");
        assert_eq!(date(1_795_806_000), "27 November 2026, 19:00 UTC");
        assert_eq!(date(1_798_761_599), "31 December 2026, 23:59 UTC");
    }
}
