//! What Nix registered about a store path, as `nix path-info --json` prints it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::nixhash::NixHash;
use super::store_path::StorePath;

/// One store path's registration. Unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportedPathInfo {
    /// The store path.
    pub path: StorePath,
    /// Hash of its NAR.
    pub nar_hash: NixHash,
    /// Size of its NAR in bytes.
    pub nar_size: u64,
    /// The store paths its content names, itself perhaps among them.
    pub references: Vec<StorePath>,
    /// The derivation that built it, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deriver: Option<StorePath>,
    /// Signatures, `key-name:base64`. Not checked here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<String>,
    /// How the path follows from its content, if it does (`fixed:r:sha256:…`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// When it was registered, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration_time: Option<u64>,
    /// NAR bytes of the path and all it needs (`--closure-size`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closure_size: Option<u64>,
}

/// What `nix path-info --json` says about the paths it was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathInfos {
    /// Registered paths, sorted.
    pub valid: Vec<ExportedPathInfo>,
    /// Paths that the store doesn't have, sorted.
    pub invalid: Vec<StorePath>,
}

/// Why the output can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Not JSON, or not of a known shape.
    #[error("reading the output of `nix path-info --json`: {source}")]
    Json {
        /// The cause, with line and column.
        #[from]
        source: serde_json::Error,
    },
    /// The entry of one path lacks a field or has a wrong one.
    #[error("reading what `nix path-info --json` says about {path}: {source}")]
    Entry {
        /// The path.
        path: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// A key is no store path.
    #[error("`nix path-info --json` lists something else than a store path: {source}")]
    Path {
        /// The cause.
        #[from]
        source: super::store_path::Error,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Output {
    /// Until Nix 2.18: each object has its `path`, `valid: false` if missing.
    List(Vec<serde_json::Value>),
    /// Since Nix 2.19: by path, null if missing.
    Map(BTreeMap<String, serde_json::Value>),
}

/// Reads the output of `nix path-info --json` of any release up to the first
/// with other formats; those still print this one with `--json-format 1`.
///
/// # Errors
/// [`ParseError`]
pub fn parse_path_infos(json: &str) -> Result<PathInfos, ParseError> {
    let mut entries = Vec::new();
    match serde_json::from_str(json)? {
        Output::List(list) => {
            for value in list {
                let path = value.get("path").and_then(|path| path.as_str());
                entries.push((path.unwrap_or_default().to_owned(), value));
            }
        }
        Output::Map(map) => entries.extend(map),
    }
    let mut infos = PathInfos::default();
    for (path, mut value) in entries {
        let store_path = StorePath::from_absolute_path(path.as_bytes())?;
        let missing = value.get("valid").is_some_and(|valid| valid == false);
        if missing || value.is_null() {
            infos.invalid.push(store_path);
            continue;
        }
        if let Some(object) = value.as_object_mut() {
            object.insert("path".to_owned(), path.clone().into());
        }
        let info =
            serde_json::from_value(value).map_err(|source| ParseError::Entry { path, source })?;
        infos.valid.push(info);
    }
    infos
        .valid
        .sort_by(|a: &ExportedPathInfo, b| a.path.cmp(&b.path));
    infos.invalid.sort();
    Ok(infos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-a-1";
    const B: &str = "/nix/store/10bgd045z0d4icpbc2yyz4gx48ak44la-b-1";

    fn body(extra: &str) -> String {
        format!(
            r#"{{"narHash":"sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
            "narSize":112,"references":["{A}","{B}"],"ca":null,"deriver":null,"x":1{extra}}}"#
        )
    }

    #[test]
    fn both_shapes() {
        let list = format!(
            r#"[{{"path":"{B}","valid":false}},{}]"#,
            body(&format!(
                r#","path":"{A}","valid":true,"signatures":["k:x"],"ultimate":true"#
            ))
        );
        let map = format!(
            r#"{{"{B}":null,"{A}":{}}}"#,
            body(r#","signatures":["k:x"]"#)
        );
        let infos = parse_path_infos(&list).unwrap();
        assert_eq!(infos, parse_path_infos(&map).unwrap());
        assert_eq!(infos.invalid, [B.parse().unwrap()]);
        let [info] = &infos.valid[..] else {
            panic!("{infos:?}")
        };
        assert_eq!((info.nar_size, info.references.len()), (112, 2));
        assert_eq!((&info.deriver, &info.ca), (&None, &None));
        assert_eq!(info.signatures, ["k:x"]);
        let json = serde_json::to_string(info).unwrap();
        assert!(
            json.contains(r#""narHash":"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=""#)
        );
        assert_eq!(
            &serde_json::from_str::<ExportedPathInfo>(&json).unwrap(),
            info
        );
    }

    #[test]
    fn refusals() {
        assert!(matches!(
            parse_path_infos("{"),
            Err(ParseError::Json { .. })
        ));
        assert!(matches!(
            parse_path_infos("3"),
            Err(ParseError::Json { .. })
        ));
        assert!(matches!(
            parse_path_infos("[{}]"),
            Err(ParseError::Path { .. })
        ));
        assert!(matches!(
            parse_path_infos("[3]"),
            Err(ParseError::Path { .. })
        ));
        assert!(matches!(
            parse_path_infos(r#"{"version":2,"info":{}}"#),
            Err(ParseError::Path { .. })
        ));
        let error = parse_path_infos(&format!(r#"{{"{A}":{{"narSize":1}}}}"#)).unwrap_err();
        assert!(
            error.to_string().contains(A) && error.to_string().contains("narHash"),
            "{error}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn hostile(text in "\\PC{0,60}", cut in 0..300_usize, noise in "[\\[\\]{}\",:0-9a-z]{0,10}") {
            let _ = parse_path_infos(&text);
            let good = format!(r#"{{"{A}":{}}}"#, body(""));
            let cut = cut.min(good.len());
            let _ = parse_path_infos(&format!("{}{noise}{}", &good[..cut], &good[cut..]));
        }
    }
}
