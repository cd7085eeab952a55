//! What to run next, as a person is told.

/// A line for each command, the likeliest first.
pub fn lines(commands: &[String]) -> String {
    let head = std::iter::once("  try: ").chain(std::iter::repeat("   or: "));
    let lines: Vec<String> = (head.zip(commands))
        .map(|(head, command)| format!("{head}{command}"))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_comes_first() {
        let commands = ["cairn resume", "cairn abort"].map(str::to_owned);
        assert_eq!(lines(&commands), "  try: cairn resume\n   or: cairn abort");
    }
}
