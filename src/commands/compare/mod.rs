//! `rehead compare`: several strategies on the same data and seeds, side by side with what can be had without a
//! network.
//!
//! Every run is a run directory of its own below `--out`; finished ones are not done again. Seeds are the outer loop,
//! so that what slows the machine down meets every strategy, and an interrupted comparison has whole rounds. What is
//! said of the results is `evaluation::comparison`'s affair.
//!
//! [`pipeline`] runs it: `train` for every strategy and seed, [`baselines`] on the same [rows](baseline_rows),
//! [`outcome`] (what they scored, as JSON, table and CSV), [`next`] (which run to continue with) and [`page`] (the
//! report). [`runs`] is what a finished run has left, [`origin`] what it was made from.

mod baseline_rows;
mod baselines;
mod next;
mod outcome;
mod page;
mod pipeline;
mod runs;

pub use self::pipeline::run;
