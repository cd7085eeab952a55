//! Where the values of a JSON text lie.

use std::collections::BTreeMap;

/// Values nest no deeper than this, as in `serde_json`.
const DEPTH: usize = 128;

/// Where the values of a text lie, by JSON pointer.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Byte where a field's name begins.
    names: BTreeMap<String, usize>,
    /// Byte where a value begins.
    values: BTreeMap<String, usize>,
    /// Fields that are there twice, and where the second one begins.
    pub(super) twice: Vec<(String, usize)>,
}

/// Which part of a field a fault is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Name,
    Value,
}

impl Places {
    /// Reads a text as far as it is JSON.
    pub(super) fn of(text: &str) -> Self {
        Scan::run(text).places
    }

    /// Where a value, or what holds it, begins.
    pub(super) fn find(&self, pointer: &str, part: Part) -> usize {
        let map = match part {
            Part::Name => &self.names,
            Part::Value => &self.values,
        };
        if let Some(at) = map.get(pointer).or_else(|| self.values.get(pointer)) {
            return *at;
        }
        match pointer.rfind('/') {
            Some(end) => self.find(&pointer[..end], Part::Value),
            None => 0,
        }
    }
}

/// The pointer of the value a text breaks off in.
pub(super) fn innermost(text: &str) -> String {
    Scan::run(text).pointer
}

/// Line and column, from 1, of a byte. Columns are characters.
pub(super) fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[start..].chars().count() + 1)
}

/// A token of a JSON pointer.
pub(super) fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

struct Scan<'t> {
    text: &'t str,
    at: usize,
    pointer: String,
    places: Places,
}

impl<'t> Scan<'t> {
    fn run(text: &'t str) -> Self {
        let mut scan = Self {
            text,
            at: 0,
            pointer: String::new(),
            places: Places::default(),
        };
        // Where it stops is where the pointer stays.
        let _ = scan.value(0);
        scan
    }

    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let blanks = rest.iter().take_while(|b| b" \t\r\n".contains(b)).count();
        self.at += blanks;
        rest.get(blanks).copied()
    }

    fn eat(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        let first = self.peek()?;
        self.places
            .values
            .entry(self.pointer.clone())
            .or_insert(self.at);
        match first {
            _ if depth > DEPTH => None,
            b'{' => self.members(depth, b'}', Self::named),
            b'[' => self.members(depth, b']', Self::numbered),
            b'"' => self.string().map(drop),
            _ => {
                let rest = &self.text.as_bytes()[self.at..];
                let length = rest
                    .iter()
                    .take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
                    .count();
                self.at += length;
                (length > 0).then_some(())
            }
        }
    }

    fn members(
        &mut self,
        depth: usize,
        end: u8,
        member: fn(&mut Self, usize, usize) -> Option<()>,
    ) -> Option<()> {
        self.at += 1;
        if self.peek()? == end {
            return self.eat(end);
        }
        for n in 0.. {
            let outer = self.pointer.len();
            member(self, depth, n)?;
            self.pointer.truncate(outer);
            if self.peek()? == end {
                break;
            }
            self.eat(b',')?;
        }
        self.eat(end)
    }

    fn named(&mut self, depth: usize, _: usize) -> Option<()> {
        self.peek()?;
        let start = self.at;
        let name = self.string()?;
        self.pointer.push('/');
        self.pointer.push_str(&token(&name));
        let known = self.places.names.insert(self.pointer.clone(), start);
        if known.is_some() {
            self.places.twice.push((self.pointer.clone(), start));
        }
        self.eat(b':')?;
        self.value(depth + 1)
    }

    fn numbered(&mut self, depth: usize, n: usize) -> Option<()> {
        self.pointer.push_str(&format!("/{n}"));
        self.value(depth + 1)
    }

    fn string(&mut self) -> Option<String> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at;
        let mut escaped = false;
        for (n, byte) in self.text.bytes().enumerate().skip(start + 1) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    self.at = n + 1;
                    return serde_json::from_str(&self.text[start..self.at]).ok();
                }
                _ => {}
            }
        }
        self.at = self.text.len();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_found_by_pointer() {
        let text = "{\n  \"a/b\": [1, {\"ü\": \"x\\\"}\", \"c~\": null}],\n  \"d\": true\n}";
        let places = Places::of(text);
        let at = |pointer: &str, part| line_and_column(text, places.find(pointer, part));
        assert_eq!(at("", Part::Value), (1, 1));
        assert_eq!(at("/a~1b", Part::Name), (2, 3));
        assert_eq!(at("/a~1b/0", Part::Value), (2, 11));
        assert_eq!(at("/a~1b/1/ü", Part::Value), (2, 20));
        assert_eq!(at("/a~1b/1/c~0", Part::Name), (2, 28));
        assert_eq!(at("/d", Part::Value), (3, 8));
        // What is not there is where it would be.
        assert_eq!(at("/d/e/f", Part::Name), (3, 8));
        assert!(places.twice.is_empty());
    }

    #[test]
    fn fields_that_are_there_twice_are_told() {
        let places = Places::of(r#"{"a": {"b": 1, "b": 2}, "c": 1}"#);
        assert_eq!(places.twice, [("/a/b".to_owned(), 15)]);
    }

    #[test]
    fn a_text_breaks_off_in_a_value() {
        for (text, pointer) in [
            ("", ""),
            ("{\"a\": [1, ", "/a/1"),
            ("{\"a\": {\"b\": \"x", "/a/b"),
            ("{\"a\": 1 ", ""),
            ("[[[", "/0/0"),
        ] {
            assert_eq!(innermost(text), pointer, "{text}");
        }
    }
}
