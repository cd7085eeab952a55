//! Walks a syntax tree and collects references. Keeps its own stack of work, so
//! that deep trees cost memory and not the program's stack.

use std::collections::BTreeSet;

use rnix::ast::{Apply, AttrpathValue, BinOp, BinOpKind, Expr, HasEntry as _, Lambda};
use rnix::{NodeOrToken, SyntaxKind, SyntaxNode, TextSize};
use rowan::ast::AstNode as _;

use super::flake::local_input;
use super::syntax::{
    function_name, is_path, last_name, one_line, operands, spine, static_text, unwrap_parens,
};
use super::{RefKind, Role};

/// Functions whose last argument is, or holds, what they give.
const TRANSPARENT: [&str; 19] = [
    "mkIf",
    "mkMerge",
    "mkForce",
    "mkBefore",
    "mkAfter",
    "mkDefault",
    "mkOverride",
    "mkOrder",
    "optional",
    "optionals",
    "filter",
    "flatten",
    "concatLists",
    "unique",
    "toList",
    "singleton",
    "attrValues",
    "sort",
    "remove",
];
/// Functions that apply their first argument to each element of the last.
const MAPPING: [&str; 4] = ["map", "concatMap", "forEach", "imap0"];
/// Functions that read a directory: which files they give is not in the text.
const DIRECTORY: [&str; 4] = [
    "readDir",
    "filterSource",
    "listFilesRecursive",
    "packagesFromDirectoryRecursive",
];
/// Functions that take a path, or an absolute path as a string, last.
const FILE: [&str; 5] = [
    "readFile",
    "readFileType",
    "pathExists",
    "hashFile",
    "toPath",
];
/// Functions whose first argument is a file of Nix code.
const CALLING: [&str; 3] = ["callPackage", "callPackages", "callPackageWith"];
/// Attributes that hold a list of modules, beside `imports`.
const MODULE_LISTS: [&str; 4] = ["modules", "baseModules", "extraModules", "sharedModules"];

/// Tokens of which paths are made.
const PATH_TOKENS: [SyntaxKind; 4] = [
    SyntaxKind::TOKEN_PATH_ABS,
    SyntaxKind::TOKEN_PATH_REL,
    SyntaxKind::TOKEN_PATH_HOME,
    SyntaxKind::TOKEN_PATH_SEARCH,
];

/// A reference with its offset in bytes.
pub(super) struct Found {
    pub(super) offset: usize,
    pub(super) kind: RefKind,
    pub(super) role: Role,
}

/// What an expression's value is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Anything.
    Plain,
    /// A path, or a list of paths. If `strict`, everything that isn't plain to
    /// see is a dynamic reference; else only what surely makes a path.
    Path { role: Role, strict: bool },
    /// Part of a dynamic reference already reported: a path here is not
    /// reported again, what is nested in it is.
    Reported,
}

const IMPORT: Use = Use::Path {
    role: Role::Import,
    strict: true,
};
const MODULES: Use = Use::Path {
    role: Role::Import,
    strict: false,
};

impl Use {
    fn role(self) -> Role {
        match self {
            Self::Path { role, .. } => role,
            Self::Plain | Self::Reported => Role::Other,
        }
    }

    fn is_strict(self) -> bool {
        matches!(self, Self::Path { strict: true, .. })
    }

    fn lenient(self) -> Self {
        match self {
            Self::Path { role, .. } => Self::Path {
                role,
                strict: false,
            },
            other => other,
        }
    }
}

/// All references below a node, in no order.
pub(super) fn references(root: &SyntaxNode) -> Vec<Found> {
    let work = vec![(root.clone(), Use::Plain)];
    let mut walk = Walk {
        found: Vec::new(),
        work,
        seen: BTreeSet::new(),
    };
    while let Some((node, usage)) = walk.work.pop() {
        walk.step(&node, usage);
    }
    walk.rest(root);
    walk.found
}

struct Walk {
    found: Vec<Found>,
    work: Vec<(SyntaxNode, Use)>,
    /// Where the paths begin that were accounted for.
    seen: BTreeSet<TextSize>,
}

