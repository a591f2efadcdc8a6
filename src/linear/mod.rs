//! Linear models fitted to convergence: logistic regression by L-BFGS, its penalty chosen along a path.

pub mod lbfgs;
pub mod logistic;
pub mod path;
