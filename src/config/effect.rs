//! Settings that somebody gave and that change nothing in this run. Which they are is said by
//! [`super::settings`].

use super::setting::Setting;
use super::values::Strategy;
use crate::error::listed;

/// A sentence about those of the `given` settings, each as it was written, that have no effect with any of the
/// strategies; `None` where all have one.
pub fn without_effect(given: &[(&Setting, &str)], strategies: &[Strategy]) -> Option<String> {
    let names: Vec<&str> =
        given.iter().filter(|(setting, _)| setting.steers_optimizer).map(|(_, written)| *written).collect();
    if names.is_empty() || strategies.iter().any(|strategy| *strategy != Strategy::Frozen) {
        return None;
    }
    let verb = if names.len() == 1 { "has" } else { "have" };
    Some(format!(
        "{} {verb} no effect with --strategy frozen: a solver fits the head on the features until nothing improves",
        listed(names)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::find;

    #[test]
    fn what_steers_the_optimizer_is_idle_when_frozen() {
        let given: Vec<(&Setting, &str)> = [("epochs", "--epochs"), ("seed", "--seed"), ("dropout", "--dropout")]
            .into_iter()
            .filter_map(|(name, flag)| Some((find(name)?, flag)))
            .collect();
        let said = without_effect(&given, &[Strategy::Frozen]).unwrap();
        assert!(said.starts_with("`--epochs` and `--dropout` have no effect with --strategy frozen"), "{said}");
        assert_eq!(without_effect(&given, &[Strategy::Frozen, Strategy::Full]), None);
        assert_eq!(without_effect(&given[1..2], &[Strategy::Frozen]), None);
    }
}
