//! `boot.json`, the bootspec of RFC 125, read through the `bootspec` crate.
//!
//! Only what a system was built with: nothing is synthesized, since a bootspec
//! made up from a toplevel's files proves nothing about it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ::bootspec::v1::GenerationV1;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const V1: &str = "org.nixos.bootspec.v1";
const SPECIALISATION_V1: &str = "org.nixos.specialisation.v1";
const PREFIX: &str = "org.nixos.bootspec.";

/// The fields that RFC 125 demands.
const REQUIRED: [&str; 6] = [
    "init",
    "kernel",
    "kernelParams",
    "label",
    "system",
    "toplevel",
];

/// How a system boots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BootSpec {
    /// Platform, `x86_64-linux`.
    pub system: String,
    /// The kernel image.
    pub kernel: PathBuf,
    /// The kernel's command line, without `init=`.
    pub kernel_params: Vec<String>,
    /// The boot menu's text.
    pub label: String,
    /// Stage 2's start, in the toplevel.
    pub init: PathBuf,
    /// The system itself. Not checked to be a store path.
    pub toplevel: PathBuf,
    /// The initial RAM disk, if there is one.
    pub initrd: Option<PathBuf>,
    /// The system's specialisations by name.
    pub specialisations: BTreeMap<String, BootSpec>,
}

/// Why a `boot.json` can't be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON.
    #[error("boot.json is not JSON: {source}")]
    Json {
        /// The cause, with line and column.
        source: serde_json::Error,
    },
    /// JSON without a bootspec.
    #[error("boot.json has no \"{V1}\"{}", within(specialisation))]
    NoBootspec {
        /// Specialisation names from outside in; empty for the system itself.
        specialisation: Vec<String>,
    },
    /// A bootspec of versions we don't know.
    #[error("boot.json has {} and not \"{V1}\"{}", found.join(", "), within(specialisation))]
    UnknownVersion {
        /// The keys found.
        found: Vec<String>,
        /// Specialisation names from outside in; empty for the system itself.
        specialisation: Vec<String>,
    },
    /// Fields are missing.
    #[error("boot.json lacks {}{}", fields.join(", "), within(specialisation))]
    MissingFields {
        /// The fields.
        fields: Vec<&'static str>,
        /// Specialisation names from outside in; empty for the system itself.
        specialisation: Vec<String>,
    },
    /// A field is of the wrong type.
    #[error("boot.json has a field of the wrong type: {source}")]
    Invalid {
        /// The cause.
        source: serde_json::Error,
    },
}

fn within(specialisation: &[String]) -> String {
    match specialisation {
        [] => String::new(),
        names => format!(" in the specialisation {:?}", names.join("/")),
    }
}

/// Reads a `boot.json`.
///
/// # Errors
/// [`Error`]
pub fn parse(json: &str) -> Result<BootSpec, Error> {
    let value: Value = serde_json::from_str(json).map_err(|source| Error::Json { source })?;
    check(&value, &mut Vec::new())?;
    // The document is checked level by level first: what the crate says of an
    // unknown version or a missing field names neither.
    let generation = serde_json::from_value(value).map_err(|source| Error::Invalid { source })?;
    Ok(convert(generation))
}

fn check(value: &Value, names: &mut Vec<String>) -> Result<(), Error> {
    let empty = Map::new();
    let document = value.as_object().unwrap_or(&empty);
    let Some(bootspec) = document.get(V1) else {
        let found: Vec<String> = document
            .keys()
            .filter(|key| key.starts_with(PREFIX))
            .cloned()
            .collect();
        let specialisation = names.clone();
        return Err(if found.is_empty() {
            Error::NoBootspec { specialisation }
        } else {
            Error::UnknownVersion {
                found,
                specialisation,
            }
        });
    };
    if let Some(bootspec) = bootspec.as_object() {
        let fields: Vec<_> = REQUIRED
            .into_iter()
            .filter(|field| !bootspec.contains_key(*field))
            .collect();
        if !fields.is_empty() {
            return Err(Error::MissingFields {
                fields,
                specialisation: names.clone(),
            });
        }
    }
    if let Some(inner) = document.get(SPECIALISATION_V1).and_then(Value::as_object) {
        for (name, value) in inner {
            names.push(name.clone());
            check(value, names)?;
            names.pop();
        }
    }
    Ok(())
}

