//! Columns that line up, cut to the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Style;

/// A table; the last column takes what is left of the line.
#[derive(Debug, Default)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// One cell: its text, and how it is coloured.
#[derive(Debug)]
pub struct Cell {
    text: String,
    paint: fn(&Style, &str) -> String,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            paint: |_, text| text.to_owned(),
        }
    }
}

impl Cell {
    /// A cell in a colour.
    pub fn new(text: impl Into<String>, paint: fn(&Style, &str) -> String) -> Self {
        Self {
            text: text.into(),
            paint,
        }
    }
}

impl Table {
    /// A table with these headings.
    pub fn new<H: Into<String>>(head: impl IntoIterator<Item = H>) -> Self {
        Self {
            head: head.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The table as text, with a final newline.
    pub fn render(&self, style: &Style) -> String {
        let columns = self.head.len();
        let widths: Vec<usize> = (0..columns)
            .map(|c| {
                let cells = self
                    .rows
                    .iter()
                    .filter_map(|r| r.get(c))
                    .map(|cell| cell.text.width());
                cells.chain([self.head[c].width()]).max().unwrap_or(0)
            })
            .collect();
        let before: usize = widths.iter().rev().skip(1).map(|w| w + 2).sum();
        let room = style.width.map(|w| w.saturating_sub(before).max(8));
        let mut out = String::new();
        let head: Vec<Cell> = self
            .head
            .iter()
            .map(|h| Cell::new(h.as_str(), |s, t| s.dim(t)))
            .collect();
        for row in std::iter::once(&head).chain(&self.rows) {
            for (c, cell) in row.iter().enumerate() {
                let last = c + 1 == columns;
                let text = match room {
                    Some(room) if last => cut(&cell.text, room),
                    _ => cell.text.clone(),
                };
                out.push_str(&(cell.paint)(style, &text));
                if !last {
                    out.push_str(&" ".repeat(widths[c] - cell.text.width() + 2));
                }
            }
            while out.ends_with(' ') {
                out.pop();
            }
            out.push('\n');
        }
        out
    }
}

/// At most `room` columns of a text, with an ellipsis when it is cut.
pub fn cut(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > room {
            break;
        }
        used += wide;
        out.push(c);
    }
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(width: usize) -> Style {
        Style {
            colour: false,
            width: Some(width),
            now: chrono::DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn columns_line_up_and_the_last_is_cut() {
        let mut table = Table::new(["ID", "REASON"]);
        table.row(vec!["é1".into(), "short".into()]);
        table.row(vec!["12345".into(), "a very long reason indeed".into()]);
        assert_eq!(
            table.render(&style(20)),
            "ID     REASON\né1     short\n12345  a very long …\n"
        );
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(cut("日本語日本語", 7), "日本語…");
    }
}