impl Walk {
    fn step(&mut self, node: &SyntaxNode, usage: Use) {
        if let Some(binding) = AttrpathValue::cast(node.clone()) {
            return self.binding(&binding);
        }
        let Some(expr) = Expr::cast(node.clone()) else {
            return self.children(node, Use::Plain);
        };
        match expr {
            Expr::Paren(_) => self.children(node, usage),
            Expr::PathAbs(_) | Expr::PathRel(_) | Expr::PathHome(_) | Expr::PathSearch(_) => {
                self.path(node, usage);
            }
            Expr::Apply(apply) => self.apply(&apply, usage),
            Expr::BinOp(operation) => self.operation(&operation, usage),
            Expr::Str(_) => self.string(&expr, usage),
            // Their parts are used for something else than their value is.
            Expr::AttrSet(_) | Expr::Lambda(_) => self.children(node, Use::Plain),
            Expr::List(_) if usage != Use::Reported => self.children(node, usage),
            Expr::IfElse(choice) if usage != Use::Plain => {
                self.push(choice.condition(), Use::Plain);
                self.push(choice.body(), usage);
                self.push(choice.else_body(), usage);
            }
            Expr::LetIn(scope) if usage != Use::Plain => {
                self.entries(&scope);
                self.push(scope.body(), usage);
            }
            Expr::With(scope) if usage != Use::Plain => {
                self.push(scope.namespace(), Use::Plain);
                self.push(scope.body(), usage);
            }
            Expr::Assert(assert) if usage != Use::Plain => {
                self.push(assert.condition(), Use::Plain);
                self.push(assert.body(), usage);
            }
            Expr::Select(select) if usage.is_strict() => {
                self.dynamic(node, usage);
                self.push(select.expr(), Use::Plain);
                self.push(select.default_expr(), usage);
            }
            _ => {
                if usage.is_strict() {
                    self.dynamic(node, usage);
                }
                self.children(node, Use::Plain);
            }
        }
    }

    /// `name = value;`
    fn binding(&mut self, binding: &AttrpathValue) {
        if let Some(kind) = local_input(binding)
            && let Some(value) = binding.value()
        {
            return self.report(value.syntax(), kind, Role::Import);
        }
        let name = binding.attrpath().and_then(|path| last_name(&path));
        let usage = match name.as_deref() {
            Some("imports") => IMPORT,
            Some(name) if MODULE_LISTS.contains(&name) => MODULES,
            _ => Use::Plain,
        };
        if let Some(path) = binding.attrpath() {
            self.children(path.syntax(), Use::Plain);
        }
        self.push(binding.value(), usage);
    }

    /// Paths that no rule came upon: those among the tokens that the parser
    /// skipped after an error.
    fn rest(&mut self, root: &SyntaxNode) {
        let tokens = root
            .descendants_with_tokens()
            .filter_map(NodeOrToken::into_token);
        for token in tokens.filter(|token| PATH_TOKENS.contains(&token.kind())) {
            let start = match token.parent().filter(is_path) {
                Some(path) => path.text_range().start(),
                None => token.text_range().start(),
            };
            if self.seen.insert(start) {
                let kind = literal(token.text(), token.kind() == SyntaxKind::TOKEN_PATH_SEARCH);
                self.found.push(Found {
                    offset: start.into(),
                    kind,
                    role: Role::Other,
                });
            }
        }
    }

    fn path(&mut self, node: &SyntaxNode, usage: Use) {
        self.seen.insert(node.text_range().start());
        if usage != Use::Reported {
            let text = node.text().to_string();
            let kind = if node.children().next().is_some() {
                RefKind::Dynamic(one_line(&text))
            } else {
                literal(&text, node.kind() == SyntaxKind::NODE_PATH_SEARCH)
            };
            self.report(node, kind, usage.role());
        }
        self.children(node, Use::Plain);
    }

    /// A string is a path only where one is wanted, and then an absolute one.
    fn string(&mut self, expr: &Expr, usage: Use) {
        if matches!(usage, Use::Path { .. }) {
            match static_text(expr) {
                Some(text) if text.starts_with('/') => {
                    self.report(expr.syntax(), RefKind::Literal(text.into()), usage.role());
                }
                Some(_) if !usage.is_strict() => {}
                None if !usage.is_strict() && !expr.syntax().text().to_string().contains('/') => {}
                _ => self.dynamic(expr.syntax(), usage),
            }
        }
        self.children(expr.syntax(), Use::Plain);
    }

    fn operation(&mut self, operation: &BinOp, usage: Use) {
        match operation.operator() {
            Some(BinOpKind::Concat) => self.children(operation.syntax(), usage),
            Some(BinOpKind::Add) => {
                let operands = operands(operation);
                let has_path = operands.iter().any(is_path);
                let makes_path = matches!(usage, Use::Path { .. }) || has_path;
                if makes_path && usage != Use::Reported {
                    self.dynamic(operation.syntax(), usage);
                }
                let inner = if makes_path {
                    Use::Reported
                } else {
                    Use::Plain
                };
                self.work
                    .extend(operands.into_iter().map(|operand| (operand, inner)));
            }
            Some(BinOpKind::PipeRight) => {
                self.pipe(operation, operation.lhs(), operation.rhs(), usage);
            }
            Some(BinOpKind::PipeLeft) => {
                self.pipe(operation, operation.rhs(), operation.lhs(), usage);
            }
            _ => {
                if usage.is_strict() {
                    self.dynamic(operation.syntax(), usage);
                }
                self.children(operation.syntax(), Use::Plain);
            }
        }
    }

