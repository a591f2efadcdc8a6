//! Linear models fitted to convergence: logistic regression by L-BFGS.

pub mod lbfgs;
pub mod logistic;
