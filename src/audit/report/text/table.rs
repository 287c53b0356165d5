//! Columns side by side, no wider than the terminal.

use super::super::safe::cut;

/// Between two columns.
const GAP: usize = 2;

pub(super) struct Column {
    name: &'static str,
    is_number: bool,
    /// What it may shrink to; others keep their width.
    least: Option<usize>,
}

impl Column {
    pub(super) const fn new(name: &'static str) -> Self {
        Self {
            name,
            is_number: false,
            least: None,
        }
    }

    pub(super) const fn number(name: &'static str) -> Self {
        Self {
            is_number: true,
            ..Self::new(name)
        }
    }

    pub(super) const fn flexible(name: &'static str, least: usize) -> Self {
        Self {
            least: Some(least),
            ..Self::new(name)
        }
    }
}

pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(columns: Vec<Column>) -> Self {
        let head = columns.iter().map(|column| column.name.to_owned());
        Self {
            rows: vec![head.collect()],
            columns,
        }
    }

    pub(super) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// The head, then a line for each row.
    pub(super) fn lines(&self, width: Option<usize>) -> Vec<String> {
        let widths = self.widths(width);
        let line = |row: &Vec<String>| {
            let mut line = String::from(" ");
            for ((cell, width), column) in row.iter().zip(&widths).zip(&self.columns) {
                let cell = cut(cell, *width);
                let blank = " ".repeat(width.saturating_sub(cell.chars().count()));
                line.push(' ');
                if column.is_number {
                    line.push_str(&blank);
                    line.push_str(&cell);
                } else {
                    line.push_str(&cell);
                    line.push_str(&blank);
                }
                line.push(' ');
            }
            let line = line.trim_end();
            width.map_or_else(|| line.to_owned(), |width| cut(line, width))
        };
        self.rows.iter().map(line).collect()
    }

    fn widths(&self, most: Option<usize>) -> Vec<usize> {
        let length =
            |row: &Vec<String>, at: usize| row.get(at).map_or(0, |cell| cell.chars().count());
        let widest = |at| self.rows.iter().map(|row| length(row, at)).max();
        let mut widths: Vec<usize> = (0..self.columns.len())
            .map(|at| widest(at).unwrap_or_default())
            .collect();
        let Some(most) = most else { return widths };
        let sum = |widths: &[usize]| {
            let gaps = widths.len().saturating_mul(GAP).saturating_add(1);
            widths
                .iter()
                .fold(gaps, |sum, width| sum.saturating_add(*width))
        };
        let mut excess = sum(&widths).saturating_sub(most);
        for (width, column) in widths.iter_mut().zip(&self.columns).rev() {
            let spare = column.least.map_or(0, |least| width.saturating_sub(least));
            let taken = spare.min(excess);
            *width = width.saturating_sub(taken);
            excess = excess.saturating_sub(taken);
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(vec![
            Column::new("id"),
            Column::flexible("whose", 6),
            Column::number("seen"),
        ]);
        table.push(vec![
            "h:1".to_owned(),
            "@alice:example.org".to_owned(),
            "1,000".to_owned(),
        ]);
        table
    }

    #[test]
    fn columns_line_up() {
        assert_eq!(
            table().lines(None),
            [
                "  id   whose                seen",
                "  h:1  @alice:example.org  1,000"
            ]
        );
    }

    #[test]
    fn a_narrow_terminal_cuts_what_may_be_cut() {
        for width in 22..40 {
            let lines = table().lines(Some(width));
            assert!(
                lines.iter().all(|line| line.chars().count() <= width),
                "{lines:?}"
            );
            assert!(
                lines.iter().any(|line| line.ends_with("1,000")),
                "{lines:?}"
            );
        }
        assert_eq!(table().lines(Some(22))[1], "  h:1  @alice…  1,000");
    }
}
