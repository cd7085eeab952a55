//! The store, and the systems in it.

use super::NOT_HERE;
use crate::health::Finding;
use crate::health::seen::{Store, System};
use crate::point::health::Status;

/// Whether Nix's database can be read and knows anything.
pub(in crate::health) fn store(seen: &Store) -> Finding {
    match &seen.rows {
        _ if !seen.there => Finding::unknown("there is no store"),
        None => Finding::unknown("the database may not be read"),
        Some(Ok(true)) => Finding::new(Status::Ok, "the database answers"),
        Some(Ok(false)) => Finding::new(Status::Failing, "the database knows no path"),
        Some(Err(why)) => Finding::new(Status::Failing, why),
    }
}

/// Whether what runs and what boots is there.
pub(in crate::health) fn systems(seen: &[System]) -> Finding {
    let mut missing: Vec<String> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut status = if seen.is_empty() {
        Status::Unknown
    } else {
        Status::Ok
    };
    for system in seen {
        let worse = match &system.valid {
            Ok(true) => continue,
            Ok(false) => {
                missing.push(system.path.to_absolute_path());
                words.push(format!(
                    "the {} system is not valid in the store",
                    system.what
                ));
                // It runs until the next boot, whatever becomes of the store.
                if system.what == "booted" {
                    Status::Warning
                } else {
                    Status::Failing
                }
            }
            Err(why) => {
                words.push(why.clone());
                Status::Failing
            }
        };
        status = status.max(worse);
    }
    if status == Status::Unknown {
        return Finding::unknown(NOT_HERE);
    }
    words.dedup();
    missing.dedup();
    if words.is_empty() {
        return Finding::new(Status::Ok, "valid in the store");
    }
    Finding::new(status, words.join("; ")).subjects(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nix::store_path::StorePath;

    #[test]
    fn a_store_without_answers_fails_and_a_machine_without_one_does_not() {
        let of = |there, rows| store(&Store { there, rows }).status;
        assert_eq!(of(false, None), Status::Unknown);
        assert_eq!(of(true, None), Status::Unknown);
        assert_eq!(of(true, Some(Ok(true))), Status::Ok);
        assert_eq!(of(true, Some(Ok(false))), Status::Failing);
        assert_eq!(of(true, Some(Err("malformed".into()))), Status::Failing);
    }

    #[test]
    fn a_system_that_is_gone_is_named() {
        let path = |n: u8| {
            let text = format!("/nix/store/{}-nixos-system-{n}", "0".repeat(32));
            StorePath::from_absolute_path(text.as_bytes()).unwrap()
        };
        let system = |what, n, valid| System {
            what,
            path: path(n),
            valid,
        };
        let good = systems(&[
            system("running", 1, Ok(true)),
            system("profile", 1, Ok(true)),
        ]);
        assert_eq!(
            (good.status, &*good.detail),
            (Status::Ok, "valid in the store")
        );
        let gone = systems(&[
            system("running", 1, Ok(true)),
            system("profile", 2, Ok(false)),
        ]);
        assert_eq!(gone.status, Status::Failing);
        assert_eq!(gone.subjects, [path(2).to_absolute_path()]);
        let booted = systems(&[
            system("running", 1, Ok(true)),
            system("booted", 2, Ok(false)),
        ]);
        assert_eq!(booted.status, Status::Warning);
        assert_eq!(systems(&[]).status, Status::Unknown);
    }
}