    fn pipe(&mut self, whole: &BinOp, value: Option<Expr>, function: Option<Expr>, usage: Use) {
        let name = function.as_ref().and_then(function_name);
        match name.as_deref() {
            Some("import") => self.push(value, IMPORT),
            Some(name) if DIRECTORY.contains(&name) => {
                self.dynamic(whole.syntax(), usage);
                self.push(value, Use::Reported);
            }
            _ => {
                if usage.is_strict() {
                    self.dynamic(whole.syntax(), usage);
                }
                self.push(value, usage.lenient());
            }
        }
        self.push(function, Use::Plain);
    }

    fn apply(&mut self, apply: &Apply, usage: Use) {
        let (head, mut arguments) = spine(apply);
        let name = head.as_ref().and_then(function_name).unwrap_or_default();
        let name = name.as_str();
        let wants_path = matches!(usage, Use::Path { .. });
        // Which argument is a path; the others are anything.
        let mut special = None;
        if name == "import" || CALLING.contains(&name) {
            special = Some((0, if name == "import" { IMPORT } else { MODULES }));
        } else if name == "scopedImport" {
            special = Some((1, IMPORT));
        } else if DIRECTORY.contains(&name) {
            if usage != Use::Reported {
                self.dynamic(apply.syntax(), usage);
            }
            self.work.extend(
                arguments
                    .drain(..)
                    .map(|argument| (argument, Use::Reported)),
            );
        } else if FILE.contains(&name) {
            let usage = Use::Path {
                role: Role::Other,
                strict: false,
            };
            special = Some((arguments.len().saturating_sub(1), usage));
        } else if TRANSPARENT.contains(&name) && wants_path {
            special = Some((arguments.len().saturating_sub(1), usage));
        } else if MAPPING.contains(&name) && arguments.len() == 2 {
            return self.mapping(name, &arguments, usage);
        } else if usage.is_strict() {
            self.dynamic(apply.syntax(), usage);
        }
        for (index, argument) in arguments.into_iter().enumerate() {
            let usage = special
                .filter(|&(at, _)| at == index)
                .map_or(Use::Plain, |(_, usage)| usage);
            self.work.push((argument, usage));
        }
        self.push(head, Use::Plain);
    }

    /// `map function list`
    fn mapping(&mut self, name: &str, arguments: &[SyntaxNode], usage: Use) {
        let [first, second] = arguments else {
            return;
        };
        let (function, list) = if name == "forEach" {
            (second, first)
        } else {
            (first, second)
        };
        let function = unwrap_parens(function);
        let import = Expr::cast(function.clone()).and_then(|function| function_name(&function));
        if import.as_deref() == Some("import") {
            self.work.push((list.clone(), IMPORT));
        } else if let Some(lambda) = Lambda::cast(function.clone()) {
            // The body makes the paths; what it makes them from may be names.
            let mut body = Some(Expr::Lambda(lambda));
            while let Some(Expr::Lambda(inner)) = body {
                self.work
                    .extend(inner.param().map(|p| (p.syntax().clone(), Use::Plain)));
                body = inner.body();
            }
            self.push(body, usage);
            self.work.push((list.clone(), usage.lenient()));
        } else {
            if usage.is_strict()
                && let Some(whole) = list.parent()
            {
                self.dynamic(&whole, usage);
            }
            self.work.push((function, Use::Plain));
            self.work.push((list.clone(), usage.lenient()));
        }
    }

    fn entries(&mut self, scope: &rnix::ast::LetIn) {
        self.work.extend(
            scope
                .entries()
                .map(|entry| (entry.syntax().clone(), Use::Plain)),
        );
    }

    fn push(&mut self, expr: Option<Expr>, usage: Use) {
        self.work
            .extend(expr.map(|expr| (expr.syntax().clone(), usage)));
    }

    fn children(&mut self, node: &SyntaxNode, usage: Use) {
        self.work
            .extend(node.children().map(|child| (child, usage)));
    }

    fn dynamic(&mut self, node: &SyntaxNode, usage: Use) {
        let kind = RefKind::Dynamic(one_line(&node.text().to_string()));
        self.report(node, kind, usage.role());
    }

    fn report(&mut self, node: &SyntaxNode, kind: RefKind, role: Role) {
        let offset = node.text_range().start().into();
        self.found.push(Found { offset, kind, role });
    }
}

fn literal(text: &str, search: bool) -> RefKind {
    if search {
        RefKind::Search(text.trim_matches(['<', '>']).to_owned())
    } else {
        RefKind::Literal(text.into())
    }
}
