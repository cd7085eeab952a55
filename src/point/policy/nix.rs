//! JSON values as Nix writes them.

use serde_json::Value;

/// A value on one line.
pub fn value(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        Value::Array(items) => {
            let items: String = items
                .iter()
                .map(|v| format!("{} ", self::value(v)))
                .collect();
            format!("[ {items}]")
        }
        Value::Object(map) => {
            let fields: String = map
                .iter()
                .map(|(name, v)| format!("{} = {}; ", self::name(name), self::value(v)))
                .collect();
            format!("{{ {fields}}}")
        }
        other => other.to_string(),
    }
}

/// The name of an attribute, in quotes where it needs them.
pub fn name(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let word = [
        "assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with",
    ]
    .contains(&name);
    if plain && !word {
        name.to_owned()
    } else {
        string(name)
    }
}

fn string(text: &str) -> String {
    let text = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace("${", "\\${")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
        .replace('\t', "\\t");
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_written_as_nix_reads_them() {
        let told = value(&json!({
            "a b": ["x\"y\\", "${z}\n"], "c": { "if": null, "d-e": true, "_f": 3 }, "g": [], "h": {},
        }));
        assert_eq!(
            told,
            r#"{ "a b" = [ "x\"y\\" "\${z}\n" ]; c = { "if" = null; d-e = true; _f = 3; }; g = [ ]; h = { }; }"#
        );
    }
}
