//! Chooses a penalty on validation data along a path of penalties: each solution is where the next begins.

use crate::error::Result;

/// Two penalties in a row that are worse than the best so far end the search: the path is smooth.
const WORSE_IN_A_ROW: usize = 2;

/// Solves for each of `penalties` in turn and returns the solution with the lowest validation loss; of equals the
/// earlier one, and none when no loss was finite. `solve` returns the validation loss and what is to be kept of a
/// solution.
///
/// # Errors
/// Those of `solve`.
pub fn choose<T>(penalties: &[f64], mut solve: impl FnMut(f64) -> Result<(f64, T)>) -> Result<Option<T>> {
    let mut best: Option<(f64, T)> = None;
    let mut worse = 0;
    for &penalty in penalties {
        let (loss, solution) = solve(penalty)?;
        let is_better = loss.is_finite() && best.as_ref().is_none_or(|(best, _)| loss < *best);
        if is_better {
            best = Some((loss, solution));
            worse = 0;
        } else {
            worse += 1;
            if worse == WORSE_IN_A_ROW {
                break;
            }
        }
    }
    Ok(best.map(|(_, solution)| solution))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_ends_after_two_worse_in_a_row() -> Result<()> {
        let losses = [0.5, 0.6, 0.4, 0.41, f64::NAN, 0.1];
        let mut tried = 0;
        let found = choose(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], |penalty| {
            tried += 1;
            Ok((losses[penalty as usize], penalty))
        })?;
        assert_eq!((found, tried), (Some(2.0), 5));
        assert_eq!(choose(&[1.0], |penalty| Ok((f64::NAN, penalty)))?, None);
        Ok(())
    }
}
