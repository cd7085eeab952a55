//! Events as text.

use super::Style;
use super::style::line;
use super::table::{Cell, Table};
use crate::point::event::Event;

/// Events, newest first, as `history --kind` prints them.
pub fn list(events: &[Event], style: &Style) -> String {
    if events.is_empty() {
        return "nothing of this kind happened yet\n".to_owned();
    }
    let mut table = Table::new(["when", "kind", "what"]);
    for event in events {
        let paint: fn(&Style, &str) -> String = match event.good {
            Some(true) => |style, text| style.green(text),
            Some(false) => |style, text| style.red(text),
            None => |_, text| text.to_owned(),
        };
        table.row(vec![
            style.when(event.at).into(),
            event.kind.as_str().into(),
            Cell::new(line(&event.what), paint),
        ]);
    }
    table.render(style)
}