fn convert(generation: GenerationV1) -> BootSpec {
    let spec = generation.bootspec;
    let specialisations = generation
        .specialisations
        .into_iter()
        .map(|(name, inner)| (name.0, convert(inner.generation)))
        .collect();
    BootSpec {
        system: spec.system,
        kernel: spec.kernel,
        kernel_params: spec.kernel_params,
        label: spec.label,
        init: spec.init,
        toplevel: spec.toplevel.0,
        initrd: spec.initrd,
        specialisations,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spec(label: &str, inner: &str) -> String {
        format!(
            r#"{{"org.nixos.bootspec.v1":{{"init":"/nix/store/a-s/init","initrd":"/nix/store/b-i/initrd",
            "kernel":"/nix/store/c-linux-6.12.30/bzImage","kernelParams":["loglevel=4","quiet"],
            "label":"{label}","system":"x86_64-linux","toplevel":"/nix/store/a-s"}},
            "org.nixos.specialisation.v1":{{{inner}}},"org.nixos.systemd-boot":{{"sortKey":"nixos"}}}}"#
        )
    }

    #[test]
    fn whole_document() {
        let text = spec("NixOS", &format!(r#""gaming":{}"#, spec("Gaming", "")));
        let boot = parse(&text).unwrap();
        assert_eq!(boot.kernel_params, ["loglevel=4", "quiet"]);
        assert_eq!(boot.toplevel, PathBuf::from("/nix/store/a-s"));
        assert_eq!(boot.initrd, Some("/nix/store/b-i/initrd".into()));
        assert_eq!(boot.specialisations["gaming"].label, "Gaming");
        assert!(boot.specialisations["gaming"].specialisations.is_empty());
        let json = serde_json::to_string(&boot).unwrap();
        assert_eq!(serde_json::from_str::<BootSpec>(&json).unwrap(), boot);
    }

    #[test]
    fn the_least_document() {
        let text = r#"{"org.nixos.bootspec.v1":{"init":"/i","kernel":"/k","kernelParams":[],
            "label":"l","system":"s","toplevel":"/t"},"org.nixos.bootspec.v2":{}}"#;
        let boot = parse(text).unwrap();
        assert_eq!((boot.initrd, boot.specialisations.len()), (None, 0));
    }

    #[test]
    fn clear_errors() {
        let message = |text: &str| parse(text).unwrap_err().to_string();
        assert!(message("{").starts_with("boot.json is not JSON: EOF"));
        assert_eq!(message("[]"), "boot.json has no \"org.nixos.bootspec.v1\"");
        assert_eq!(
            message(&spec("x", "").replace("spec.v1", "spec.v2")),
            "boot.json has org.nixos.bootspec.v2 and not \"org.nixos.bootspec.v1\""
        );
        assert_eq!(
            message(
                &spec("x", "")
                    .replace("\"init\"", "\"x\"")
                    .replace("\"label\"", "\"y\"")
            ),
            "boot.json lacks init, label"
        );
        let inner = spec("y", "").replace("\"kernel\"", "\"x\"");
        let outer = spec(
            "x",
            &format!(r#""a":{}"#, spec("z", &format!(r#""b":{inner}"#))),
        );
        assert_eq!(
            message(&outer),
            "boot.json lacks kernel in the specialisation \"a/b\""
        );
        assert_eq!(
            message(&spec("x", r#""a":{"org.nixos.bootspec.v9":{}}"#)),
            "boot.json has org.nixos.bootspec.v9 and not \"org.nixos.bootspec.v1\" in the \
             specialisation \"a\""
        );
        assert!(
            message(&spec("x", "").replace("[\"loglevel=4\",\"quiet\"]", "3"))
                .contains("wrong type")
        );
        assert!(matches!(
            parse(r#"{"org.nixos.bootspec.v1":3}"#),
            Err(Error::Invalid { .. })
        ));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn hostile(text in "\\PC{0,60}", cut in 0..700_usize, noise in "[\\[\\]{}\",:0-9a-z]{0,10}") {
            let _ = parse(&text);
            let good = spec("x", &format!(r#""a":{}"#, spec("y", "")));
            let cut = cut.min(good.len());
            let _ = parse(&format!("{}{noise}{}", &good[..cut], &good[cut..]));
        }
    }
}
