//! Flake inputs on this disk: `inputs.x.url = "path:../x"`.

use std::path::PathBuf;

use rnix::ast::{AttrpathValue, HasEntry as _};
use rnix::{SyntaxKind, SyntaxNode};
use rowan::ast::AstNode as _;

use super::RefKind;
use super::syntax::{last_name, name_of, static_text};

/// URL schemes of flake references that may name a local path.
const LOCAL_SCHEMES: [&str; 6] = [
    "path:",
    "git+file:",
    "file:",
    "file+file:",
    "tarball+file:",
    "hg+file:",
];

/// What a flake input's binding refers to on disk, if it is one that does.
pub(super) fn local_input(binding: &AttrpathValue) -> Option<RefKind> {
    let value = static_text(&binding.value()?)?;
    let path = attribute_path(binding.syntax())?;
    if path.first().map(String::as_str) != Some("inputs") {
        return None;
    }
    match path.last()?.as_str() {
        "url" => local_path(&value),
        "path" if is_path_input(binding) => Some(RefKind::Literal(value.into())),
        _ => None,
    }
}

/// `{ type = "path"; path = "../x"; }`, as opposed to another type's `path`.
fn is_path_input(binding: &AttrpathValue) -> bool {
    let parent = binding.syntax().parent().and_then(rnix::ast::AttrSet::cast);
    parent
        .into_iter()
        .flat_map(|set| set.attrpath_values())
        .any(|sibling| {
            sibling
                .attrpath()
                .and_then(|path| last_name(&path))
                .as_deref()
                == Some("type")
                && sibling
                    .value()
                    .and_then(|value| static_text(&value))
                    .as_deref()
                    == Some("path")
        })
}

/// The path in a flake reference, without query and fragment.
pub(super) fn local_path(reference: &str) -> Option<RefKind> {
    let end = reference.find(['?', '#']).unwrap_or(reference.len());
    let plain = &reference[..end];
    let scheme = LOCAL_SCHEMES
        .iter()
        .find_map(|scheme| plain.strip_prefix(scheme));
    let path = match scheme {
        // An empty authority: file:///srv/x.
        Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
        None if plain == "." || plain == ".." => plain,
        None if ["/", "./", "../"]
            .iter()
            .any(|start| plain.starts_with(start)) =>
        {
            plain
        }
        None => return None,
    };
    if path.is_empty() || path.contains('%') {
        return Some(RefKind::Dynamic(reference.to_owned()));
    }
    Some(RefKind::Literal(PathBuf::from(path)))
}

/// The full attribute path of a binding, from the file's outermost set.
fn attribute_path(binding: &SyntaxNode) -> Option<Vec<String>> {
    let mut path = Vec::new();
    for node in binding.ancestors() {
        match node.kind() {
            SyntaxKind::NODE_ATTRPATH_VALUE => {
                let attrpath = AttrpathValue::cast(node)?.attrpath()?;
                let names: Option<Vec<String>> =
                    attrpath.attrs().map(|attr| name_of(&attr)).collect();
                path.extend(names?.into_iter().rev());
            }
            SyntaxKind::NODE_ATTR_SET => {}
            SyntaxKind::NODE_ROOT => {
                path.reverse();
                return Some(path);
            }
            _ => return None,
        }
    }
    None
}
