//! Which of several strategies is best, and what the test rows and seeds at hand cannot tell. Accuracy, macro-F1 and
//! their differences are fractions from 0 to 1, higher is better; every interval is a 95 % one.
//!
//! A strategy's score varies for two reasons: other test rows would have been easier or harder, and another seed would
//! have trained another network. Predictions on the same rows with every seed form a crossed two-way table (rows ×
//! seeds), whose analysis of variance tells the two apart. For macro-F1, which is no mean over rows, a row's entry is
//! its jackknife pseudo-value (Dorfman, Berbaum and Metz 1992, who compare diagnostic systems over cases and readers in
//! this way); for accuracy that is 1 where the prediction is right and 0 where it is wrong. Strategies are compared on
//! the differences of their entries, paired by row and seed.
//!
//! The interval is wide enough however few the seeds. Its half-width is the root of t²·V, summed over both reasons,
//! where V is a reason's variance and t the quantile for its own degrees of freedom (Banerjee 1960: covers at least
//! what it promises, whatever the true variances). Two or three seeds say little about the next one, and t makes them
//! pay for it: 12.7 and 4.3 in place of 1.96. The bootstrap over rows and seeds ignores this and finds differences
//! where there are none (figures in the tests). A contender without chance, the same with every seed, adds no seed
//! variance and pays nothing.
//!
//! Naming as winner whoever is ahead of every other by its own 95 % interval is wrong in at most 5 % of cases, however
//! many contenders are equally good: the first must beat the second, not some other by luck (Gutmann and Maymin 1987).
//!
//! In the order of the computation: [`entries`] makes a number of every row and seed, [`anova`] tells the variance over
//! rows from that over seeds, [`mcnemar`] tests two runs exactly, [`verdict`] says what follows, and [`compare()`] puts
//! it together ([`result`]).

mod anova;
mod compare;
mod entries;
mod mcnemar;
pub mod result;
mod verdict;

pub use self::compare::compare;
pub use self::result::{Comparison, Contender, Difference, Mcnemar, More, Pair, Standing, Summary, Verdict};
