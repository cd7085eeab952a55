//! What the repository library says, in one line.

/// What the library's messages begin with.
const OPENING: &str = "`rustic_core` experienced an error related to ";

/// What may follow the message itself: nothing a person here can use.
const ASIDES: [&str; 4] = [
    " For more information, see:",
    " Related issues:",
    " We believe this is a bug",
    " Some additional details",
];

/// What stands before the cause where the library gave a server up.
const GAVE_UP: &str = "Backoff failed, please check the logs for more information.";

/// What may follow the cause.
const ENDS: [&str; 3] = [" Severity:", " Status:", " Backtrace:"];

/// The library's messages span lines and pages: where to report a bug, links,
/// a backtrace. What is told is what went wrong, and why, in one line.
pub(crate) fn one_line(text: &str) -> String {
    let told: Vec<&str> = text.split_whitespace().collect();
    let told = told.join(" ");
    // Of a request that was tried again and again, why the last one failed.
    let told = match told
        .split_once(GAVE_UP)
        .and_then(|(_, t)| t.split_once("caused by: "))
    {
        Some((_, cause)) => cause.to_owned(),
        None => told,
    };
    let told = without_kind(&told);
    match told.split_once(OPENING) {
        Some((before, message)) => format!("{before}{}", plain(message)),
        None => up_to(&told, &ENDS[2..]).to_owned(),
    }
}

/// Without the library's word for the kind of an error, between what it is and
/// why.
fn without_kind(told: &str) -> String {
    let Some((what, rest)) = told.split_once(" (kind: related to ") else {
        return told.to_owned();
    };
    let why = rest.split_once(')').map_or(rest, |(_, why)| why);
    let why = why.trim_start_matches(": caused by");
    format!("{}{why}", what.trim_start_matches("Error: "))
}

/// What one of its messages says, and the cause below it.
fn plain(message: &str) -> String {
    let said = message
        .split_once("Message: ")
        .map_or(message, |(_, said)| said);
    let what = up_to(said, &ASIDES).trim_end_matches('.');
    let cause = said
        .split_once(" Caused by: ")
        .map(|(_, cause)| one_line(up_to(cause, &ENDS)));
    match cause.as_deref().map(|cause| cause.trim_end_matches('.')) {
        Some(cause) if !cause.is_empty() && !what.contains(cause) => format!("{what}: {cause}"),
        _ => what.to_owned(),
    }
}

fn up_to<'t>(text: &'t str, ends: &[&str]) -> &'t str {
    let end = ends.iter().filter_map(|end| text.find(end)).min();
    &text[..end.unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_librarys_pages_one_line_is_told() {
        let told = "damaged content: `rustic_core` experienced an error related to `cryptography`.\n\n\
                    Message:\nData decryption failed, MAC check failed.\n\nFor more information, see: \
                    https://rustic.cli.rs/docs/errors/C001\n\nWe believe this is a bug, please report \
                    it by opening an issue at:\nhttps://github.com/x\n\nThank you for helping us \
                    improve rustic!\n\n\nSome additional details ...\n\nContext:\n- a: b\n\nCaused \
                    by:\nan inner thing : (source: y)\n\nSeverity: Error\n\nBacktrace:\ndisabled";
        assert_eq!(
            one_line(told),
            "damaged content: Data decryption failed, MAC check failed: an inner thing : (source: y)"
        );
        // A cause that is a page itself.
        let outer =
            format!("{OPENING}`x`. Message: outer. Some additional details ... Caused by: {told}");
        let line = one_line(&outer);
        assert!(
            line.starts_with("outer: damaged content: Data decryption"),
            "{line}"
        );
        assert!(!line.contains("rustic_core"), "{line}");
        assert_eq!(one_line("plain\n  words"), "plain words");
        let torn = "Error: error processing Index:21c2 (kind: related to cryptographic operations): \
                    caused by: Data is too short";
        assert_eq!(
            one_line(torn),
            "error processing Index:21c2: Data is too short"
        );
        let gave_up = "Error: Backoff failed, please check the logs for more information. (kind: \
                       related to the backend): caused by: error sending request for url (http://h/)";
        assert_eq!(
            one_line(gave_up),
            "error sending request for url (http://h/)"
        );
        assert_eq!(one_line("words\nBacktrace:\n1: main"), "words");
    }
}
