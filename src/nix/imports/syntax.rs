//! Small questions about pieces of a syntax tree.

use rnix::ast::{Apply, Attr, Attrpath, BinOp, BinOpKind, Expr};
use rnix::{NodeOrToken, ParseError, SyntaxKind, SyntaxNode};
use rowan::ast::AstNode as _;

use super::MAX_SOURCE_CHARS;

/// Where a parse error is, in bytes; the end of the text if it says nothing.
pub(super) fn error_offset(error: &ParseError, end: usize) -> usize {
    match error {
        ParseError::Unexpected(range)
        | ParseError::UnexpectedExtra(range)
        | ParseError::UnexpectedWanted(_, range, _)
        | ParseError::UnexpectedDoubleBind(range)
        | ParseError::DuplicatedArgs(range, _) => range.start().into(),
        _ => end,
    }
}

/// The text of a string without interpolation or escapes.
pub(super) fn static_text(expr: &Expr) -> Option<String> {
    let Expr::Str(text) = expr else {
        return None;
    };
    let mut out = String::new();
    for child in text.syntax().children_with_tokens() {
        match child {
            NodeOrToken::Node(_) => return None,
            NodeOrToken::Token(token) if token.kind() == SyntaxKind::TOKEN_STRING_CONTENT => {
                out.push_str(token.text());
            }
            NodeOrToken::Token(_) => {}
        }
    }
    (!out.contains('\\') && !out.contains("''")).then_some(out)
}

/// The operands of a chain of `+`.
pub(super) fn operands(operation: &BinOp) -> Vec<SyntaxNode> {
    let mut operands = Vec::new();
    let mut next = Some(operation.clone());
    while let Some(operation) = next.take() {
        operands.extend(operation.rhs().map(|rhs| rhs.syntax().clone()));
        match operation.lhs() {
            Some(Expr::BinOp(lhs)) if lhs.operator() == Some(BinOpKind::Add) => next = Some(lhs),
            Some(lhs) => operands.push(lhs.syntax().clone()),
            None => {}
        }
    }
    operands
}

/// Function and arguments of `f a b c`.
pub(super) fn spine(apply: &Apply) -> (Option<Expr>, Vec<SyntaxNode>) {
    let mut arguments = Vec::new();
    let mut next = Some(Expr::Apply(apply.clone()));
    while let Some(Expr::Apply(apply)) = next {
        arguments.extend(apply.argument().map(|argument| argument.syntax().clone()));
        next = apply.lambda();
    }
    arguments.reverse();
    (next, arguments)
}

pub(super) fn unwrap_parens(node: &SyntaxNode) -> SyntaxNode {
    let mut node = node.clone();
    while node.kind() == SyntaxKind::NODE_PAREN {
        match node.children().next() {
            Some(inner) => node = inner,
            None => break,
        }
    }
    node
}

pub(super) fn is_path(node: &SyntaxNode) -> bool {
    matches!(
        unwrap_parens(node).kind(),
        SyntaxKind::NODE_PATH_ABS
            | SyntaxKind::NODE_PATH_REL
            | SyntaxKind::NODE_PATH_HOME
            | SyntaxKind::NODE_PATH_SEARCH
    )
}

/// `readDir` for both `readDir` and `builtins.readDir`.
pub(super) fn function_name(expr: &Expr) -> Option<String> {
    match Expr::cast(unwrap_parens(expr.syntax()))? {
        Expr::Ident(ident) => Some(ident.syntax().text().to_string()),
        Expr::Select(select) => last_name(&select.attrpath()?),
        _ => None,
    }
}

/// Source on one line, cut.
pub(super) fn one_line(source: &str) -> String {
    let words: Vec<&str> = source.split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() <= MAX_SOURCE_CHARS {
        return line;
    }
    line.chars()
        .take(MAX_SOURCE_CHARS - 1)
        .chain(['…'])
        .collect()
}

/// The last name of an attribute path, unless it is computed.
pub(super) fn last_name(path: &Attrpath) -> Option<String> {
    name_of(&path.attrs().last()?)
}

/// One name of an attribute path, unless it is computed.
pub(super) fn name_of(attr: &Attr) -> Option<String> {
    match attr {
        Attr::Ident(ident) => Some(ident.syntax().text().to_string()),
        Attr::Str(text) => static_text(&rnix::ast::Expr::Str(text.clone())),
        Attr::Dynamic(_) => None,
    }
}
