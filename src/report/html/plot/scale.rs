//! Scales: from data to a position on an axis, and the axis' ticks.

use crate::console::units;

/// How an axis writes its ticks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Unit {
    Plain,
    /// Fractions, written as per cent.
    Percent,
    /// Differences of fractions, written as percentage points.
    Points,
    /// Numbers without parts.
    Whole,
    Seconds,
}

/// From data to a place between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
    unit: Unit,
}

impl Scale {
    pub fn new(low: f64, high: f64, unit: Unit) -> Self {
        Self { low, high: if high > low { high } else { low + 1.0 }, logarithmic: false, unit }
    }

    /// A scale with round ends that holds all values.
    pub fn around(values: impl IntoIterator<Item = f64>, unit: Unit) -> Self {
        let (low, high) = range(values).unwrap_or((0.0, 1.0));
        let widened =
            if high > low { (low, high) } else { (low - low.abs() * 0.1 - 1e-3, high + high.abs() * 0.1 + 1e-3) };
        let step = step(widened.1 - widened.0, unit);
        let (low, high) = ((widened.0 / step).floor() * step, (widened.1 / step).ceil() * step);
        // Shares and counts do not leave their range.
        let low = if range_is_positive(widened.0) { low.max(0.0) } else { low };
        Self::new(low, if unit == Unit::Percent { high.min(1.0) } else { high }, unit)
    }

    /// As [`Scale::around`], logarithmic when the largest value is more than eight times the smallest.
    pub fn around_magnitudes(values: impl IntoIterator<Item = f64>, unit: Unit) -> Self {
        match range(values) {
            Some((low, high)) if low > 0.0 && high > 8.0 * low => {
                Self { low: low / 1.4, high: high * 1.4, logarithmic: true, unit }
            }
            found => Self::around(found.into_iter().flat_map(|(_, high)| [0.0, high]), unit),
        }
    }

    /// Where a value lies; outside 0 to 1 for values beyond the ends.
    pub fn position(&self, value: f64) -> f64 {
        match self.logarithmic {
            true => (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        }
    }

    pub fn low(&self) -> f64 {
        self.low
    }

    pub fn high(&self) -> f64 {
        self.high
    }

    pub fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// What stands at its ends.
    pub fn ends(&self) -> (String, String) {
        (self.tick_text(self.low), self.tick_text(self.high))
    }

    pub fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            return self.logarithmic_ticks();
        }
        let step = step(self.high - self.low, self.unit);
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last.min(first + 20)).map(|tick| tick as f64 * step).collect()
    }

    fn logarithmic_ticks(&self) -> Vec<f64> {
        const TIMES: [f64; 16] = [
            0.01, 0.1, 1.0, 3.0, 10.0, 30.0, 60.0, 180.0, 600.0, 1800.0, 3600.0, 10_800.0, 36_000.0, 86_400.0,
            259_200.0, 864_000.0,
        ];
        let decades = || (-12..=18).flat_map(|power| [1.0, 3.0].map(|digit| digit * 10f64.powi(power)));
        let candidates: Vec<f64> = if self.unit == Unit::Seconds { TIMES.to_vec() } else { decades().collect() };
        let mut ticks: Vec<f64> = candidates.into_iter().filter(|tick| (self.low..=self.high).contains(tick)).collect();
        while ticks.len() > 6 {
            ticks = ticks.into_iter().step_by(2).collect();
        }
        ticks
    }

    pub fn tick_text(&self, tick: f64) -> String {
        let step = if self.logarithmic { tick } else { step(self.high - self.low, self.unit) };
        match self.unit {
            Unit::Percent => format!("{}\u{202f}%", fixed(tick * 100.0, step * 100.0)),
            Unit::Points if tick > step / 2.0 => format!("+{}", fixed(tick * 100.0, step * 100.0)),
            Unit::Points => fixed(tick * 100.0, step * 100.0),
            Unit::Whole => units::count(tick as u64),
            Unit::Seconds if tick == 0.0 => "0".to_owned(),
            Unit::Seconds => short_time(tick),
            Unit::Plain if tick.abs() >= 1000.0 && tick.fract() == 0.0 => {
                format!("{}{}", if tick < 0.0 { "−" } else { "" }, units::count(tick.abs() as u64))
            }
            Unit::Plain => fixed(tick, step),
        }
    }
}

