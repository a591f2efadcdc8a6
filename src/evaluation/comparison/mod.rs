//! Which of several strategies is best, and what the rows and seeds at hand cannot tell. Accuracy, macro-F1 and
//! their differences are fractions from 0 to 1, higher is better; every interval is a 95 % one.
//!
//! A strategy's score varies for two reasons: other rows would have been easier or harder, and another seed would
//! have trained another network. Predictions on the same rows with every seed form a crossed two-way table (rows ×
//! seeds), whose analysis of variance tells the two apart. For macro-F1, which is no mean over rows, a row's entry is
//! its jackknife pseudo-value (Dorfman, Berbaum and Metz 1992, who compare diagnostic systems over cases and readers in
//! this way); for accuracy that is 1 where the prediction is right and 0 where it is wrong. Strategies are compared on
//! the differences of their entries, paired by row and seed.
//!
//! The half-width of an interval is the root of t²·V, summed over both reasons, where V is a reason's variance and t
//! the quantile for its degrees of freedom (Banerjee 1960). The rows' part is the variance of the paired differences,
//! exact for each pair. Of the seeds' part two or three seeds of one pair say next to nothing: their own t would be
//! 12.7 or 4.3. So it borrows from what is known:
//!
//! - The residual of rows × seeds, which many rows measure well, says how much seeds would differ if a seed changed
//!   single rows only. Bouthillier et al. 2021 ("Accounting for Variance in Machine Learning Benchmarks") find that
//!   test rows are the larger source of variance, so that is the right order of magnitude.
//! - How much more, the quotient of the mean squares, is pooled over all contenders, with the sum of their degrees of
//!   freedom and a weak prior of two (as the moderated t of Smyth 2004 does for many genes with few samples each):
//!   [`anova`] has the numbers. Two seeds of five strategies then have t of 2.4 in place of 12.7.
//! - A pair whose seeds differ more than that has at least the normal interval of its own.
//!
//! The tests simulate it: with 2, 3 and 5 seeds the intervals cover the truth in 93 to 98 % of draws. Where one
//! strategy is far less steady than the others, its intervals cover 87 to 92 %. The bootstrap over rows and seeds finds
//! differences where there are none (figures in the tests). A contender without chance, the same with every seed, adds
//! no seed variance and pays nothing.
//!
//! Naming as winner whoever is ahead of every other by its own 95 % interval is wrong in about 5 % of cases at most,
//! however many contenders are equally good: the first must beat the second, not some other by luck (Gutmann and Maymin
//! 1987).
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
