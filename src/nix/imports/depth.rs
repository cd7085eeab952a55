//! A bound on how deep a file's syntax tree can get.
//!
//! rnix limits the nesting of expressions, but not the length of a chain such
//! as `a ++ b ++ …` or `f a b …`, which it parses by recursion and rowan frees by
//! recursion. A hostile file could overflow the stack, which nothing catches. So
//! tokens are counted before anything is parsed.

use rnix::SyntaxKind::{
    TOKEN_COMMA, TOKEN_COMMENT, TOKEN_INTERPOL_END, TOKEN_INTERPOL_START, TOKEN_L_BRACE,
    TOKEN_L_BRACK, TOKEN_L_PAREN, TOKEN_R_BRACE, TOKEN_R_BRACK, TOKEN_R_PAREN, TOKEN_SEMICOLON,
    TOKEN_STRING_CONTENT, TOKEN_STRING_END, TOKEN_STRING_START, TOKEN_WHITESPACE,
};

/// Most tokens that may nest: those on the way from the top of the file to the
/// deepest place, one bracket's content counted up to its last `;` or `,`. The
/// elements of a list do not nest. nixpkgs stays far below.
pub(super) const MAX_DEPTH: usize = 3000;

/// Where the text nests more than [`MAX_DEPTH`] tokens deep, in bytes.
pub(super) fn too_deep_at(text: &str) -> Option<usize> {
    // For each open bracket: whether its tokens nest, and how many there were.
    let mut open: Vec<(bool, usize)> = vec![(true, 0)];
    let mut depth = 0;
    let mut offset = 0;
    for (kind, token) in rnix::tokenize(text) {
        match kind {
            TOKEN_WHITESPACE | TOKEN_COMMENT | TOKEN_STRING_CONTENT => {}
            TOKEN_L_PAREN | TOKEN_L_BRACE | TOKEN_INTERPOL_START => {
                depth += count(&mut open);
                open.push((true, 0));
            }
            TOKEN_L_BRACK | TOKEN_STRING_START => {
                depth += count(&mut open);
                open.push((false, 0));
            }
            TOKEN_R_PAREN | TOKEN_R_BRACE | TOKEN_INTERPOL_END | TOKEN_R_BRACK
            | TOKEN_STRING_END => {
                // A stray bracket leaves the outermost level alone.
                if open.len() > 1
                    && let Some((_, tokens)) = open.pop()
                {
                    depth -= tokens;
                }
            }
            TOKEN_SEMICOLON | TOKEN_COMMA => {
                if let Some((_, tokens)) = open.last_mut() {
                    depth -= *tokens;
                    *tokens = 0;
                }
            }
            _ => depth += count(&mut open),
        }
        if depth + open.len() > MAX_DEPTH {
            return Some(offset);
        }
        offset += token.len();
    }
    None
}

/// Counts a token at the innermost level; says by how much the depth grows.
fn count(open: &mut [(bool, usize)]) -> usize {
    match open.last_mut() {
        Some((true, tokens)) => {
            *tokens += 1;
            1
        }
        _ => 0,
    }
}
