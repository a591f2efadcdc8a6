//! Linear models fitted to convergence, their penalty chosen along a path: logistic regression by L-BFGS, and ridge
//! regression.

pub mod lbfgs;
pub mod logistic;
pub mod path;
pub mod ridge;
