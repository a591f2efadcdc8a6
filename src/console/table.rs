//! A small table of text for terminals: columns aligned, headers above, no borders.

use std::fmt;

/// A column: its header, its side, and how wide its cells may become.
#[derive(Debug, Clone)]
pub struct Column {
    header: String,
    right: bool,
    widest: usize,
}

impl Column {
    /// A column of words.
    pub fn left(header: impl Into<String>) -> Self {
        Self { header: header.into(), right: false, widest: usize::MAX }
    }

    /// A column of numbers.
    pub fn right(header: impl Into<String>) -> Self {
        Self { right: true, ..Self::left(header) }
    }

    /// Longer cells are cut, with `…` as their last character.
    pub fn at_most(self, widest: usize) -> Self {
        Self { widest: widest.max(1), ..self }
    }
}

/// Rows of cells under headers. Displays one line per row, without a newline at the end.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows; `columns` from left to right.
    pub fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a row. Cells that are missing are empty; cells beyond the last column are not shown.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) -> &mut Self {
        self.rows.push(cells.into_iter().map(Into::into).collect());
        self
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers = self.columns.iter().map(|column| column.header.clone()).collect();
        let lines: Vec<Vec<String>> = std::iter::once(&headers)
            .chain(&self.rows)
            .map(|cells| {
                let cell =
                    |(index, column): (usize, &Column)| fit(cells.get(index).map_or("", |cell| cell), column.widest);
                self.columns.iter().enumerate().map(cell).collect()
            })
            .collect();
        let width = |index: usize| lines.iter().filter_map(|line| line.get(index)).map(|cell| width(cell)).max();
        let widths: Vec<usize> = (0..self.columns.len()).map(|index| width(index).unwrap_or(0)).collect();
        for (number, line) in lines.iter().enumerate() {
            let mut text = String::new();
            for ((cell, column), widest) in line.iter().zip(&self.columns).zip(&widths) {
                let padding = " ".repeat(widest - self::width(cell));
                let (before, after) = if column.right { (padding.as_str(), "") } else { ("", padding.as_str()) };
                text.extend([before, cell, after, "  "]);
            }
            let newline = if number == 0 { "" } else { "\n" };
            write!(f, "{newline}{}", text.trim_end())?;
        }
        Ok(())
    }
}

/// The cell on one line and at most `widest` wide.
fn fit(cell: &str, widest: usize) -> String {
    let cell: String = cell.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    if width(&cell) <= widest {
        return cell;
    }
    let mut cut = String::new();
    for char in cell.chars() {
        if width(&cut) + char_width(char) >= widest {
            break;
        }
        cut.push(char);
    }
    cut.push('…');
    cut
}

/// The columns of a terminal that `text` takes.
pub fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Two for the scripts and signs that terminals draw wide, none for marks that join the letter before; near enough
/// for alignment.
fn char_width(char: char) -> usize {
    match u32::from(char) {
        0x0300..=0x036F | 0x200B..=0x200F | 0xFE00..=0xFE0F => 0,
        0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0xFE30..=0xFE6F => 2,
        0xFF00..=0xFF60 | 0xFFE0..=0xFFE6 | 0x1F300..=0x1FAFF | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_numbers_right() {
        let mut table = Table::new([Column::left("strategy"), Column::right("seconds"), Column::left("note")]);
        table.row(["full", "577.0", ""]).row(["frozen", "9.1", "first"]).row(["last:2"]);
        let expected = "\
strategy  seconds  note
full        577.0
frozen        9.1  first
last:2";
        assert_eq!(table.to_string(), expected);
    }

    #[test]
    fn long_cells_are_cut_and_lines_stay_lines() {
        let mut table = Table::new([Column::left("label").at_most(6), Column::right("f1")]);
        table.row(["politics", "0.5"]).row(["a\nb", "0.25"]);
        assert_eq!(table.to_string(), "label     f1\npolit…   0.5\na b     0.25");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let mut table = Table::new([Column::left("l"), Column::left("x")]);
        table.row(["日本", "1"]).row(["e\u{301}tat", "2"]);
        assert_eq!(table.to_string(), "l     x\n日本  1\ne\u{301}tat  2");
        assert_eq!(width(&fit("日本語", 5)), 5);
        assert_eq!(fit("日本語", 1), "…");
    }

    #[test]
    fn an_empty_table_is_its_headers() {
        assert_eq!(Table::new([Column::left("a"), Column::right("b")]).to_string(), "a  b");
        assert_eq!(Table::new([]).to_string(), "");
    }
}
