//! Rows that are mostly zero (compressed sparse rows).

/// A matrix of which only what is not zero is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseRows {
    /// Where each row begins in `columns` and `values`, and the end.
    starts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f64>,
    width: usize,
}

impl SparseRows {
    /// Rows of (column, value), with columns below `width`.
    pub fn new(rows: impl IntoIterator<Item = Vec<(u32, f64)>>, width: usize) -> Self {
        let mut matrix = Self { starts: vec![0], columns: Vec::new(), values: Vec::new(), width };
        for row in rows {
            for (column, value) in row {
                matrix.columns.push(column);
                matrix.values.push(value);
            }
            matrix.starts.push(matrix.columns.len());
        }
        matrix
    }

    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// The entries of a row; none beyond the last.
    pub fn row(&self, index: usize) -> impl Iterator<Item = (usize, f64)> {
        let range = match self.starts.get(index..) {
            Some([start, end, ..]) => *start..*end,
            _ => 0..0,
        };
        let columns = self.columns.get(range.clone()).unwrap_or_default();
        let values = self.values.get(range).unwrap_or_default();
        columns.iter().zip(values).map(|(&column, &value)| (column as usize, value))
    }

    /// Columns as rows.
    pub fn transposed(&self) -> Self {
        let mut starts = vec![0; self.width + 1];
        for &column in &self.columns {
            starts[column as usize + 1] += 1;
        }
        for column in 0..self.width {
            starts[column + 1] += starts[column];
        }
        let mut next = starts.clone();
        let mut columns = vec![0; self.columns.len()];
        let mut values = vec![0.0; self.values.len()];
        for row in 0..self.rows() {
            for (column, value) in self.row(row) {
                let at = next[column];
                next[column] += 1;
                columns[at] = row as u32;
                values[at] = value;
            }
        }
        Self { starts, columns, values, width: self.rows() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_exchanges_rows_and_columns() {
        let matrix = SparseRows::new([vec![(0, 1.0), (2, 2.0)], vec![], vec![(2, 3.0)]], 4);
        let other = matrix.transposed();
        let rows: Vec<Vec<(usize, f64)>> = (0..5).map(|row| other.row(row).collect()).collect();
        assert_eq!(rows, [vec![(0, 1.0)], vec![], vec![(0, 2.0), (2, 3.0)], vec![], vec![]]);
        assert_eq!((other.rows(), other.width()), (4, 3));
        assert_eq!(other.transposed(), matrix);
    }
}