fn range_is_positive(low: f64) -> bool {
    low >= 0.0
}

/// `1.2 s` where the console would say `1.2 s`, but `10 s` for ten seconds and not `10.0 s`.
fn short_time(seconds: f64) -> String {
    if (1.0..10.0).contains(&seconds) && seconds.fract() == 0.0 {
        return format!("{seconds:.0}\u{202f}s");
    }
    units::seconds(seconds).replace(' ', "\u{202f}")
}

/// The smallest and the largest of the finite values.
fn range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}

/// A round distance between ticks: about five of them in `span`.
fn step(span: f64, unit: Unit) -> f64 {
    let raw = span / 5.0;
    if unit == Unit::Seconds && raw > 10.0 {
        const ROUND: [f64; 14] = [
            15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 43_200.0,
            86_400.0,
        ];
        return ROUND.into_iter().find(|step| *step >= raw).unwrap_or((raw / 86_400.0).ceil() * 86_400.0);
    }
    let raw = if unit == Unit::Whole { raw.max(1.0) } else { raw };
    let magnitude = 10f64.powf(raw.log10().floor());
    let digit = raw / magnitude;
    magnitude
        * if digit <= 1.0 {
            1.0
        } else if digit <= 2.0 {
            2.0
        } else if digit <= 5.0 {
            5.0
        } else {
            10.0
        }
}

/// As many decimals as tell ticks apart that are `step` apart.
fn fixed(value: f64, step: f64) -> String {
    let decimals = (-(step.abs().log10() + 1e-9).floor()).clamp(0.0, 8.0) as usize;
    let text = format!("{value:.decimals$}");
    let zero = text.trim_start_matches('-').chars().all(|char| matches!(char, '0' | '.'));
    if zero { text.trim_start_matches('-').to_owned() } else { text.replace('-', "−") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(scale: Scale) -> Vec<String> {
        scale.ticks().into_iter().map(|tick| scale.tick_text(tick)).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            texts(Scale::new(0.0, 1.0, Unit::Percent)),
            ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"].map(|t| t.replace(' ', "\u{202f}"))
        );
        assert_eq!(texts(Scale::new(0.0, 647.0, Unit::Plain)), ["0", "200", "400", "600"]);
        assert_eq!(texts(Scale::new(0.0, 6000.0, Unit::Plain)), ["0", "2,000", "4,000", "6,000"]);
        assert_eq!(texts(Scale::new(-0.02, 0.03, Unit::Plain)), ["−0.02", "−0.01", "0.00", "0.01", "0.02", "0.03"]);
        assert_eq!(
            texts(Scale::new(0.0, 300.0, Unit::Seconds)),
            ["0", "1\u{202f}min", "2\u{202f}min", "3\u{202f}min", "4\u{202f}min", "5\u{202f}min"]
        );
    }

    #[test]
    fn a_scale_holds_all_its_values() {
        let scale = Scale::around([0.853, 0.8796, f64::NAN], Unit::Percent);
        assert!(scale.position(0.853) >= 0.0 && scale.position(0.8796) <= 1.0, "{scale:?}");
        assert!(scale.low > 0.84 && scale.high < 0.89, "{scale:?}");
        assert_eq!(Scale::around([0.97, 1.0], Unit::Percent).high, 1.0);
        for lonely in [0.0, 0.5, 1.0, -3.0, 1e9] {
            let place = Scale::around([lonely], Unit::Plain).position(lonely);
            assert!((0.0..=1.0).contains(&place), "{lonely}: {place}");
        }
        assert!(Scale::around([], Unit::Plain).ticks().len() > 2);
    }

    #[test]
    fn magnitudes_far_apart_are_shown_logarithmically() {
        let near = Scale::around_magnitudes([60.0, 100.0], Unit::Seconds);
        assert_eq!((near.logarithmic, near.low), (false, 0.0));
        let far = Scale::around_magnitudes([0.02, 6.8, 577.0], Unit::Seconds);
        assert!(far.logarithmic);
        assert_eq!(texts(far), ["100\u{202f}ms", "3\u{202f}s", "30\u{202f}s", "3\u{202f}min"]);
        assert!(!Scale::around_magnitudes([0.0, 577.0], Unit::Seconds).logarithmic);
    }
}
