//! Precision against recall for two labels, at every probability that could be the threshold.

use maud::{Markup, html};

use crate::report::html::page::figure;
use crate::report::html::plot::{Plot, Scale, Unit, legend_entry};
use crate::report::html::text::{label, percent, shown};

/// The curve of one label, from the most certain row to all rows.
struct Curve {
    /// Recall and precision.
    points: Vec<(f64, f64)>,
    /// The area under it: the mean precision, weighted by the recall that each threshold adds.
    average_precision: f64,
}

/// `scores`: of each row the label's probability, and whether the row has the label. `None` where no row has it.
fn curve(mut scores: Vec<(f32, bool)>) -> Option<Curve> {
    let all = scores.iter().filter(|(_, has)| *has).count();
    if all == 0 {
        return None;
    }
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut points, mut found, mut recall, mut area) = (Vec::new(), 0, 0.0, 0.0);
    for (index, &(score, has)) in scores.iter().enumerate() {
        found += usize::from(has);
        // Rows of one probability are on the same side of every threshold.
        if scores.get(index + 1).is_some_and(|next| next.0 == score) {
            continue;
        }
        let precision = found as f64 / (index + 1) as f64;
        let reached = found as f64 / all as f64;
        area += (reached - recall) * precision;
        recall = reached;
        points.push((reached, precision));
    }
    Some(Curve { points, average_precision: area })
}

/// A line for each of two labels. `probabilities`: row-major, two a row.
pub fn precision_recall(truth: &[u32], probabilities: &[f32], labels: &[String]) -> Markup {
    let of_label = |class: usize| {
        let rows = probabilities.chunks_exact(2).zip(truth);
        curve(rows.map(|(row, &label)| (row[class], label as usize == class)).collect())
    };
    let curves: Vec<(usize, Curve)> = (0..2).filter_map(|class| Some((class, of_label(class)?))).collect();
    let low = curves.iter().flat_map(|(_, curve)| &curve.points).map(|point| point.1).fold(1.0, f64::min);
    let y = if low > 0.5 { Scale::new(0.5, 1.0, Unit::Percent) } else { Scale::new(0.0, 1.0, Unit::Percent) };
    let mut plot = Plot::new((Scale::new(0.0, 1.0, Unit::Percent), "recall"), (y, "precision"));
    let class = |index: usize| if index == 0 { "c0" } else { "c1 dashed" };
    for (index, curve) in &curves {
        plot.line(class(*index), &curve.points);
    }
    let name = |index: usize| labels.get(index).map_or("?", String::as_str);
    let legend = html! {
        @for (index, curve) in &curves {
            (legend_entry(class(*index), None, html! {
                bdi { (label(name(*index))) ", average precision " (percent(curve.average_precision)) }
            }))
        }
    };
    let described: Vec<String> = curves
        .iter()
        .map(|(index, curve)| format!("{}: average precision {}", name(*index), percent(curve.average_precision)))
        .collect();
    let drawing = plot.finish("Precision against recall", &shown(&described.join(", ")));
    figure(html! { "Precision against recall, at every threshold" }, legend, drawing)
}

#[cfg(test)]
mod tests {
    use super::*;

    // sklearn.metrics.precision_recall_curve([0, 0, 1, 1, 1], [0.1, 0.4, 0.35, 0.8, 0.4]) and average_precision_score
    #[test]
    fn equals_scikit_learn() {
        let scores = [(0.1, false), (0.4, false), (0.35, true), (0.8, true), (0.4, true)];
        let curve = curve(scores.to_vec()).unwrap();
        let expected = [(1.0 / 3.0, 1.0), (2.0 / 3.0, 2.0 / 3.0), (1.0, 0.75), (1.0, 0.6)];
        assert_eq!(curve.points.len(), expected.len());
        for (point, expected) in curve.points.iter().zip(expected) {
            assert!((point.0 - expected.0).abs() < 1e-12 && (point.1 - expected.1).abs() < 1e-12, "{point:?}");
        }
        assert!((curve.average_precision - 0.8055555555555556).abs() < 1e-12);
    }

    #[test]
    fn a_label_without_rows_has_no_curve() {
        let labels = ["a", "b"].map(str::to_owned);
        let drawn = precision_recall(&[0, 0], &[0.9, 0.1, 0.2, 0.8], &labels).into_string();
        assert!(drawn.contains(">a<") && !drawn.contains(">b<") && !drawn.contains("NaN"), "{drawn}");
    }
}
