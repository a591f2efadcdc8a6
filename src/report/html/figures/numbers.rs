//! Predicted numbers against right ones, and the errors against what is predicted.

use maud::{Markup, html};

use crate::report::PredictedNumbers;
use crate::report::html::page::figure;
use crate::report::html::plot::{Plot, Scale, Unit};
use crate::report::regression::number;

/// Rows drawn: of more, as many evenly spread ones.
const MOST_DOTS: usize = 1500;

/// The rows that are drawn.
fn drawn(numbers: &PredictedNumbers) -> impl Iterator<Item = usize> {
    let rows = numbers.truth.len();
    (0..rows).step_by(rows.div_ceil(MOST_DOTS).max(1))
}

fn tip(numbers: &PredictedNumbers, row: usize) -> String {
    let (predicted, truth) = (f64::from(numbers.predicted[row]), numbers.truth[row]);
    format!("predicted {}, in the data {}", number(predicted), number(truth))
}

/// What is predicted against what is right: a point on the line is a row without error.
pub fn scatter(numbers: &PredictedNumbers) -> Markup {
    let both = || numbers.truth.iter().copied().chain(numbers.predicted.iter().map(|&number| f64::from(number)));
    let (x, y) = (Scale::around(both(), Unit::Plain), Scale::around(both(), Unit::Plain));
    let (low, high) = (x.low(), x.high());
    let mut plot = Plot::new((x, "in the data"), (y, "predicted"));
    plot.line("quiet dashed thinner", &[(low, low), (high, high)]);
    for row in drawn(numbers) {
        plot.dot("c0", (numbers.truth[row], f64::from(numbers.predicted[row])), 2.5, &tip(numbers, row));
    }
    let description = "Each row's predicted number against the one in the data; on the line both are the same";
    figure(html! { "Predicted and right numbers" }, html! {}, plot.finish("Scatter plot", description))
}

/// The errors against what is predicted: without a pattern where the network errs by chance.
pub fn residuals(numbers: &PredictedNumbers) -> Markup {
    let predicted = numbers.predicted.iter().map(|&number| f64::from(number));
    let errors = (0..numbers.truth.len()).map(|row| numbers.error(row).abs()).fold(0.0, f64::max);
    let x = Scale::around(predicted, Unit::Plain);
    let (low, high) = (x.low(), x.high());
    let mut plot = Plot::new((x, "predicted"), (Scale::around([-errors, errors], Unit::Plain), "error"));
    plot.line("quiet dashed thinner", &[(low, 0.0), (high, 0.0)]);
    for row in drawn(numbers) {
        plot.dot("c1", (f64::from(numbers.predicted[row]), numbers.error(row)), 2.5, &tip(numbers, row));
    }
    let description = "Each row's error, predicted less right, against what is predicted";
    figure(html! { "Errors" }, html! {}, plot.finish("Residual plot", description))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_nothing_and_of_equal_numbers_are_not_wrong() {
        for (truth, predicted) in [(vec![], vec![]), (vec![2.0, 2.0], vec![2.0, 2.0]), (vec![-1.0], vec![1e6])] {
            let numbers = PredictedNumbers { truth, predicted };
            let drawn = scatter(&numbers).into_string() + &residuals(&numbers).into_string();
            assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
            assert_eq!(drawn.matches("<circle").count(), 2 * numbers.truth.len());
        }
    }
}
