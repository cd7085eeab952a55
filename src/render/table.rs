//! Columns that line up, cut to the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Style;

/// A table; the last column takes what is left of the line.
#[derive(Debug, Default)]
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<Cell>>,
    droppable: Vec<usize>,
}

/// Columns the last one needs before others are dropped for it.
const ROOM: usize = 20;

/// Columns that are left to one that others are cut for.
const LEAST: usize = 8;

/// One cell: its text, and how it is coloured.
#[derive(Debug)]
pub struct Cell {
    text: String,
    width: usize,
    paint: fn(&Style, &str) -> String,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, |_, text| text.to_owned())
    }
}

impl Cell {
    /// A cell in a colour.
    pub fn new(text: impl Into<String>, paint: fn(&Style, &str) -> String) -> Self {
        let text = text.into();
        let width = if text.is_ascii() {
            text.len()
        } else {
            text.width()
        };
        Self { text, width, paint }
    }
}

impl Table {
    /// A table with these headings.
    pub fn new<H: Into<String>>(head: impl IntoIterator<Item = H>) -> Self {
        Self {
            head: head.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
            droppable: Vec::new(),
        }
    }

    /// Columns that may go, first to last, where the last column has no room.
    #[must_use]
    pub fn may_drop(mut self, columns: impl IntoIterator<Item = usize>) -> Self {
        self.droppable = columns.into_iter().collect();
        self
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The columns worth showing at this width: none that is empty, and none
    /// that leaves the last too little room.
    fn shown(&self, widths: &[usize], style: &Style) -> Vec<usize> {
        let filled = |c: &usize| {
            let mut cells = self.rows.iter().filter_map(|r| r.get(*c));
            *c == 0 || cells.any(|cell| !cell.text.is_empty())
        };
        let mut shown: Vec<usize> = (0..widths.len()).filter(filled).collect();
        let Some(width) = style.width else {
            return shown;
        };
        for drop in &self.droppable {
            let before: usize = shown.iter().rev().skip(1).map(|c| widths[*c] + 2).sum();
            let wanted = shown.last().map_or(0, |c| widths[*c]).min(ROOM);
            if before + wanted > width {
                shown.retain(|c| c != drop);
            }
        }
        shown
    }

    /// The widths at which these columns fit a line: where the last one has next
    /// to no room, the widest of the others are cut.
    fn cut_to(mut widths: Vec<usize>, shown: &[usize], style: &Style) -> Vec<usize> {
        let (Some(room), Some((last, others))) = (style.width, shown.split_last()) else {
            return widths;
        };
        loop {
            let before: usize = others.iter().map(|c| widths[*c] + 2).sum();
            let excess = (before + widths[*last].min(LEAST)).saturating_sub(room);
            let widest = others.iter().max_by_key(|c| widths[**c]);
            match widest {
                Some(c) if excess > 0 && widths[*c] > LEAST => {
                    widths[*c] = widths[*c].saturating_sub(excess).max(LEAST);
                }
                _ => break,
            }
        }
        let before: usize = others.iter().map(|c| widths[*c] + 2).sum();
        widths[*last] = room.saturating_sub(before).max(LEAST);
        widths
    }

    /// The table as text, with a final newline.
    pub fn render(&self, style: &Style) -> String {
        let widths: Vec<usize> = (0..self.head.len())
            .map(|c| {
                let cells = self
                    .rows
                    .iter()
                    .filter_map(|r| r.get(c))
                    .map(|cell| cell.width);
                cells.chain([self.head[c].width()]).max().unwrap_or(0)
            })
            .collect();
        let shown = self.shown(&widths, style);
        let widths = Self::cut_to(widths, &shown, style);
        let mut out = String::new();
        let head: Vec<Cell> = self
            .head
            .iter()
            .map(|h| Cell::new(h.as_str(), |s, t| s.dim(t)))
            .collect();
        for row in std::iter::once(&head).chain(&self.rows) {
            for (c, cell) in row.iter().enumerate() {
                if !shown.contains(&c) {
                    continue;
                }
                let text = cut(&cell.text, widths[c]);
                out.push_str(&(cell.paint)(style, &text));
                if Some(&c) != shown.last() {
                    out.push_str(&" ".repeat(widths[c] - text.width() + 2));
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
    fn columns_that_may_not_go_are_cut() {
        let mut table = Table::new(["GENERATION", "MARKS", "REVISION"]);
        let marks = "current running booted +safe";
        table.row(vec!["2".into(), marks.into(), "0123456789".into()]);
        let text = table.render(&style(40));
        assert!(text.contains("current running b…  0123456…"), "{text}");
        assert!(text.lines().all(|line| line.width() <= 40), "{text}");
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
    fn empty_columns_and_those_in_the_way_are_left_out() {
        let mut table = Table::new(["ID", "MARKS", "SIZE", "REASON"]).may_drop([2]);
        table.row(vec![
            "1".into(),
            "".into(),
            "1234 B".into(),
            "to see why".into(),
        ]);
        let text = |width| table.render(&style(width));
        assert_eq!(text(40), "ID  SIZE    REASON\n1   1234 B  to see why\n");
        assert_eq!(text(16), "ID  REASON\n1   to see why\n");
        assert_eq!(text(12), "ID  REASON\n1   to see …\n");
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(cut("日本語日本語", 7), "日本語…");
    }
}
