//! Gathering the figures of the machine. Nothing is changed by it.

use super::{Engine, EngineError, chronicle, status};
use crate::plan::figures::{Copies, Figures, Status};
use crate::system::history::{Chronicle, Total};
use crate::system::remotes;
use crate::vault::Vault;

/// All figures, and what is worth knowing, one line each.
///
/// # Errors
/// When the state directory or the profile cannot be read.
pub fn figures(engine: &Engine<'_>) -> Result<(Figures, Vec<String>), EngineError> {
    let mut notes = chronicle::index(engine);
    let now = engine.clock.now();
    let seen = status::status(engine)?;
    let mut figures = Figures {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        observed: now.timestamp(),
        generation: seen.system.profile.as_ref().map(|p| p.generation),
        generations: seen.generations as u64,
        points: seen.points as u64,
        pinned: seen.pinned as u64,
        damaged: seen.damaged as u64,
        score: seen.health.score,
        healthy: seen.health.healthy,
        newest: seen.latest.as_ref().map(|point| point.created.timestamp()),
        newest_age: seen
            .latest
            .as_ref()
            .map(|point| (now - point.created).to_std().unwrap_or_default().as_secs()),
        unfinished: seen.unfinished,
        ..Figures::default()
    };
    for issue in &seen.health.issues {
        *figures.issues.entry(issue.kind().to_owned()).or_default() += 1;
    }
    match Chronicle::new(engine.layout).glance(|db| db.totals()) {
        Ok(totals) => {
            figures.count_from_zero();
            count(&mut figures, &totals);
        }
        Err(error) => notes.push(format!("{error}: what happened is not counted")),
    }
    if let Some(vault) = engine.existing_vault()? {
        figures.storage.insert("config", vault.config().size()?);
        if let Some(state) = vault.existing_state()? {
            figures.storage.insert("state", state.size()?);
        }
    }
    for name in engine.policy.remotes.keys() {
        let record = match remotes::read(engine.layout, name) {
            Ok(record) => record,
            // What cannot be read is not known; it is not a remote without copies.
            Err(error) => {
                notes.push(error.to_string());
                continue;
            }
        };
        let age = record
            .newest
            .map(|at| (now - at).to_std().unwrap_or_default());
        let copies = Copies {
            newest: record.newest.map(|at| at.timestamp()),
            age: age.map(|age| age.as_secs()),
            failing: record.trouble.is_some(),
        };
        figures.remotes.insert(name.clone(), copies);
    }
    Ok((figures, notes))
}

fn count(figures: &mut Figures, totals: &[Total]) {
    for total in totals {
        // What has not ended is counted when it has.
        let Some(status) = total.good.map(Status::from) else {
            continue;
        };
        let counted = match total.kind.as_str() {
            "point" => figures
                .backups
                .entry((total.of.clone(), status))
                .or_default(),
            "restore" => figures.restores.entry(status).or_default(),
            "verdict" => figures.verdicts.entry(status).or_default(),
            "rollback" => figures.rollbacks.entry(status).or_default(),
            "heal" => figures.heals.entry(status).or_default(),
            _ => continue,
        };
        *counted += total.count;
    }
}
